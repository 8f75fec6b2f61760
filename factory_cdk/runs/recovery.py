"""What a recovery leaves as it is, and what it lets be as if it had not begun."""

from __future__ import annotations

from factory_cdk.runs.draft import Draft
from factory_cdk.runs.events import Recover
from factory_cdk.runs.graph import Placed, Replay
from factory_cdk.runs.state import ENDED, WHOLE, Key, Role, Row, RunState, Status, Withdraw


def reset(draft: Draft, event: Recover) -> None:
    """Let all rows be waiting that are to be started anew, or may have to be; the outermost scope is opened then."""
    draft.state = RunState.RUNNING
    draft.recovery += 1
    for key, row in draft.run.rows.items():
        if row.status is Status.ACTIVE and row.role in (Role.STEP, Role.UNIT):
            draft.withdraws.append(Withdraw(key, row.attempt))
        if row.holds:
            draft.put(key, row._replace(holds=()))
    for placed in draft.graph.inside[WHOLE.path]:
        _reset_step(draft, event, placed, Key(placed.path, WHOLE.sequence), forced=False)


def _reset_step(draft: Draft, event: Recover, placed: Placed, key: Key, *, forced: bool) -> bool:
    """Reset a step and what is in it; whether any of that was reset."""
    row = draft.row_or(key, Row(Role.GROUP if placed.step.is_group else Role.STEP))
    forced = forced or key.path in event.rerun
    if row.role is Role.STEP:
        kept = _kept(placed, key, row, event, forced=forced)
        draft.put(key, kept or _blank(row))
        return kept is None
    some = False
    for unit_key in draft.units(key):
        some = _reset_unit(draft, event, placed, unit_key, forced=forced) or some
    if not some and row.status in ENDED and _kept(placed, key, row, event, forced=forced) == row:
        return False
    draft.put(key, _blank(row))
    return True


def _reset_unit(draft: Draft, event: Recover, placed: Placed, key: Key, *, forced: bool) -> bool:
    row = draft.row_or(key, Row(Role.UNIT))
    if row.role is Role.UNIT:
        kept = _kept(placed, key, row, event, forced=forced)
        draft.put(key, kept or _blank(row))
        return kept is None
    forced = forced or (row.status is Status.SUCCEEDED and _kept(placed, key, row, event, forced=False) is None)
    some = forced
    for inner in draft.graph.inside[placed.path] if row.started is not None else ():
        some = _reset_step(draft, event, inner, Key(inner.path, key.sequence), forced=forced) or some
    if some or row.status is not Status.SUCCEEDED:
        draft.put(key, _blank(row))
        return True
    return False


def _kept(placed: Placed, key: Key, row: Row, event: Recover, *, forced: bool) -> Row | None:
    """The row that a recovery leaves; None when the step is to be started anew if it comes to that."""
    if forced or row.status in (Status.SKIPPED, Status.WAITING):
        return None
    if event.only is not None:
        wanted = key in event.only or Key(key.path, "") in event.only
        return row if row.status in ENDED and not wanted else None
    recovery = placed.step.recovery
    match row.status:
        case Status.SUCCEEDED:
            replay = recovery.succeeded
        case Status.FAILED:
            replay = recovery.failed
        case Status.ACTIVE:
            replay = recovery.active
        case _:
            replay = recovery.ready
    if replay is Replay.RERUN:
        return None
    if row.status in ENDED:
        return row
    return _blank(row)._replace(status=Status.SKIPPED, reason="its `recovery` leaves it out")


def _blank(row: Row) -> Row:
    return Row(row.role, attempt=row.attempt)
