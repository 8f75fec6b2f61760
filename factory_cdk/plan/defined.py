"""The names that a plan defines and refers to elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factory_cdk.plan.findings import Findings


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one kind, in the order of the plan, those of refused definitions too. Not `complete`: the
    mapping that should define them is refused, or a part of it, and every reference would be reported once more.
    """

    known: Mapping[str, object]
    complete: bool

    def is_undefined(self, name: str) -> bool:
        """Whether `name` is certain to be undefined."""
        return self.complete and name not in self.known


@dataclass(frozen=True, slots=True)
class Defined:
    """Every name that a plan's sectors, stages and workflows may refer to."""

    bots: Names
    workflows: Names
    alarms: Names


def defined_names(factory: Any, findings: Findings) -> Defined:
    """The names in `factory`, the plain data of a plan's key `factory`; `findings` has what is wrong with its keys. A
    plan needs bots, not the others.
    """
    data = factory if isinstance(factory, Mapping) else {}

    def names(kind: str, value: Any) -> Names:
        if not isinstance(value, Mapping):
            return Names({}, complete=False)
        return Names(value, complete=not findings.is_undefined(("factory", kind)))

    return Defined(
        names("bots", data.get("bots")),
        names("workflows", data.get("workflows", {})),
        names("alarms", data.get("alarms", {})),
    )
