"""The facade: what the command line, and Python, ask of the factories that are built under a home.

`building.build` builds them and `dryrun.dry_run` says what it would do; what is here needs no plan.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.control import LONGEST_END, Say, await_end, await_ready, changing, remove, said
from factory_cdk.local.describing import describe, summary, workers
from factory_cdk.local.desired import ask
from factory_cdk.local.launch import Launch
from factory_cdk.local.logs import follow_stream, read_stream
from factory_cdk.local.roster import Roster, refuse_unknown_bot
from factory_cdk.local.secrets import resolve_secrets
from factory_cdk.local.standing import Factory, find, list_factories, matches
from factory_cdk.local.state import StageState, holding, take_folder
from factory_cdk.local.status import read_status, runner_pid
from factory_cdk.local.submission import Submission, open_queues, record_as_json
from factory_cdk.local.submission import submit as submit_jobs
from factory_cdk.local.submission import wait as wait_for_run
from factory_cdk.plan.model import Json
from factory_cdk.queues.port import JobRecord

__all__ = [
    "Factory",
    "Left",
    "attend",
    "demolish",
    "describe",
    "find",
    "left",
    "list_factories",
    "logs",
    "matches",
    "record_as_json",
    "resume",
    "stop",
    "submit",
    "summary",
    "wait",
    "workers",
]


@dataclass(frozen=True, slots=True)
class Left:
    """What is in the queues of a stage: jobs to be done, and dead letters."""

    jobs: int
    dead: int

    def __str__(self) -> str:
        jobs = f"{self.jobs} {'job' if self.jobs == 1 else 'jobs'}"
        return f"{jobs} and {self.dead} dead {'letter' if self.dead == 1 else 'letters'}"


def submit(
    home: Path,
    name: str,
    stage: str | None,
    bot: str,
    payloads: Iterable[Json],
    tags: Mapping[str, str] | None = None,
) -> Submission:
    """One job for `bot` per payload; returns when they are on disk, whether the runner runs or not. FactoryError."""
    factory = find(home, name, stage)
    return submit_jobs(factory.state, _roster(factory), bot, payloads, tags)


def wait(home: Path, name: str, stage: str | None, run: str, timeout: float | None = None) -> Iterator[JobRecord]:
    """The jobs of `run` as they become final; FactoryError with exit code 3 (time-out) or 4 (runner gone)."""
    return wait_for_run(find(home, name, stage).state, run, timeout)


def logs(
    home: Path, name: str, stage: str | None = None, bot: str | None = None, *, follow: bool = False
) -> Iterator[str]:
    """The lines of the stage's labelled stream, of `bot` alone if given; with `follow`, those to come too, until
    the runner is gone. FactoryError.
    """
    factory = find(home, name, stage)
    if bot is not None and factory.roster:
        refuse_unknown_bot(factory.roster, bot)
    if not follow:
        yield from read_stream(factory.state.logs, bot)
        return
    for line in follow_stream(factory.state.logs, bot, whole=True):
        if line is not None:
            yield line
        elif runner_pid(factory.state) is None:
            return


def stop(home: Path, name: str, stage: str | None, say: Say) -> None:
    """Close the gate, bot after bot along the workflow; returns when nothing is in hand any more. FactoryError."""
    factory = find(home, name, stage)
    _need_runner(factory)
    _close_gate(factory.state, say)


def resume(home: Path, name: str, stage: str | None, say: Say, *, environ: Mapping[str, str] = os.environ) -> None:
    """Open the gate, bots with `stop: true` included; start the runner first when it does not run.

    A runner that is started gets the values of its secrets anew, from `environ` as the plan says. FactoryError,
    which names the secrets that have no value.
    """
    factory = find(home, name, stage)
    state, roster = factory.state, factory.roster
    if factory.standing == "damaged":
        raise _damaged(factory)
    if roster is None or state.unfinished.exists():
        raise FactoryError(f"{state.name} was never built to the end", "demolish it, or build it again")
    with changing(state):
        if runner_pid(state) is not None:
            request = ask(state, gate="open", held=False)
            _await_request(state, request, "open")
            return
        values = resolve_secrets(roster.secrets, environ)
        say(f"starting the runner of {state.name}")
        ask(state, gate="open", held=False)
        launch = Launch(state, roster, values, detach=True)
        trouble = await_ready(launch, state)
        launch.keep()
        if trouble:
            raise FactoryError(said(trouble), "the other bots run; mend this one, then resume again")


def attend(launch: Launch, state: StageState) -> Iterator[str]:
    """The lines of the stream while a runner in the foreground lives; SIGTERM is passed on to it.

    Ctrl-C reaches the runner by itself: both are of the terminal's foreground group. Use it in the main thread.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: launch.process.terminate()),
    }
    try:
        for line in follow_stream(state.logs):
            if line is not None:
                yield line
            elif launch.process.poll() is not None:
                return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        launch.hang_up()
        launch.process.wait()


def left(factory: Factory) -> Left:
    """What is in the queues of `factory`. FactoryError when they cannot be read."""
    if not factory.state.database.exists():
        return Left(0, 0)
    with open_queues(factory.state) as queues:
        depths = queues.history.depths().values()
        return Left(
            sum(depth.ready + depth.delayed + depth.leased for depth in depths), sum(depth.dead for depth in depths)
        )


def demolish(factory: Factory, say: Say, discard: Callable[[Left], bool]) -> bool:
    """Finish what is in hand, bot after bot along the workflow, end the runner and delete the stage.

    When anything is left in the queues, `discard` is asked; if it says no, the stage goes on as before and the
    answer is False. Nobody can submit between the count and the end. FactoryError.
    """
    state = factory.state
    with changing(state):
        was_open = factory.status is not None and factory.status.gate == "open"
        if runner_pid(state) is not None:
            _close_gate(state, say)
        with _nobody_submitting(state):
            remaining = left(factory)
            goes = not (remaining.jobs or remaining.dead) or discard(remaining)
            if goes:
                _end_runner(state)
                remove(state)
                _tidy(state)
        if not goes and was_open and runner_pid(state) is not None:
            ask(state, gate="open")
    return goes


@contextmanager
def _nobody_submitting(state: StageState) -> Iterator[None]:
    """Wait for those who submit, and keep all others from it, so that no job is acknowledged and then deleted."""
    try:
        lock = take_folder(state.folder, shared=False, wait=LONGEST_END)
    except FileNotFoundError:
        raise FactoryError(f"{state.name} is not built here any more", "see `factory-cdk list`") from None
    if lock is None:
        raise FactoryError(
            f"jobs are being submitted to {state.name} all the time",
            f"end what submits them, then try again; "
            f"factory-cdk resume --name {state.factory} --stage {state.stage} opens its gate again",
        )
    with holding(lock):
        yield


def _end_runner(state: StageState) -> None:
    for end in ("warm", "cold"):
        if runner_pid(state) is None:
            return
        ask(state, gate="closed", end=end)
        if await_end(state, LONGEST_END):
            return
    raise FactoryError(f"the runner of {state.name} does not end (process {runner_pid(state)})", "kill it, try again")


def _tidy(state: StageState) -> None:
    """Remove the stage's lock, which we hold, and the factory's folder when this was its last stage."""
    state.change_lock.unlink(missing_ok=True)
    if not any(state.folder.parent.iterdir()):
        state.folder.parent.rmdir()


def _close_gate(state: StageState, say: Say) -> None:
    request = ask(state, gate="closed")
    said_in_hand = -1
    while True:
        status = read_status(state)
        if status and status.request == request and status.gate == "closed":
            return
        if runner_pid(state) is None:
            return
        in_hand = sum(worker.in_hand for worker in status.workers) if status else 0
        if in_hand and in_hand != said_in_hand:
            say(f"finishing {in_hand} {'job' if in_hand == 1 else 'jobs'} in hand")
            said_in_hand = in_hand
        time.sleep(0.02)


def _await_request(state: StageState, request: str, gate: str) -> None:
    deadline = time.monotonic() + LONGEST_END
    while time.monotonic() < deadline and runner_pid(state) is not None:
        status = read_status(state)
        if status and status.request == request and status.gate == gate:
            return
        time.sleep(0.02)
    raise FactoryError(f"the runner of {state.name} does not answer", f"see {state.logs / 'runner.log'}")


def _damaged(factory: Factory) -> FactoryError:
    return FactoryError(
        f"{factory.state.name} is damaged: {factory.state.roster} cannot be read",
        f"factory-cdk demolish --name {factory.name} --stage {factory.stage}, then build it again",
    )


def _roster(factory: Factory) -> Roster:
    if factory.standing == "damaged":
        raise _damaged(factory)
    if factory.roster is None:
        raise FactoryError(f"{factory.state.name} was never built to the end", "demolish it, or build it again")
    return factory.roster


def _need_runner(factory: Factory) -> None:
    if factory.pid is None:
        raise FactoryError(
            f"the runner of {factory.state.name} does not run ({factory.standing})",
            f"factory-cdk resume --name {factory.name} --stage {factory.stage}",
        )
