"""Which jobs a change touches: those that wait in queues, and those that workers have in hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factory_cdk.review.model import Difference, Effect, QueueReport, SectorReport, Verdict, WorkerReport
from factory_cdk.review.sectors import same_bot
from factory_cdk.review.sides.side import QueueSide, StageSide

_DELETED = "the queue is deleted, with the jobs that are in it"
_KEPT = "the queue stays on AWS with the jobs that are in it, outside of the stack, and no bot reads them"
_LOCAL = "the jobs in it stay in this machine's database, and no bot reads them"


def queue_reports(before: StageSide | None, after: StageSide | None) -> tuple[QueueReport, ...]:
    """Every queue of both sides."""
    names = dict.fromkeys((*(before.queues if before else ()), *(after.queues if after else ())))
    return tuple(_queue(name, before, after) for name in names)


def _queue(name: str, before: StageSide | None, after: StageSide | None) -> QueueReport:
    was = before.queues.get(name) if before else None
    now = after.queues.get(name) if after else None
    readers = _readers(name, before), _readers(name, after)
    if was is None or now is None:
        gone = now is None
        jobs = _left(was) if was is not None else ""
        verdict = Verdict.REMOVED if gone else Verdict.ADDED
        return QueueReport(name, verdict, *readers, jobs=jobs, loses_jobs=jobs == _DELETED)
    why = tuple(_of_queue(was, now, before, after, readers))
    if not why:
        return QueueReport(name, Verdict.UNCHANGED, *readers)
    replaced = any(one.effect is Effect.REPLACE for one in why)
    jobs = _left(was) if replaced else ""
    if readers[0] != readers[1] and not replaced:
        new = [bot for bot in readers[1] if bot not in readers[0]]
        jobs = f"the jobs in it go to {', '.join(new)}" if new else "fewer bots read it"
    return QueueReport(name, Verdict.REPLACED if replaced else Verdict.CHANGED, *readers, why, jobs, jobs == _DELETED)


def _left(queue: QueueSide) -> str:
    """What becomes of the jobs in a queue that the new version has no longer."""
    if queue.stack is None:
        return _LOCAL
    return _KEPT if queue.kept else _DELETED


def _readers(queue: str, side: StageSide | None) -> tuple[str, ...]:
    bots = [
        bot.release.name
        for sector in (side.sectors.values() if side else ())
        for bot in sector.bots.values()
        if bot.release.queue == queue
    ]
    return tuple(dict.fromkeys(bots))


def _of_queue(
    was: QueueSide,
    now: QueueSide,
    before: StageSide | None,
    after: StageSide | None,
    readers: tuple[tuple[str, ...], tuple[str, ...]],
) -> Iterator[Difference]:
    there, here = _place(before, was), _place(after, now)
    if there != here:
        yield Difference("queue", there, here, Effect.REPLACE, "a queue cannot move: it is another one afterwards")
    if readers[0] != readers[1]:
        yield Difference("read by", list(readers[0]), list(readers[1]), why="other bots read it")
    if was.visibility_timeout != now.visibility_timeout:
        yield Difference(
            "visibility-timeout", was.visibility_timeout, now.visibility_timeout, why="changed without interruption"
        )


def _place(side: StageSide | None, queue: QueueSide) -> str:
    stack = side.stacks.get(queue.stack or "") if side else None
    return f"{queue.physical_name} in {stack.name}, {stack.region}" if stack else "this machine's database"


def worker_reports(
    before: StageSide | None, after: StageSide | None, sectors: Iterable[SectorReport]
) -> tuple[WorkerReport, ...]:
    """The workers that restart or end, by sector and bot."""
    if before is None:
        return ()
    return tuple(report for sector in sectors for report in _workers(before, after, sector))


def _workers(before: StageSide, after: StageSide | None, sector: SectorReport) -> Iterator[WorkerReport]:
    old = before.sectors.get(sector.name)
    new = after.sectors.get(sector.name) if after else None
    if old is None or sector.verdict is Verdict.UNCHANGED:
        return
    for name, bot in old.bots.items():
        again = bot.release.arguments.visibility_timeout
        if new is None or name not in new.bots:
            yield WorkerReport(sector.name, name, "its workers end", _in_hand(again, elsewhere=_elsewhere(name, after)))
        elif sector.verdict is Verdict.REPLACED:
            may = "may be" if sector.possible else "is"
            yield WorkerReport(sector.name, name, f"its instance {may} replaced", _in_hand(again, elsewhere=True))
        elif sector.verdict is Verdict.RESTARTED:
            yield WorkerReport(sector.name, name, "its instance stops and starts", _in_hand(again, elsewhere=True))
        elif not same_bot(bot, new.bots[name]):
            yield WorkerReport(
                sector.name,
                name,
                "its workers restart one after the other",
                "each finishes the job that it has in hand first",
            )


def _in_hand(seconds: int, *, elsewhere: bool) -> str:
    if not elsewhere:
        return "a job in hand that is not finished then stays in its queue, and no bot reads it"
    return f"a job in hand that is not finished then starts again at most {seconds} s later, which counts as an attempt"


def _elsewhere(bot: str, side: StageSide | None) -> bool:
    return side is not None and any(bot in sector.bots for sector in side.sectors.values())
