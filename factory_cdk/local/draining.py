"""Draining a stage: its bots work on until their queues are empty, one after the other along the workflow."""

from __future__ import annotations

import time
from collections import Counter

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.control import Say
from factory_cdk.local.roster import Posting
from factory_cdk.local.stagequeues import open_queues
from factory_cdk.local.standing import Factory
from factory_cdk.local.state import StageState
from factory_cdk.local.status import read_status, runner_pid
from factory_cdk.local.submission import RUNNER_GONE, TIMED_OUT
from factory_cdk.queues.sqlite import SqliteQueues

SAY_EVERY = 1.0
"""Seconds between two lines of progress, at least."""

WORDS = {"waiting": "died and to be restarted"}
"""States of workers that do not speak for themselves."""

UNABLE = ("stopped", "ended")
"""States of workers that do no jobs until the stage is resumed."""

SOONEST, LATEST = 0.005, 0.2
"""Seconds between two looks, longer the longer nothing changes."""


def drain(factory: Factory, say: Say, timeout: float | None = None, *, still: float = 5.0) -> None:
    """Wait until no job is ready, delayed or in hand, breadth-first along the workflow; dead letters stay. When nothing
    has changed for `still` seconds, `say` is told what the workers are at.

    FactoryError, and the stage goes on: with exit code 3 after `timeout` seconds, 4 when the runner is gone, else
    when jobs wait for a bot that takes none (stopped, or given up).
    """
    deadline = time.monotonic() + timeout if timeout is not None else None
    roster = factory.roster
    if roster is None:
        return
    order = dict.fromkeys([*roster.end_order, *(posting.bot for posting in roster.postings)])
    with open_queues(factory.state) as queues:
        for bot in order:
            postings = [one for one in roster.postings if one.bot == bot]
            _drain_bot(factory.state, queues, postings, say, deadline, still)


def _drain_bot(
    state: StageState, queues: SqliteQueues, postings: list[Posting], say: Say, deadline: float | None, still: float
) -> None:
    said, pause, before = 0.0, SOONEST, -1
    while left := _left(queues, postings):
        now = time.monotonic()
        if left != before:
            before, pause = left, SOONEST
            if now - said >= SAY_EVERY:
                said = now
                say(f"{postings[0].bot}: {left} {'job' if left == 1 else 'jobs'} left")
        elif now - said >= still:
            said = now
            say(f"{postings[0].bot}: still {left} {'job' if left == 1 else 'jobs'} left; {_at_work(state, postings)}")
        _refuse_standstill(state, queues, postings)
        if deadline is not None and now >= deadline:
            raise FactoryError(
                f"bot {postings[0].bot} of {state.name} still has {left} {'job' if left == 1 else 'jobs'}; it goes on",
                "give it more time with --timeout, or demolish without --drain",
                exit_code=TIMED_OUT,
            )
        time.sleep(pause)
        pause = min(LATEST, pause * 2)


def _at_work(state: StageState, postings: list[Posting]) -> str:
    """What the workers of a bot are at."""
    status, places = read_status(state), {posting.place for posting in postings}
    workers = [one for one in status.workers if (one.sector, one.bot) in places] if status else []
    counts = Counter(worker.state for worker in workers)
    named = [f"{count} {WORDS.get(name, name)}" for name, count in sorted(counts.items())]
    return f"of its workers {', '.join(named)}" if named else "it has no workers"


def _left(queues: SqliteQueues, postings: list[Posting]) -> int:
    depths = queues.history.depths({posting.queue for posting in postings if posting.launcher != "qalx"})
    return sum(depth.ready + depth.delayed + depth.leased for depth in depths.values())


def _refuse_standstill(state: StageState, queues: SqliteQueues, postings: list[Posting]) -> None:
    """FactoryError when nobody will ever do what is left."""
    stage = f"--name {state.factory} --stage {state.stage}"
    status = read_status(state)
    if runner_pid(state) is None or status is None:
        raise FactoryError(
            f"the runner of {state.name} does not run; its jobs are kept",
            f"factory-cdk resume {stage}, or demolish without --drain",
            exit_code=RUNNER_GONE,
        )
    if status.gate not in ("open", "opening"):
        raise FactoryError(
            f"{state.name} is {'stopped' if status.gate == 'closed' else status.gate}: its jobs are not done",
            f"factory-cdk resume {stage}, or demolish without --drain",
        )
    for posting in postings:
        crews = [crew for crew in status.crews if crew.queue == posting.queue]
        at_work = {(crew.sector, crew.bot) for crew in crews if crew.open and not crew.broken}
        able = [one for one in status.workers if (one.sector, one.bot) in at_work and one.state not in UNABLE]
        if crews and not able and _left(queues, [posting]):
            raise FactoryError(
                f"bot {posting.bot} of {posting.sector} takes no jobs: {crews[0].broken or 'it is stopped'}",
                f"factory-cdk resume {stage}, or demolish without --drain",
            )
