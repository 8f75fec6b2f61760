"""Which jobs of a database are meant, as SQL: every condition is a constant here, every value is bound."""

from __future__ import annotations

from factory_cdk.queues.client import Search

_STATE = """coalesce(outcome, CASE WHEN due <= ? THEN 'ready' WHEN token IS NULL THEN 'delayed' ELSE 'leased' END)"""
_TAG = "EXISTS (SELECT 1 FROM json_each(jobs.tags) AS tag WHERE tag.key = ? AND tag.value = ?)"


def condition(search: Search, now: float) -> tuple[str, tuple[object, ...]]:
    """`search` as what follows WHERE, and the values to bind; `now` is the engine's clock."""
    parts: list[str] = []
    values: list[object] = []
    if search.states:
        parts.append(f"{_STATE} IN ({', '.join('?' * len(search.states))})")
        values += [now, *search.states]
    for key, value in search.tags.items():
        parts.append(_TAG)
        values += [key, value]
    plain = {
        "jobs.bot = ?": search.bot,
        "jobs.run = ?": search.run,
        "jobs.parent = ?": search.parent,
        "jobs.enqueued >= ?": search.since,
        "jobs.enqueued < ?": search.until,
    }
    parts += [part for part, value in plain.items() if value is not None]
    values += [value for value in plain.values() if value is not None]
    if search.id is not None:
        parts.append("substr(jobs.id, 1, ?) = ?")
        values += [len(search.id), search.id]
    return " AND ".join(parts) or "1", tuple(values)
