"""Deploying the stacks of a stage in all regions, or in none.

Each stack is brought to its commit gate (design/commit.py); once all are there and `ready` has agreed, that is written
down (record.py) and every gate gets SUCCESS. Before that, whatever fails takes all of them back: their wait conditions
get FAILURE, and CloudFormation restores what was. A process that dies in between leaves stacks that wait, and go back
by themselves after COMMIT_TIMEOUT; the next command goes on from the record.

What can tear is the commit itself: when one gate has got its signal and the others wait longer than COMMIT_TIMEOUT
because neither this process nor another comes back, CloudFormation takes those back. The record says so until a command
ends it: `build` deploys what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.deploy.ending import await_settled, delete
from factory_cdk.deploy.following import Followed, OnEvent, Say, Where, follow
from factory_cdk.deploy.pace import Pace
from factory_cdk.deploy.record import Claim, StackInRecord
from factory_cdk.deploy.stacks import (
    HANDLE,
    ChangeSet,
    Events,
    StackNow,
    describe,
    drop_change_set,
    execute,
    make_change_set,
    refused_names,
    resources_of,
    signal_failure,
    signal_gate,
)
from factory_cdk.deploy.steps import Step, inspected
from factory_cdk.design.commit import COMMIT_TIMEOUT
from factory_cdk.diagnostics import FactoryError

_TAKEN = (
    "an earlier stack of the stage has kept it (`cdk destroy` keeps jobs, secrets and logs): delete it, or import it "
    "into a stack of that name"
)


class FailedError(FactoryError):
    """A deployment failed; `kept`: what has failed was left as it is."""

    def __init__(self, message: str, remedy: str | None, *, kept: bool = False) -> None:
        super().__init__(message, remedy)
        self.kept = kept


class Deployment:
    """The stacks of one stage on their way. `command` is what goes on with it, for remedies; without `take_back`, what
    fails is left as it is. `on_event` gets every event of a stack.
    """

    def __init__(
        self,
        account: Account,
        claim: Claim,
        say: Say,
        command: str,
        *,
        take_back: bool = True,
        on_event: OnEvent | None = None,
    ) -> None:
        self.account, self.claim, self.say, self.command = account, claim, say, command
        self.take_back, self.on_event, self.pace = take_back, on_event, Pace()
        self.followed: list[Followed] = []
        self.new: set[str] = set()
        self.prepared: list[tuple[Step, ChangeSet]] = []
        self.settled = False
        """Whether nothing is under way any more: all is committed, or taken back."""

    def adopt(self, stacks: Iterable[StackInRecord]) -> None:
        """Go on with the `stacks` that a process which died has left under way. RefusedError."""
        for stack in stacks:
            now = describe(self.account, stack.name, stack.region)
            if stack.new:
                self.new.add(stack.name)
            if now.in_progress:
                self.say(f"{stack.name}: going on ({now.status})")
                self.followed.append(Followed(now, stack.gate, Events(self.account, stack.region, now.id)))

    def deploy(self, steps: Sequence[Step], ready: Callable[[], None]) -> tuple[str, ...]:
        """Bring every stack to what is wanted; `ready` is called when all are, before the commit. The names of those
        that have changed. FailedError when all were taken back, or kept.
        """
        steps = [self._cleaned(step) for step in steps]
        try:
            self._prepare([step for step in steps if step.kind != "none"])
            self._record()
            self._run([])
            first = [one for one in self.prepared if one[0].wanted.first]
            self._run(first)
            self._run([one for one in self.prepared if not one[0].wanted.first])
            ready()
        except BaseException as error:
            self._undo_or_say(error)
            raise
        self.commit()
        return tuple(one.now.name for one in self.followed)

    def _cleaned(self, step: Step) -> Step:
        """The step for a stack that something has left behind."""
        wanted = step.wanted
        if step.kind == "remake":
            self.say(f"{wanted.name}: deleting what a failed creation has left")
            delete(self.account, step.now, self.pace)
            return Step(wanted, describe(self.account, wanted.name, wanted.region), "create")
        if step.kind == "restore":
            self.say(f"{wanted.name}: taking back what a failed update has left")
            self.account.call(wanted.region, "cloudformation", "rollback_stack", StackName=step.now.id)
            await_settled(self.account, step.now, self.pace)
            return inspected(self.account, wanted)
        return step

    def _prepare(self, steps: Sequence[Step]) -> None:
        def made(step: Step) -> ChangeSet | None:
            return make_change_set(
                self.account, step.now, step.wanted.template, gate=step.gate, tags=step.wanted.tags,
                take_back=self.take_back, pace=Pace(),
            )  # fmt: skip

        with ThreadPoolExecutor(8, thread_name_prefix="change sets") as pool:
            futures = [(step, pool.submit(made, step)) for step in steps]
            failure: BaseException | None = None
            for step, future in futures:
                try:
                    change_set = future.result()
                except FactoryError as error:
                    failure = failure or error
                    continue
                if change_set is not None:
                    self.prepared.append((step, change_set))
        if failure is not None:
            raise failure

    def _record(self) -> None:
        adopted = [
            StackInRecord(one.now.name, one.now.region, one.gate, one.now.name in self.new) for one in self.followed
        ]
        new = [
            StackInRecord(step.wanted.name, step.wanted.region, step.gate, step.kind == "create")
            for step, _ in self.prepared
        ]
        self.claim.write(stacks=(*adopted, *new), decision="")

    def _run(self, prepared: Sequence[tuple[Step, ChangeSet]]) -> None:
        """Execute change sets, and return when all stacks are at their gates. FailedError."""
        here = list(self.followed)
        if prepared:
            self.claim.confirm()
        for step, change_set in list(prepared):
            one = self._followed(step, change_set.stack_id)
            execute(self.account, step.wanted.region, change_set)
            self.prepared.remove((step, change_set))
            self.followed.append(one)
            here.append(one)
        if here:
            follow(
                self.account, self.followed, lambda: self._failed() or all(one.where is Where.READY for one in here),
                self.say, self.pace, on_event=self.on_event, check=self.claim.check,
            )  # fmt: skip
        if self._failed():
            raise self._failure()

    def _followed(self, step: Step, stack_id: str) -> Followed:
        now = StackNow(step.wanted.name, step.wanted.region, step.now.status, stack_id)
        events = Events(self.account, now.region, stack_id)
        events.skip()
        wanted = len(step.wanted.content["Resources"])
        if step.kind == "create":
            self.new.add(step.wanted.name)
        before = resources_of(self.account, now.region, stack_id) if step.kind == "update" else {}
        return Followed(now, step.gate, events, wanted, step.wanted.waits, frozenset(before))

    def _failed(self) -> bool:
        return any(one.where is Where.FAILED for one in self.followed)

    def _failure(self) -> FailedError:
        failed = [one for one in self.followed if one.where is Where.FAILED]
        reasons = {one.now.name: one.reason() for one in failed}
        remedy = None
        for one in failed:
            if "DescribeEvents" in reasons[one.now.name]:
                refused = refused_names(self.account, one.now.region, one.now.id)
                reasons[one.now.name] = "; ".join(refused) or reasons[one.now.name]
                remedy = _TAKEN if any("already exists" in text for text in refused) else None
        return FailedError(
            "; ".join(f"{one.now.name} ({one.now.region}): {reasons[one.now.name]}" for one in failed), remedy
        )

    # The end

    def commit(self) -> None:
        """Write down that every stack keeps what it has, tell each, and wait until all have ended. FailedError."""
        if not self.followed:
            self.settled = True
            return
        self.claim.write(decision="commit")
        self._signal_all()
        follow(
            self.account, self.followed, lambda: all(one.where in (Where.DONE, Where.FAILED) for one in self.followed),
            self.say, self.pace, on_event=self.on_event,
        )  # fmt: skip
        if self._failed():
            torn = ", ".join(one.now.name for one in self.followed if one.where is Where.FAILED)
            raise FailedError(
                f"the regions differ: {torn} did not take the commit ({self._failure().message})",
                f"run it again, and it deploys what is missing: {self.command}",
            )
        self.settled = True

    def _signal_all(self) -> None:
        for one in self.followed:
            if one.where in (Where.WORKING, Where.READY):
                resources = resources_of(self.account, one.now.region, one.now.id)
                signal_gate(resources, one.gate, "SUCCESS", "every region is ready")

    def _undo_or_say(self, error: BaseException) -> None:
        """Take everything back; where that fails, the reason of the deployment's own failure is not forgotten."""
        try:
            self._undo(error)
        except FailedError:
            raise
        except FactoryError as problem:
            if not isinstance(error, FactoryError) or problem.message == error.message:
                raise
            raise FailedError(f"{error.message}; it is not taken back: {problem.message}", problem.remedy) from error

    def _undo(self, error: BaseException) -> None:
        """Take everything back, unless the plan wants to look at what has failed. FailedError in the place of a
        FactoryError. Nothing is touched where another command has taken the place of this one.
        """
        self.claim.confirm()
        for step, change_set in self.prepared:
            drop_change_set(self.account, step.now, change_set)
        self.prepared.clear()
        if not self.followed:
            self.settled = True
            return
        if not self.take_back and isinstance(error, FactoryError):
            raise FailedError(error.message, self._how_to_look(), kept=True) from error
        self.claim.write(decision="take back")
        why = error.message if isinstance(error, FactoryError) else "the deployment was interrupted"
        self.undo(why)
        if isinstance(error, FactoryError):
            remedy = "everything is as it was before"
            raise FailedError(error.message, f"{error.remedy}; {remedy}" if error.remedy else remedy) from error

    def undo(self, why: str) -> None:
        """Have every stack go back to what it was; one that was new is deleted. FactoryError for what remains."""
        self.say("taking back what was done in every region")
        told: set[tuple[str, str]] = set()
        for one in self.followed:
            if one.now.status == "UPDATE_IN_PROGRESS":
                self._cancel(one)

        def all_settled() -> bool:
            for one in self.followed:
                if one.now.in_progress and "ROLLBACK" not in one.now.status and not one.now.status.startswith("DELETE"):
                    self._fail_handles(one, why, told)
            return not any(one.now.in_progress for one in self.followed)

        stacks = self.followed
        for one in stacks:
            one.where = Where.WORKING
        with ThreadPoolExecutor(8, thread_name_prefix="undo") as pool:
            for _ in self.pace.looks():
                list(pool.map(self._look_again, stacks))
                if all_settled():
                    break
        remaining = []
        for one in stacks:
            if one.now.name in self.new and one.now.is_there:
                remaining += delete(self.account, one.now, self.pace)
            elif one.now.status == "UPDATE_ROLLBACK_FAILED":
                remaining.append(f"{one.now.name} ({one.now.region}): {one.now.status}: {one.now.reason}")
        self.settled = not remaining
        if remaining:
            raise FailedError(f"not taken back: {'; '.join(remaining)}", "mend what CloudFormation names, then again")

    def _look_again(self, one: Followed) -> None:
        present = describe(self.account, one.now.id, one.now.region)
        if present.status != one.now.status:
            self.say(f"{one.now.name}: {present.status}")
            self.pace.again()
        one.now = present if present.id else StackNow(one.now.name, one.now.region, present.status, one.now.id)

    def _cancel(self, one: Followed) -> None:
        try:
            self.account.call(one.now.region, "cloudformation", "cancel_update_stack", StackName=one.now.id)
        except RefusedError as error:
            if error.code != "ValidationError":  # it has just ended
                raise

    def _fail_handles(self, one: Followed, why: str, told: set[tuple[str, str]]) -> None:
        resources = resources_of(self.account, one.now.region, one.now.id)
        fresh = [
            name
            for name, resource in resources.items()
            if resource["ResourceType"] == HANDLE and name not in one.before and (one.now.id, name) not in told
        ]
        signal_failure(resources, fresh, f"taken back: {why}")
        told.update((one.now.id, name) for name in fresh if resources[name].get("PhysicalResourceId"))

    def _how_to_look(self) -> str:
        look = ", ".join(dict.fromkeys(f"{one.now.name} ({one.now.region})" for one in self.followed))
        return (
            "demolish_on_failure is false, so it is left as it is (what waits, for "
            f"{COMMIT_TIMEOUT // 3600} hours at the most): {look}. Look with `factory-cdk logs`, "
            "`aws ec2 get-console-output` and, where the sector says `session-manager: true`, `aws ssm start-session`; "
            "clean up with `factory-cdk demolish`"
        )
