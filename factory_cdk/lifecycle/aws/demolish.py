"""Taking down a stage on AWS: its jobs are finished, or put back; then everything of it is deleted, queues last.

The first stack of its queues is what a demolition that was interrupted is found by again, so that goes last of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

from factory_cdk.agent.aws import PATIENT_ATTEMPTS, Aws
from factory_cdk.deploy.account import Account
from factory_cdk.deploy.deployment import Deployment
from factory_cdk.deploy.ending import await_settled, begin_deletion, delete
from factory_cdk.deploy.finding import DeployedStage, find_deployed
from factory_cdk.deploy.leftovers import Leftover, delete_leftover, of_home, of_region
from factory_cdk.deploy.pace import Pace
from factory_cdk.deploy.record import Claim, Record, StackInRecord, claimed
from factory_cdk.deploy.stacks import StackNow, describe
from factory_cdk.design.naming import Names
from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import TIMED_OUT
from factory_cdk.lifecycle.aws import resume, stop
from factory_cdk.lifecycle.aws.reading import read_content
from factory_cdk.lifecycle.local.control import changing, remove
from factory_cdk.lifecycle.local.demolish import left as jobs_left
from factory_cdk.lifecycle.local.ending import end_cold, end_warm
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Demolished, Left
from factory_cdk.state.stage_queues import has_stored_queues, open_queues
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import runner_pid

_SAY_EVERY = 10.0
_QUIET_LOOKS = 3
"""So often in a row the queues have to be empty: what SQS says of them is an estimate."""

_LOOK_EVERY = 1.0


def demolish(
    factory: Factory,
    say: Say,
    agree: Callable[[Left], bool],
    *,
    drain: bool = False,
    timeout: float | None = None,
    cold: bool = False,
    account: Account | None = None,
) -> Demolished:
    """See lifecycle.verbs.demolish: `drain` waits until no job is left, `cold` puts back what is in hand. FactoryError,
    with exit code 3 when it takes longer than `timeout` seconds.
    """
    account = account or Account()
    stage = _deployed(factory, say)
    if protected := [one.name for one in stage.stacks if one.protected]:
        raise FactoryError(
            f"{stage.name} has termination protection ({', '.join(protected)})",
            "write `protect: false` for the stage into its plan and build it, then demolish it",
        )
    content = read_content(stage, cache(partial(Aws, attempts=PATIENT_ATTEMPTS)))
    if content.refusal is not None:  # else it would look like a stage without bots and jobs
        raise content.refusal
    names, home = Names(stage.factory, stage.stage), _home(stage)
    began = time.monotonic()
    with claimed(account, names, home, "demolish") as (claim, before):
        _settle(account, claim, before, stage, say)
        try:
            operable = factory.instances is not None and has_stored_queues(factory.folder)
            if operable and drain:
                _drain(factory, say, timeout)
            if operable:
                rest = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
                _stop(factory, say, timeout=rest, cold=cold)
            try:
                remaining = jobs_left(factory) if operable else Left(0, 0)
                agreed = not remaining or agree(remaining)
            except BaseException:
                if operable:
                    _go_on(factory, say)
                raise
            if not agreed:
                _go_on(factory, say)
                _give_back(claim, before)
                return Demolished(stage.name, gone=False, left=remaining)
        except BaseException:
            _give_back(claim, before)
            raise
        _end_local(factory, cold=cold)
        _delete(account, claim, stage, names, _write_down(claim, before, stage), say)
        if factory.folder.path.exists():
            with changing(factory.folder):
                remove(factory.folder)
    return Demolished(stage.name, gone=True, left=remaining)


def _deployed(factory: Factory, say: Say) -> DeployedStage:
    found = find_deployed(None, factory.name, factory.stage, warn=say, changes=True)
    if not found:
        raise FactoryError(f"{factory.folder.name} has no stack on AWS", "see `factory-cdk list`")
    return found[0]


def _again(stage: DeployedStage) -> str:
    """The command that goes on with a demolition."""
    return f"factory-cdk demolish --name {stage.factory} --stage {stage.stage}"


def _home(stage: DeployedStage) -> str:
    """The region of its queues; where these are gone, of its first stack."""
    return (stage.queue_stacks or stage.stacks)[0].region


def _settle(account: Account, claim: Claim, before: Record | None, stage: DeployedStage, say: Say) -> None:
    """Have no stack under way: what a build that died has left is taken back."""
    if before is not None and before.verb == "build":
        say(f"a {before.verb} of {before.who} did not end")
        deployment = Deployment(account, claim, say, _again(stage))
        deployment.adopt(before.stacks)
        if deployment.followed:
            deployment.undo("the stage is demolished")
    for stack in stage.stacks:
        now = describe(account, stack.id or stack.name, stack.region)
        if now.in_progress:
            say(f"{stack.name} ({stack.region}): waiting until CloudFormation has ended ({now.status})")
            await_settled(account, now, Pace())


def _drain(factory: Factory, say: Say, timeout: float | None) -> None:
    """Wait until no job is ready, delayed or in hand. FactoryError with exit code 3 after `timeout` seconds."""
    began, said, quiet = time.monotonic(), 0.0, 0
    with open_queues(factory.folder) as queues:
        while quiet < _QUIET_LOOKS:
            depths = queues.history.depths()
            jobs = {name: one.ready + one.delayed + one.leased for name, one in depths.items()}
            total, now = sum(jobs.values()), time.monotonic()
            quiet = quiet + 1 if total == 0 else 0
            if total and now - said >= _SAY_EVERY:
                said = now
                say(
                    f"{total} {'job' if total == 1 else 'jobs'} left: "
                    + ", ".join(f"{count} in {name}" for name, count in jobs.items() if count)
                )
            if timeout is not None and now - began >= timeout:
                raise FactoryError(
                    f"{factory.folder.name} still has {total} {'job' if total == 1 else 'jobs'}; it goes on",
                    "give it more time with --timeout, or demolish without --drain",
                    exit_code=TIMED_OUT,
                )
            if quiet < _QUIET_LOOKS:
                time.sleep(_LOOK_EVERY)


def _stop(factory: Factory, say: Say, *, timeout: float | None, cold: bool) -> None:
    """Let no bot get another job, and wait for what is in hand; the stage goes on when that does not end well."""
    try:
        stop.stop(factory, say, timeout=timeout, cold=cold)
    except BaseException:
        _go_on(factory, say)
        raise


def _go_on(factory: Factory, say: Say) -> None:
    try:
        resume.resume(factory, say, {})
    except FactoryError as error:
        say(f"warning: {factory.folder.name} is stopped: {error.message}")


def _end_local(factory: Factory, *, cold: bool) -> None:
    """End the runner of local sectors, whose jobs are on AWS."""
    if runner_pid(factory.folder) is not None:
        (end_cold if cold else end_warm)(factory.folder)


def _give_back(claim: Claim, before: Record | None) -> None:
    """Nothing is deleted now; what a demolition has written down that did not end is kept."""
    if before is None or before.verb != "demolish":
        claim.release()


def _write_down(claim: Claim, before: Record | None, stage: DeployedStage) -> tuple[str, ...]:
    """The regions of the stage, its home first. They are written down: once the stacks of one are gone, nothing else
    tells the next command that secrets or logs may be left there. FactoryError.
    """
    found = {one.name: StackInRecord(one.name, one.region, "", new=False) for one in stage.stacks}
    stacks = (*found.values(), *(one for one in (before.stacks if before else ()) if one.name not in found))
    claim.write(stacks=stacks, decision="", digest="")
    return tuple(dict.fromkeys((claim.region, *(one.region for one in stacks))))


def _delete(
    account: Account, claim: Claim, stage: DeployedStage, names: Names, regions: tuple[str, ...], say: Say
) -> None:
    """Delete everything of the stage. FactoryError, which says what remains and why; it goes on when run again."""
    remaining = _delete_stacks(account, stage.region_stacks, say)
    if not remaining:
        leftovers = [one for region in regions for one in of_region(account, names, region)]
        leftovers += of_home(account, names, claim.region)
        remaining = _delete_leftovers(account, leftovers, say)
    if not remaining:
        for one in stage.queue_stacks:
            begin_deletion(account, one)
        claim.release()  # with its stacks the stage is not found any more, nor would be what says whose it is
        remaining = _delete_stacks(account, stage.queue_stacks[::-1], say)
    if remaining:
        raise FactoryError(f"these remain: {'; '.join(remaining)}", f"mend what AWS names, then: {_again(stage)}")


def _delete_stacks(account: Account, stacks: Iterable[StackNow], say: Say) -> list[str]:
    stacks = list(stacks)
    for one in stacks:
        say(f"{one.name} ({one.region}): deleting")
    with ThreadPoolExecutor(8, thread_name_prefix="delete") as pool:
        found = pool.map(lambda one: delete(account, one, Pace(), say), stacks)
        return [reason for reasons in found for reason in reasons]


def _delete_leftovers(account: Account, found: list[Leftover], say: Say) -> list[str]:
    def one(leftover: Leftover) -> str | None:
        reason = delete_leftover(account, leftover)
        if reason is None:
            say(f"{leftover.kind} {leftover.name} ({leftover.region}): deleted")
        return reason

    with ThreadPoolExecutor(8, thread_name_prefix="delete") as pool:
        return [reason for reason in pool.map(one, found) if reason is not None]
