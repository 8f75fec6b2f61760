"""Building a stage with aws sectors, and bringing it to what its plan says now: all regions and sectors, or none."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factory_cdk.agent.gate import gate_request
from factory_cdk.bundle import Bundle
from factory_cdk.canonical_json import canonical_json
from factory_cdk.compile import compile_stage, stage_lock
from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.deploy.alarms import alarms_that_act
from factory_cdk.deploy.deployment import Deployment
from factory_cdk.deploy.drift import Drift, find_drift
from factory_cdk.deploy.ending import delete
from factory_cdk.deploy.finding import find_deployed
from factory_cdk.deploy.generations import DeployedInstance, deployed_instances, next_generations
from factory_cdk.deploy.pace import Pace
from factory_cdk.deploy.preflight import preflight, refuse_missing
from factory_cdk.deploy.publishing import publish, uploads
from factory_cdk.deploy.record import LifeSigns, Record, claimed
from factory_cdk.deploy.secret_filling import SecretFilling, wanted_texts
from factory_cdk.deploy.stacks import StackNow, describe
from factory_cdk.deploy.steps import Step, WantedStack, inspect, wanted_stacks
from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.stale import ExistingStack, stale_stacks
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import make_private
from factory_cdk.lifecycle.aws.local_part import LocalPart
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.plan.model import Plan
from factory_cdk.stacks.assembly import write_assembly

STOPPED = json.dumps({"gate": "stop", "request": "build"})
"""What the gate of a stage says while it is built for the first time: bots are loaded, and get no jobs."""


@dataclass(frozen=True, slots=True)
class StackChange:
    """What is to be done with a stack: `create`, `update`, `none`, or `delete` (the stage has it no more)."""

    name: str
    region: str
    kind: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a build is about to do, for who is asked: its stacks, the sectors whose instance is gone and made again,
    what is done with its local sectors (`create`, `update`, `none`), what has drifted, and of which stacks that is not
    known. `design` is what it will be.
    """

    stage: str
    design: StageDesign
    stacks: tuple[StackChange, ...]
    gone: tuple[DeployedInstance, ...]
    local: str
    drift: tuple[Drift, ...] = ()
    drift_unknown: tuple[str, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether nothing of the stage is there yet."""
        return all(one.kind == "create" for one in self.stacks)

    @property
    def is_nothing(self) -> bool:
        """Whether everything is as the plan says."""
        return self.local == "none" and all(one.kind == "none" for one in self.stacks)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a build has done: the stacks that were created or updated, and deleted."""

    stage: str
    design: StageDesign
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


Agree = Callable[[Change], bool]


def build_on_aws(
    plan: Plan,
    stage: str,
    bundles: Mapping[str, Bundle],
    options: BuildOptions,
    say: Say,
    agree: Agree,
    *,
    region: str | None = None,
    locked: bool = False,
    account: Account | None = None,
    signs: LifeSigns | None = None,
) -> Deployed | None:
    """Build `stage`, or bring it to what `plan` says now. `bundles` are its bots', packed. None when `agree` said no.

    Everything is ready in every region, and in the local sectors, before anything is kept; a failure takes all of it
    back. FactoryError, which says why, what was taken back, and what goes on with it.
    """
    account = account or Account()
    lock = stage_lock(plan, stage, locked=locked)
    design = compile_stage(plan, stage, bundles=bundles, lock=lock, region=region)
    if design.home_region is None:
        raise FactoryError(f"stage {stage} has no aws sector", "build it as a local one")
    pinned = lock.generations.get(stage, {}) if lock else {}
    instances = deployed_instances(account, design.sectors)
    generations = next_generations(instances, pinned)
    if generations:
        design = compile_stage(plan, stage, bundles=bundles, lock=lock, region=region, generations=generations)
    return _Build(account, plan, design, instances, options, say, agree, signs).run()


class _Build:
    """One build of a stage."""

    def __init__(
        self,
        account: Account,
        plan: Plan,
        design: StageDesign,
        instances: Sequence[DeployedInstance],
        options: BuildOptions,
        say: Say,
        agree: Agree,
        signs: LifeSigns | None,
    ) -> None:
        self.account, self.plan, self.design = account, plan, design
        self.gone = tuple(one for one in instances if one.is_gone)
        self.living = {one.sector for one in instances if not one.is_gone}
        self.options, self.say, self.agree, self.signs = options, say, agree, signs
        self.names = Names(design.factory, design.stage)
        self.home = design.home_region or ""
        self.stage = f"{design.factory}/{design.stage}"
        self.command = f"factory-cdk build --plan {options.plan or 'PLAN'} --stage {design.stage}"
        self.local = LocalPart(plan, design, options, say)
        self.goes_on = False
        """Whether a build came before it that did not end."""

    def run(self) -> Deployed | None:
        """All of it."""
        identity = self.account.identity(self.home)
        secrets, texts = wanted_texts(self.design, self.options.environ)
        filling = SecretFilling(secrets, texts, self.say)
        make_private(self.options.home)
        with tempfile.TemporaryDirectory(prefix="assembly-", dir=self.options.home) as folder:
            assembly = Path(folder) / "cdk.out"
            write_assembly(self.design, assembly)
            wanted = wanted_stacks(self.design, assembly, identity["Account"])
            with claimed(self.account, self.names, self.home, "build", self.signs) as (claim, before):
                deployment = Deployment(
                    self.account,
                    claim,
                    self.say,
                    self.command,
                    take_back=self.design.demolish_on_failure,
                    on_event=filling.on_event,
                )
                try:
                    found = self._run(deployment, before, wanted, assembly, filling, identity["Account"])
                except BaseException:
                    if deployment.settled or not deployment.followed:  # nothing is under way
                        claim.release()
                    raise
                claim.release()
        return found

    def _run(
        self,
        deployment: Deployment,
        before: Record | None,
        wanted: tuple[WantedStack, ...],
        assembly: Path,
        filling: SecretFilling,
        id_: str,
    ) -> Deployed | None:
        digest = _digest(wanted)
        self.goes_on = before is not None
        going_on = before is not None and self._settle(deployment, before, digest)
        adopted = {one.now.name for one in deployment.followed}
        steps = inspect(self.account, [one for one in wanted if one.name not in adopted])
        stale = self._stale()
        change = self._change(steps, adopted, stale)
        if not change.is_nothing or going_on:
            if not going_on:
                self._preflight()
                if not self.agree(self._with_drift(change, steps)):
                    return None
            changed = self._deploy(deployment, steps, wanted, assembly, filling, id_, digest)
        else:
            changed = ()
            filling.fill()
            self._open(self._closed_before(one.region for one in wanted if not one.first))
            self._turn_alarms_on(steps, wanted)
        deleted = self._delete_stale(stale)
        self._protect(wanted)
        return Deployed(self.stage, self.design, changed, deleted)

    def _preflight(self) -> None:
        """FactoryError for what the account lacks."""
        if self.options.preflight:
            refuse_missing(preflight(self.design, self.account), self.living, self.say)

    def _settle(self, deployment: Deployment, before: Record, digest: str) -> bool:
        """Bring what a process has left that died to an end, or take it over: whether it goes on now."""
        self.say(f"a {before.verb} of {before.who} did not end")
        deployment.adopt(before.stacks)
        if before.decision == "commit":
            self.say("every region was ready: finishing its commit")
            deployment.commit()
        elif deployment.followed and before.decision == "" and before.digest == digest:
            return True
        elif deployment.followed:
            deployment.undo("another deployment takes its place")
        deployment.followed.clear()
        deployment.new.clear()
        return False

    def _change(self, steps: Iterable[Step], adopted: set[str], stale: Iterable[ExistingStack]) -> Change:
        kinds = {"remake": "create", "restore": "update"}
        stacks = [StackChange(one.wanted.name, one.wanted.region, kinds.get(one.kind, one.kind)) for one in steps]
        stacks += [StackChange(one.name, one.region, "update") for one in self.design.stacks if one.name in adopted]
        stacks += [StackChange(one.name, one.region, "delete") for one in stale]
        return Change(self.stage, self.design, tuple(stacks), self.gone, self.local.kind())

    def _with_drift(self, change: Change, steps: Iterable[Step]) -> Change:
        there = [one.now for one in steps if one.now.is_settled]
        drift, unknown = find_drift(self.account, there)
        return replace(change, drift=tuple(drift), drift_unknown=tuple(unknown))

    def _deploy(
        self,
        deployment: Deployment,
        steps: tuple[Step, ...],
        wanted: tuple[WantedStack, ...],
        assembly: Path,
        filling: SecretFilling,
        id_: str,
        digest: str,
    ) -> tuple[str, ...]:
        deployment.claim.write(digest=digest)
        done = publish(self.account, uploads(assembly, [(one.name, one.region) for one in wanted], id_), self.say)
        if done.uploaded:
            self.say(f"{done.uploaded} assets uploaded ({done.size:,} bytes), {done.present} were there")
        filling.fill()
        closed = self._close_gates(steps, wanted)
        try:
            changed = deployment.deploy(steps, self.local.build)
        except BaseException:
            if not deployment.claim.lost:  # else they may be another command's by now
                self.local.undo()
            if deployment.settled:
                self._open_gates(closed)
            raise
        self._open(closed)
        self._turn_alarms_on(steps, wanted)
        return changed

    # Around the stacks

    def _close_gates(self, steps: Iterable[Step], wanted: Iterable[WantedStack]) -> tuple[str, ...]:
        """Close the gate of a stage that is new, in its regions: bots get jobs once all of it is there."""
        kinds = {step.wanted.name: step.kind for step in steps}
        region_stacks = [one for one in wanted if not one.first]
        if not all(kinds.get(one.name) in ("create", "remake") for one in region_stacks):
            return self._closed_before([one.region for one in region_stacks])
        regions = tuple(dict.fromkeys(one.region for one in region_stacks))
        for region in regions:
            self.account.call(
                region, "ssm", "put_parameter",
                Name=self.names.path("gate"), Value=STOPPED, Type="String", Overwrite=True,
            )  # fmt: skip
        return regions

    def _closed_before(self, regions: Iterable[str]) -> tuple[str, ...]:
        """The regions whose gate a build has closed that did not end."""
        found = []
        for region in dict.fromkeys(regions):
            answer = self.account.call(region, "ssm", "get_parameters", Names=[self.names.path("gate")])
            if any(one["Value"] == STOPPED for one in answer["Parameters"]):
                found.append(region)
        return tuple(found)

    def _open(self, closed: Sequence[str]) -> None:
        """Let the bots of a stage that is new take jobs, in the regions whose gate a build has `closed`, and here: that
        build may have been another one, which did not end. Those that are closed say so, and are opened last.
        """
        if closed or self.local.made:
            self.local.open()
        self._open_gates(closed)

    def _open_gates(self, regions: Iterable[str]) -> None:
        for region in regions:
            try:
                self.account.call(region, "ssm", "delete_parameter", Name=self.names.path("gate"))
            except RefusedError as error:
                if error.code != "ParameterNotFound":
                    raise

    def _turn_alarms_on(self, steps: Iterable[Step], wanted: Iterable[WantedStack]) -> None:
        """Have the alarms of updated stacks act again: their template says that they do not, and an instance turns its
        own on only when its release or the gate has changed. After a build that did not end, all may have been updated.
        """
        updated = {step.wanted.name for step in steps if step.kind == "update"}
        for one in wanted:
            names = alarms_that_act(one.content) if self.goes_on or one.name in updated else []
            if names and self._gate_is_open(one.region):
                self.account.call(one.region, "cloudwatch", "enable_alarm_actions", AlarmNames=names)

    def _gate_is_open(self, region: str) -> bool:
        answer = self.account.call(region, "ssm", "get_parameters", Names=[self.names.path("gate")])
        try:
            return all(gate_request(one["Value"], 1).runner.gate == "open" for one in answer["Parameters"])
        except ValueError:  # what cannot be understood changes nothing on instances, either
            return False

    def _stale(self) -> tuple[ExistingStack, ...]:
        """The stacks that the stage has no more, wherever they are."""
        try:
            deployed = find_deployed(None, self.design.factory, self.design.stage, warn=self.say, changes=True)
        except FactoryError as error:
            self.say(f"warning: stacks that the stage has no more were not looked for: {error.message}")
            if error.remedy:
                self.say(f"help: {error.remedy}")
            return ()
        existing = [
            ExistingStack(one.name, one.region, one.tags)
            for found in deployed
            for one in found.stacks
            if one.status not in ("REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS")
        ]
        return stale_stacks(self.design, existing)

    def _delete_stale(self, stale: Iterable[ExistingStack]) -> tuple[str, ...]:
        gone, remaining = [], []
        for one in stale:
            now = describe(self.account, one.name, one.region)
            self.say(f"{one.name} ({one.region}): deleting it, the stage has it no more")
            left = _deleted_unprotected(self.account, now, self.say)
            remaining += left
            gone += [] if left else [one.name]
        if remaining:
            raise FactoryError(
                f"{self.stage} is as its plan says, but these remain: {'; '.join(remaining)}",
                f"mend what CloudFormation names, then: {self.command}",
            )
        return tuple(gone)

    def _protect(self, wanted: Iterable[WantedStack]) -> None:
        """Give stacks the termination protection that the plan says."""
        for one in wanted:
            if describe(self.account, one.name, one.region).protected != one.protect:
                self.account.call(
                    one.region, "cloudformation", "update_termination_protection",
                    StackName=one.name, EnableTerminationProtection=one.protect,
                )  # fmt: skip
                self.say(f"{one.name}: termination protection is {'on' if one.protect else 'off'}")


def _deleted_unprotected(account: Account, stack: StackNow, say: Say) -> list[str]:
    if stack.protected:
        account.call(
            stack.region, "cloudformation", "update_termination_protection",
            StackName=stack.name, EnableTerminationProtection=False,
        )  # fmt: skip
    return delete(account, stack, Pace(), say)


def _digest(wanted: Iterable[WantedStack]) -> str:
    contents = [
        [one.name, one.region, {key: value for key, value in one.content.items() if key != "Metadata"}]
        for one in wanted
    ]
    return hashlib.sha256(canonical_json(contents).encode()).hexdigest()
