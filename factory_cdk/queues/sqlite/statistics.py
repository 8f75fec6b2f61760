"""How a database's jobs went, bot by bot: counts, and how long they waited and were in hand."""

from __future__ import annotations

import sqlite3
from array import array

from factory_cdk.queues.client import BotStatistics, Search, spread
from factory_cdk.queues.sqlite.search import condition

_COUNTS = """
SELECT bot, count(*), sum(outcome IS 'success'), sum(outcome IS 'dead'), sum(outcome IS 'cancelled'),
    sum(outcome IS NULL), sum(earlier + attempt - (outcome IS NULL AND token IS NULL))
FROM jobs WHERE {} GROUP BY bot ORDER BY min(seq)"""
_FAILURES = "SELECT bot, count(*) FROM jobs JOIN failures ON failures.job = jobs.seq WHERE {} GROUP BY bot"
_TIMES = """
SELECT bot, max(0.0, first_started - enqueued), CASE WHEN outcome IN ('success', 'dead')
    THEN max(0.0, finished - started) END
FROM jobs WHERE {} AND first_started IS NOT NULL"""


def statistics(connection: sqlite3.Connection, search: Search, now: float) -> list[BotStatistics]:
    """One entry for every bot that has jobs which `search` means, in the order of their first job. Call it inside
    a transaction, so that all of it is from one moment; a million jobs take about 5 s of CPU.
    """
    where, values = condition(search, now)
    run = connection.execute
    failures = dict(run(_FAILURES.format(where), values).fetchall())
    waiting: dict[str, array[float]] = {}
    processing: dict[str, array[float]] = {}
    for bot, waited, processed in run(_TIMES.format(where), values):
        waiting.setdefault(bot, array("d")).append(waited)
        if processed is not None:
            processing.setdefault(bot, array("d")).append(processed)
    return [
        BotStatistics(
            bot,
            count,
            success,
            dead,
            cancelled,
            live,
            attempts,
            failures.get(bot, 0),
            spread(waiting.get(bot, ())),
            spread(processing.get(bot, ())),
        )
        for bot, count, success, dead, cancelled, live, attempts in run(_COUNTS.format(where), values)
    ]
