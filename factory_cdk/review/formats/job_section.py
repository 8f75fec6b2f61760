"""What becomes of queues, of the jobs in them, and of those that workers have in hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factory_cdk.review.formats.blocks import Block, Bullets, Details, Line, Mark, Piece, Said, Sign, Value
from factory_cdk.review.formats.grouping import alike, difference_key, severity
from factory_cdk.review.formats.values import change, counted, names
from factory_cdk.review.model import QueueReport, StageReport, Verdict, WorkerReport

MOST_LINES = 8
"""Lines that are open; further ones are in the details."""


def job_blocks(stage: StageReport) -> Iterator[Block]:
    """A line for each queue and each kind of worker; queues that lose jobs first."""
    queues = [one for one in stage.queues if one.verdict is not Verdict.UNCHANGED or one.loses_jobs]
    queues.sort(key=lambda one: (not one.loses_jobs, severity(one.verdict)))
    lines = [_queue(same) for same in alike(queues, _queue_key)]
    bots = [(same, _sectors(same)) for same in alike(stage.workers, lambda one: (one.bot, one.what, one.jobs))]
    lines += [_workers(same) for same in alike(bots, lambda one: (one[1], one[0][0].what, one[0][0].jobs))]
    yield from opened(lines, "Jobs", "more line")


def opened(lines: Sequence[Line], title: str, of: str) -> Iterator[Block]:
    """As many lines as a reader takes in at a glance, and the others in details."""
    if lines:
        yield Bullets(tuple(lines[:MOST_LINES]), title)
    if len(lines) > MOST_LINES:
        more = lines[MOST_LINES:]
        yield Details(f"{title}: {counted(len(more), of)}", (Bullets(capped(more, of)),))


def _queue_key(queue: QueueReport) -> tuple[object, ...]:
    why = tuple(map(difference_key, queue.why))
    return (queue.verdict, queue.loses_jobs, queue.jobs, queue.bots_before, queue.bots_after, why)


def _queue(same: Sequence[QueueReport]) -> Line:
    first = same[0]
    line: list[Piece] = [Mark(first.verdict, str(first.verdict)), ": "]
    line += ["queue " if len(same) == 1 else "queues ", *names([one.name for one in same], "queue")]
    if first.bots_before != first.bots_after:
        line += [", read by ", *_bots(first.bots_before), " → ", *_bots(first.bots_after)]
    for one in first.why:
        line += [", ", Value(one.what), " ", *change(one.before, one.after)]
        if one.why:
            line += [" (", Said(one.why), ")"]
    if first.jobs or first.loses_jobs:
        line += ["; ", Sign("⚠️", "jobs are lost")] if first.loses_jobs else []
        line += [": " if first.loses_jobs else "; ", Said(first.jobs)] if first.jobs else []
    return tuple(line)


def _bots(found: Sequence[str]) -> Line:
    return names(found, "bot") if found else ("nobody",)


def _sectors(workers: Sequence[WorkerReport]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.sector for one in workers))


def _workers(same: Sequence[tuple[Sequence[WorkerReport], tuple[str, ...]]]) -> Line:
    """Bots on the same sectors whose workers fare alike."""
    first = same[0][0][0]
    bots = names([workers[0].bot for workers, _ in same], "bot")
    line: list[Piece] = ["workers of ", *bots, " on ", *names(same[0][1], "sector"), ": ", Said(first.what)]
    if first.jobs:
        line += ["; ", Said(first.jobs)]
    return tuple(line)


def capped(lines: Sequence[Line], of: str, most: int = 100) -> tuple[Line, ...]:
    """The first `most` lines, and how many more there are."""
    if len(lines) <= most:
        return tuple(lines)
    return (*lines[:most], (f"and {counted(len(lines) - most, of)}",))
