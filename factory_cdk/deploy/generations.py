"""Which instances of a stage are gone though their stacks have them, and the generations that make them again.

An alarm may have terminated an instance, or EC2 a spot instance. CloudFormation does not look: it would do nothing for
an unchanged template, and fail for a changed one. Another generation is another logical id, hence another instance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.deploy.stacks import StackNow, describe, resources_of
from factory_cdk.design.model import SectorDesign
from factory_cdk.plan.model import SectorType
from factory_cdk.plan.names import logical

_INSTANCE = "AWS::EC2::Instance"
_GONE = ("terminated", "shutting-down")


@dataclass(frozen=True, slots=True)
class DeployedInstance:
    """The instance that the stack of a sector has: its id, the `generation` in its logical id, and its state in EC2."""

    sector: str
    region: str
    id: str
    generation: int
    state: str

    @property
    def is_gone(self) -> bool:
        """Whether it has to be made again."""
        return self.state in _GONE


def deployed_instances(account: Account, sectors: Iterable[SectorDesign]) -> list[DeployedInstance]:
    """The instances of those `sectors` whose stacks are there. RefusedError."""
    by_stack: dict[tuple[str, str], list[SectorDesign]] = {}
    for sector in sectors:
        if sector.type is SectorType.AWS and sector.stack and sector.region:
            by_stack.setdefault((sector.stack, sector.region), []).append(sector)
    found: list[DeployedInstance] = []
    for (name, region), here in by_stack.items():
        stack = describe(account, name, region)
        if stack.is_there:
            found += _of_stack(account, stack, here)
    return found


def next_generations(instances: Iterable[DeployedInstance], pinned: Mapping[str, int]) -> dict[str, int]:
    """The generation of each sector: that of its instance, or the next one where that is gone; not below `pinned`."""
    found = {one.sector: one.generation + (1 if one.is_gone else 0) for one in instances}
    return {name: number for name, number in found.items() if number > pinned.get(name, 1)}


def _of_stack(account: Account, stack: StackNow, sectors: Iterable[SectorDesign]) -> list[DeployedInstance]:
    by_id: dict[str, tuple[str, int]] = {}
    resources = resources_of(account, stack.region, stack.id)
    for sector in sectors:
        pattern = re.compile(re.escape(logical(sector.name)) + r"Instance([0-9]*)(Spot[0-9a-f]{8})?")
        for logical_id, one in resources.items():
            match = pattern.fullmatch(logical_id)
            physical = str(one.get("PhysicalResourceId", ""))
            if match and one["ResourceType"] == _INSTANCE and physical:
                by_id[physical] = (sector.name, int(match[1] or 1))
    states = _states(account, stack.region, list(by_id))
    return [
        DeployedInstance(sector, stack.region, id_, generation, states.get(id_, "terminated"))
        for id_, (sector, generation) in by_id.items()
    ]


def _states(account: Account, region: str, ids: list[str]) -> dict[str, str]:
    """The states of instances by id; one that EC2 has forgotten is missing."""
    if not ids:
        return {}
    try:
        # Named by a filter: an id that EC2 has forgotten would be an error for all.
        found = account.pages(
            region, "ec2", "describe_instances", "Reservations", Filters=[{"Name": "instance-id", "Values": ids}]
        )
    except RefusedError as error:
        if error.code == "InvalidInstanceID.NotFound":
            return {}
        raise
    return {one["InstanceId"]: one["State"]["Name"] for reservation in found for one in reservation["Instances"]}
