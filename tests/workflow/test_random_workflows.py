"""Whole factories in one process: random workflows, the real router and the real embedded queues.

Every job that succeeds must reach every successor exactly once, so a bot gets exactly one job per path that
leads to it from a submitted job without a failure on the way, whatever is retried, lost or delivered twice.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from queue_calls import run_jobs, settle_and_claim

from factory_cdk.plan.model import Successor
from factory_cdk.queues.port import Failed, Failure, Finished, Forward, Job, Lease, Outcome, Wanted
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.workflow.routing import forwards

LEASE = 10.0
Workflow = Mapping[int, tuple[int, ...]]


@st.composite
def workflows(draw: st.DrawFn) -> dict[int, tuple[int, ...]]:
    """Bots 0 … n-1 with edges from lower to higher numbers only: every acyclic graph, several roots allowed."""
    bots = draw(st.integers(1, 6))
    return {
        bot: tuple(draw(st.lists(st.integers(bot + 1, bots - 1), unique=True))) if bot + 1 < bots else ()
        for bot in range(bots)
    }


def successors(workflow: Workflow, bot: int) -> tuple[Successor, ...]:
    return tuple(Successor(f"bot-{after}", f"queue-{after}", "here") for after in workflow[bot])


def expected(workflow: Workflow, roots: list[int], broken: set[int]) -> Counter[tuple[int, ...]]:
    """How often each path is walked: from every submitted job on, through bots that work."""
    walked: Counter[tuple[int, ...]] = Counter()
    ahead = [(root,) for root in roots]
    while ahead:
        path = ahead.pop()
        walked[path] += 1
        if path[-1] not in broken:
            ahead += [(*path, after) for after in workflow[path[-1]]]
    return walked


class SimulatedFactory:
    """A runner without processes: bots append their number to the payload; the dice say what goes wrong."""

    def __init__(self, folder: str, workflow: Workflow, broken: set[int]) -> None:
        self.now = 1_000_000.0
        self.queues = SqliteQueues(Path(folder, "queues.db"), clock=lambda: self.now, sync=lambda _: None)
        self.workflow = workflow
        self.broken = broken
        self.wanted = [Wanted(f"queue-{bot}", 2, LEASE) for bot in workflow]

    def result(self, lease: Lease) -> list[int]:
        return [*lease.job.payload, int(lease.job.bot.removeprefix("bot-"))]

    def following(self, lease: Lease, outcome: Outcome) -> tuple[Forward, ...]:
        bot = int(lease.job.bot.removeprefix("bot-"))
        return forwards(successors(self.workflow, bot), lease.job, outcome, self.result(lease))

    def run(self, dice: random.Random) -> None:
        while True:
            leases = settle_and_claim(self.queues, [], self.wanted)[1]
            if not leases and not any(depth.delayed + depth.leased for depth in self.queues.history.depths().values()):
                return
            settled = []
            for lease in leases:
                fate = dice.choice(["done", "done", "done", "error", "killed", "late"])
                if int(lease.job.bot.removeprefix("bot-")) in self.broken:
                    settled.append(Failed(lease, Failure("Error", "broken", "", lease.job.attempt), None))
                elif fate == "done":
                    settled.append(Finished(lease, self.following(lease, Outcome.SUCCESS), self.result(lease)))
                elif fate == "error":
                    settled.append(Failed(lease, Failure("Error", "", "", lease.job.attempt), 1.0))
                elif fate == "late":
                    self.send_before_the_end(lease)
            settle_and_claim(self.queues, settled, [])
            self.now += dice.choice([0.0, 1.0, LEASE + 1])
            if not leases:
                self.now += LEASE + 1

    def send_before_the_end(self, lease: Lease) -> None:
        """What an engine does that cannot forward and acknowledge as one, and dies in between."""
        for forward in self.following(lease, Outcome.SUCCESS):
            self.queues.send(forward.queue, [forward.job])


@settings(max_examples=40)
@given(workflows(), st.data(), st.integers(0, 2**32))
def test_every_path_of_a_random_workflow_is_walked_exactly_once(
    workflow: Workflow, data: st.DataObject, seed: int
) -> None:
    roots = data.draw(st.lists(st.sampled_from(sorted(workflow)), min_size=1, max_size=4))
    broken = data.draw(st.sets(st.sampled_from(sorted(workflow)), max_size=1))
    with tempfile.TemporaryDirectory() as folder:
        factory = SimulatedFactory(folder, workflow, broken)
        with factory.queues as queues:
            for number, root in enumerate(roots):
                queues.send(f"queue-{root}", [Job(f"job-{number}", f"bot-{root}", [], "run", tags={"n": "1"})])
            factory.run(random.Random(seed))  # noqa: S311
            records = run_jobs(queues, "run")
    walked = Counter((*record.job.payload, int(record.job.bot.removeprefix("bot-"))) for record in records)
    assert walked == expected(workflow, roots, broken)
    for record in records:
        fails = int(record.job.bot.removeprefix("bot-")) in broken
        assert record.outcome is (Outcome.DEAD if fails else Outcome.SUCCESS)
        assert record.job.tags == {"n": "1"}
