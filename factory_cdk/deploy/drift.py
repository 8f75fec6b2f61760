"""What somebody has changed of a stage's resources beside CloudFormation: an update may fail for it, or undo it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.deploy.pace import Pace
from factory_cdk.deploy.stacks import StackNow

PATIENCE = 30.0
"""Seconds for which the result of a detection is waited for: it is told, not needed."""

_DIFFERS = ("MODIFIED", "DELETED")

_OURS = {"AWS::CloudWatch::Alarm": ("/ActionsEnabled",)}
"""What instances change themselves: whether the sector's alarm acts."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A resource that is not as its template says: `state` is MODIFIED or DELETED, `properties` are the paths of what
    differs.
    """

    stack: str
    region: str
    resource: str
    state: str
    properties: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = "is deleted" if self.state == "DELETED" else f"was changed ({', '.join(self.properties)})"
        return f"{self.resource} of {self.stack} ({self.region}) {what}, and not by CloudFormation"


def find_drift(account: Account, stacks: Iterable[StackNow]) -> tuple[list[Drift], list[str]]:
    """What has drifted of `stacks`, as far as CloudFormation can tell; of which stacks that is not known, and why."""
    with ThreadPoolExecutor(8, thread_name_prefix="drift") as pool:
        answers = list(pool.map(lambda stack: _of_stack(account, stack), stacks))
    return [one for found, _ in answers for one in found], [why for _, why in answers if why]


def _of_stack(account: Account, stack: StackNow) -> tuple[list[Drift], str | None]:
    label = f"{stack.name} ({stack.region})"
    try:
        detection = account.call(stack.region, "cloudformation", "detect_stack_drift", StackName=stack.id)
        end, status = monotonic() + PATIENCE, {}
        for _ in Pace().looks():
            status = account.call(
                stack.region, "cloudformation", "describe_stack_drift_detection_status",
                StackDriftDetectionId=detection["StackDriftDetectionId"],
            )  # fmt: skip
            if status["DetectionStatus"] != "DETECTION_IN_PROGRESS":
                break
            if monotonic() > end:
                return [], f"{label}: not known after {PATIENCE:.0f} s"
        if status.get("StackDriftStatus") != "DRIFTED":
            return [], None
        found = account.pages(
            stack.region, "cloudformation", "describe_stack_resource_drifts", "StackResourceDrifts",
            StackName=stack.id, StackResourceDriftStatusFilters=list(_DIFFERS),
        )  # fmt: skip
    except RefusedError as error:
        return [], f"{label}: {error.message}"
    drifts = []
    for one in found:
        ours = _OURS.get(str(one["ResourceType"]), ())
        properties = tuple(
            str(difference["PropertyPath"])
            for difference in one.get("PropertyDifferences", ())
            if difference["PropertyPath"] not in ours
        )
        if properties or one["StackResourceDriftStatus"] == "DELETED":
            drifts.append(
                Drift(
                    stack.name,
                    stack.region,
                    str(one["LogicalResourceId"]),
                    str(one["StackResourceDriftStatus"]),
                    properties,
                )
            )
    return drifts, None
