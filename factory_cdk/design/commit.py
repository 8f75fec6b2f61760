"""The commit gate of a stack: with it, the stacks of a stage are created or updated all together, or none.

A stack that `build` deploys waits at its end, for a signal that comes once the stacks of all regions have got so far:
SUCCESS, and each ends as it is; FAILURE, or none in time, and CloudFormation takes each back to what it was before.
A wait condition cannot be updated, only made. So there are two, and the parameter `Commit` says which of them exists:
`build` gives the one that is not there. A plain `cdk deploy` gives none at first and later leaves what was given (the
CDK CLI passes previous values of parameters on): it waits for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from factory_cdk.design.model import Resource
from factory_cdk.design.values import ref
from factory_cdk.plan.model import Json

PARAMETER = "Commit"

GATES = ("A", "B")
"""The values of the parameter that make a stack wait."""

RESOURCES = 2 * len(GATES)
"""What the gates take of the resources of a template."""

COMMIT_TIMEOUT = 7200
"""Seconds that a stack waits for the others: longer than an instance may take to start and to install its release
(`sector.BOOTED_TIMEOUT` and `READY_TIMEOUT`), since one stack may be ready at once and another one last."""


def gate_id(gate: str) -> str:
    """The logical id of the wait condition of `gate`, one of GATES."""
    return f"Commit{gate}"


def handle_id(gate: str) -> str:
    """The logical id of the handle of `gate`; its physical id is the URL that takes the signal."""
    return f"Commit{gate}Handle"


def other_gate(present: str | None) -> str:
    """The gate that a stack has not got whose parameter says `present` (None: it has no such parameter)."""
    return GATES[1] if present == GATES[0] else GATES[0]


def commit_parameters() -> dict[str, Json]:
    """The `Parameters` section."""
    said = "Which commit gate the stack waits at: factory-cdk build says it; empty: at none"
    return {PARAMETER: {"Type": "String", "Default": "", "AllowedValues": ["", *GATES], "Description": said}}


def commit_conditions() -> dict[str, Json]:
    """The `Conditions` section."""
    return {_condition(gate): {"Fn::Equals": [ref(PARAMETER), gate]} for gate in GATES}


def commit_resources(after: Sequence[str]) -> tuple[Resource, ...]:
    """The gates of a stack; they wait when the resources `after` are there."""
    return tuple(resource for gate in GATES for resource in _gate(gate, tuple(after)))


def _condition(gate: str) -> str:
    return f"Gate{gate}"


def _gate(gate: str, after: tuple[str, ...]) -> tuple[Resource, Resource]:
    properties = {"Handle": ref(handle_id(gate)), "Timeout": str(COMMIT_TIMEOUT), "Count": 1}
    condition = _condition(gate)
    return (
        Resource(handle_id(gate), "AWS::CloudFormation::WaitConditionHandle", {}, condition=condition),
        Resource(gate_id(gate), "AWS::CloudFormation::WaitCondition", properties, after, condition=condition),
    )
