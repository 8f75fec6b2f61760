"""What a build has to do with each stack of a stage: its template beside what CloudFormation has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.deploy.account import Account
from factory_cdk.deploy.ending import await_settled
from factory_cdk.deploy.following import waits_of
from factory_cdk.deploy.pace import Pace
from factory_cdk.deploy.stacks import StackNow, Template, describe, same_template, template_of
from factory_cdk.design.commit import other_gate
from factory_cdk.design.model import StackDesign, StageDesign
from factory_cdk.design.naming import assets_bucket
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG, logical


@dataclass(frozen=True, slots=True)
class WantedStack:
    """A stack of a stage as its assembly has it; those of its queues are `first`."""

    name: str
    region: str
    template: Template
    content: Mapping[str, Any]
    tags: Mapping[str, str]
    first: bool
    protect: bool
    waits: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with a stack: `create`, `update`, `none`, or `remake` (what a failed creation has left is
    deleted before).
    """

    wanted: WantedStack
    now: StackNow
    kind: str

    @property
    def gate(self) -> str:
        """The commit gate that it waits at."""
        return other_gate(self.now.gate) if self.kind == "update" else other_gate(None)


def wanted_stacks(design: StageDesign, assembly: Path, account: str) -> tuple[WantedStack, ...]:
    """The stacks of `design`, whose assembly is there, in the account of that id."""
    artifacts = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    urls = {one.name: str(artifacts[one.name]["properties"]["stackTemplateAssetObjectUrl"]) for one in design.stacks}
    return tuple(_wanted(design, stack, assembly, account, urls[stack.name]) for stack in design.stacks)


def _wanted(design: StageDesign, stack: StackDesign, assembly: Path, account: str, url: str) -> WantedStack:
    path = assembly / f"{stack.name}.template.json"
    bucket = assets_bucket(design.qualifier).replace("${AWS::AccountId}", account)
    template = Template(path, bucket.replace("${AWS::Region}", stack.region), url.rpartition("/")[2])
    content = json.loads(path.read_text(encoding="utf-8"))
    here = [sector.name for sector in design.sectors if sector.stack == stack.name]
    return WantedStack(
        name=stack.name,
        region=stack.region,
        template=template,
        content=content,
        tags=stack.tags,
        first=not stack.depends_on,
        protect=stack.protect,
        waits=waits_of(content, {logical(name): name for name in here}),
    )


def inspect(account: Account, wanted: Iterable[WantedStack]) -> tuple[Step, ...]:
    """What is to be done with each stack. FactoryError for one that is none of ours, or that cannot be updated."""
    wanted = tuple(wanted)
    with ThreadPoolExecutor(8, thread_name_prefix="inspect") as pool:
        return tuple(pool.map(lambda one: inspected(account, one), wanted))


def inspected(account: Account, wanted: WantedStack) -> Step:
    """What is to be done with a stack. FactoryError as `inspect`."""
    now = describe(account, wanted.name, wanted.region)
    if now.status.endswith("_CLEANUP_IN_PROGRESS"):  # committed, or taken back: what is old is being deleted
        now = await_settled(account, now, Pace())
    if not now.is_there:
        return Step(wanted, now, "create")
    if any(now.tags.get(key) != wanted.tags.get(key) for key in (FACTORY_TAG, STAGE_TAG)):
        raise FactoryError(
            f"there is a stack {now.name} in {now.region} that is none of this stage",
            "rename the factory or the stage, or delete that stack",
        )
    if now.is_settled:
        same = same_template(template_of(account, now), wanted.content) and _own(now.tags) == _own(wanted.tags)
        return Step(wanted, now, "none" if same else "update")
    if now.status in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"):
        return Step(wanted, now, "remake")
    if now.status == "UPDATE_FAILED":  # an update that failed and was kept
        return Step(wanted, now, "restore")
    if now.status == "UPDATE_ROLLBACK_FAILED":
        raise FactoryError(
            f"{now.name} ({now.region}) could not be taken back: {now.reason}",
            f"mend what CloudFormation names, then: aws cloudformation continue-update-rollback --region {now.region} "
            f"--stack-name {now.name}",
        )
    raise FactoryError(
        f"CloudFormation is at work on {now.name} ({now.region}): {now.status}", "wait until it ends, then run it again"
    )


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}
