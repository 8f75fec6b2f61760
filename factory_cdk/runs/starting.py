"""Which steps start now: first come, first served, as far as there are places and as the pools suffice."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from factory_cdk.runs.draft import Draft
from factory_cdk.runs.graph import Amounts
from factory_cdk.runs.state import Claim, Key, Role, Row, Start, Status


def start_what_can(
    draft: Draft, open_scope: Callable[[Draft, Key], None], fail: Callable[[Draft, Key, str], None]
) -> bool:
    """Start all that can start; whether anything has changed by that, so that more may follow."""
    busy = False
    while True:
        claims = [claim for claim in draft.lines() if not (claim[0] and _is_full(draft))]
        heads = [(draft.row(key).order, key, claim) for claim in claims if (key := draft.first(claim)) is not None]
        heads.sort()
        blocked: set[str] = set()
        for _, key, claim in heads:
            pools = {pool for pool, _ in claim[1]}
            if not pools & blocked and _suffices(draft, key, claim):
                break
            if not (pools and _short(draft, claim, draft.held()) and draft.is_idle()):
                blocked |= pools  # else nobody in front of those behind it would ever go
        else:
            return _fail_hopeless(draft, heads, fail) or busy
        busy = True
        if _start(draft, key, open_scope):
            return True


def _is_full(draft: Draft) -> bool:
    most = draft.graph.max_concurrent
    return most is not None and draft.active >= most


def _suffices(draft: Draft, key: Key, claim: Claim) -> bool:
    """Whether the pools have what a start takes, and no other run has waited for longer."""
    pools, held = draft.pools, draft.held() if claim[1] else {}
    since = draft.row(key).since or 0.0
    return all(
        count <= pools.size.get(pool, 0) - pools.taken.get(pool, 0) - held.get(pool, 0)
        and not pools.since.get(pool, since) < since
        for pool, count in claim[1]
    )


def _start(draft: Draft, key: Key, open_scope: Callable[[Draft, Key], None]) -> bool:
    """Start the step of `key`, or its next unit; whether it has opened a container, from which more follows."""
    row = draft.row(key)
    holds = draft.run.claim(key)[1]
    if row.role is Role.STEP:
        row = row._replace(order=0, status=Status.ACTIVE, started=draft.now, attempt=row.attempt + 1)
        draft.change(key, row._replace(holds=_added(row.holds, holds)))
        draft.starts.append(Start(key, row.attempt))
        return False
    number = draft.next_unit(key)
    assert number is not None  # noqa: S101 - who has no unit left is in no line
    group = row._replace(next=number + 1, running=row.running + 1, status=Status.ACTIVE)
    if row.status is Status.ACTIVE:
        draft.put(key, group)
    else:
        draft.change(key, group._replace(started=draft.now))
    if draft.next_unit(key) is None or not draft.has_room(key):
        draft.put(key, draft.row(key)._replace(order=0))
    is_scope = bool(draft.graph.placed[key.path].step.steps)
    unit_key = draft.unit(key, number)
    unit = draft.row_or(unit_key, Row(Role.SCOPE if is_scope else Role.UNIT))
    unit = unit._replace(
        status=Status.ACTIVE, since=draft.now, started=draft.now, attempt=unit.attempt + 1, finished=None, reason=""
    )
    draft.put(unit_key, unit._replace(holds=_added(unit.holds, holds)))
    if is_scope:
        open_scope(draft, unit_key)
        return True
    draft.starts.append(Start(unit_key, unit.attempt))
    return False


def _added(holds: Amounts, more: Amounts) -> Amounts:
    if not holds:
        return more
    found = dict(holds)
    for pool, count in more:
        found[pool] = found.get(pool, 0) + count
    return tuple(sorted(found.items()))


def _fail_hopeless(draft: Draft, heads: list[tuple[int, Key, Claim]], fail: Callable[[Draft, Key, str], None]) -> bool:
    """Fail a step that waits for what cannot come: more than there is beside what the run keeps until it ends, or what
    steps have that would have to end first, while nothing runs and nothing is delayed.
    """
    if not any(claim[1] for _, _, claim in heads):
        return False
    kept = draft.kept()
    for _, key, claim in heads:
        if short := _short(draft, claim, kept):
            fail(draft, key, _why(draft, short, kept))
            return True
    held = draft.held()
    if not draft.is_idle() or not all(_short(draft, claim, held) for _, _, claim in heads):
        return False
    _, key, claim = heads[0]
    fail(draft, key, _why(draft, _short(draft, claim, held), held))
    return True


def _short(draft: Draft, claim: Claim, held: Mapping[str, int]) -> tuple[str, int] | None:
    """The first pool, and how much of it, that a start takes and that is not there beside what the run has."""
    size = draft.pools.size
    return next(((pool, count) for pool, count in claim[1] if count > size.get(pool, 0) - held.get(pool, 0)), None)


def _why(draft: Draft, short: tuple[str, int] | None, held: Mapping[str, int]) -> str:
    pool, count = short or ("", 0)
    has = f"it acquires {count} of the pool `{pool}`, which has {draft.pools.size.get(pool, 0)}"
    return f"{has}; the run itself keeps {held[pool]} of them" if held.get(pool) else has
