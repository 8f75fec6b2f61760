"""From an event to what follows from it: `advance`, the one function that moves a run, pure over frozen rows."""

from __future__ import annotations

from factory_cdk.runs.conditions import All, Atom, Truth, atoms, truth
from factory_cdk.runs.draft import Draft
from factory_cdk.runs.events import Begin, Cancel, Event, Finished, Look, Recover
from factory_cdk.runs.graph import ROOT, OnFailure, Placed
from factory_cdk.runs.recovery import reset
from factory_cdk.runs.starting import start_what_can
from factory_cdk.runs.state import ENDED, WHOLE, Advance, Key, Role, Row, Run, RunState, Status, Withdraw, truth_of


def advance(run: Run, event: Event) -> Advance:
    """What follows from `event`; `run` stays as it is until it is told to `apply` it.

    Whatever is no news changes nothing: an end that was told before, a second beginning, an event after the end.
    """
    draft = Draft(run, event.now, event.pools)
    match event:
        case Begin():
            if run.state is RunState.NEW:
                draft.state = RunState.RUNNING
                open_scope(draft, WHOLE)
        case Recover():
            if run.state is not RunState.NEW:
                reset(draft, event)
                open_scope(draft, WHOLE)
        case Finished():
            row = run.rows.get(event.key)
            if row is not None and row.status is Status.ACTIVE and row.attempt == event.attempt:
                _end_started(draft, event.key, row, event.failure)
        case Cancel():
            if run.state is RunState.RUNNING:
                _cancel(draft, event.reason)
        case Look():
            pass
    if draft.state is RunState.RUNNING:
        _settle(draft)
    return draft.advance()


NOT_REACHED = "the recovery did not come to it"


def _settle(draft: Draft) -> None:
    """Carry on until nothing more follows."""
    _wake(draft)
    while True:
        _propagate(draft)
        if draft.state is not RunState.RUNNING or not start_what_can(draft, open_scope, _fail_start):
            return


def _wake(draft: Draft) -> None:
    """Let be ready what was delayed until now, the first to be due first."""
    due = sorted((due, key) for key, due in draft.run.delayed.items() if due <= draft.now)
    for _, key in due:
        if draft.row(key).due is not None:
            _be_ready(draft, key)


def open_scope(draft: Draft, key: Key) -> None:
    """Begin, or begin again after a recovery, the steps of the container and iteration `key`."""
    inside = draft.graph.inside[key.path]
    draft.put(
        key,
        draft.row_or(key, Row(Role.SCOPE))._replace(status=Status.ACTIVE, open=0, failed=0, stopped=False, reason=""),
    )
    waiting = []
    for placed in inside:
        child = Key(placed.path, key.sequence)
        row = draft.row_or(child, Row(Role.GROUP if placed.step.is_group else Role.STEP))
        if row.status not in ENDED:
            waiting.append((placed, child))
        draft.put(child, row)
    draft.put(key, draft.row(key)._replace(open=len(waiting)))
    decided = []
    for placed, child in waiting:
        value, pending = _judge(draft, placed, child)
        if value is None:
            draft.put(child, draft.row(child)._replace(pending=pending))
        else:
            decided.append((placed, child, value))
    for placed, child, value in decided:
        _decide(draft, placed, child, value)
    if not waiting:
        draft.closing.append(key)


def _judge(draft: Draft, placed: Placed, key: Key) -> tuple[Truth, int]:
    """Whether what a step needs holds, and how many parts of it are undecided (where it is `flat`)."""
    if placed.step.needs is None:
        return True, 0

    def of(atom: Atom) -> Truth:
        return truth_of(atom, draft.row(draft.beside(placed, atom.step, key.sequence)))

    flat = placed.flat
    if flat is None:
        return truth(placed.step.needs, of), 0
    values = [of(atom) for atom in flat]
    if placed.decisive in values:
        return placed.decisive, 0
    pending = values.count(None)
    return (None if pending else not placed.decisive), pending


def _propagate(draft: Draft) -> None:
    """Tell the steps that name those that have changed, and end the containers whose steps have all ended."""
    while draft.changed or draft.closing:
        if not draft.changed:
            _close_scope(draft, draft.closing.popleft())
            continue
        key, old, new = draft.changed.popleft()
        for placed, about in draft.graph.placed[key.path].dependents:
            _hear(draft, placed, about, Key(placed.path, key.sequence), old, new)


def _hear(draft: Draft, placed: Placed, about: tuple[Atom, ...], key: Key, old: Row, new: Row) -> None:
    """A step hears that one that it names, by the atoms `about`, was `old` and is `new`."""
    row = draft.row(key)
    if row.status is not Status.WAITING or row.due is not None:
        return
    if placed.flat is None:
        value, _ = _judge(draft, placed, key)
        if value is not None:
            _decide(draft, placed, key, value)
        return
    pending = row.pending
    for atom in about:
        value = truth_of(atom, new) if truth_of(atom, old) is None else None
        if value is placed.decisive:
            _decide(draft, placed, key, value)
            return
        pending -= value is not None
    if not pending:
        _decide(draft, placed, key, not placed.decisive)
    elif pending != row.pending:
        draft.put(key, row._replace(pending=pending))


def _decide(draft: Draft, placed: Placed, key: Key, value: bool) -> None:
    """What a step needs is decided."""
    row = draft.row(key)
    scope_key = Key(placed.inside, key.sequence)
    scope = draft.row(scope_key)
    if row.status is not Status.WAITING or row.due is not None:
        return
    if not value:
        _end_step(draft, key, Status.SKIPPED, _why_not(draft, placed, key))
    elif scope.stopped and not placed.expects_failure:
        draft.put(scope_key, scope._replace(failed=scope.failed + 1))
        _end_step(draft, key, Status.SKIPPED, scope.reason)
    elif placed.step.delay > 0:
        draft.put(key, row._replace(due=draft.now + placed.step.delay, pending=0))
    else:
        _be_ready(draft, key)


def _why_not(draft: Draft, placed: Placed, key: Key) -> str:
    """Why what a step needs cannot hold any more, in words."""
    needs = placed.step.needs
    parts = needs.parts if isinstance(needs, All) else (needs,)
    for part in parts:
        for atom in atoms(part):
            row = draft.row(draft.beside(placed, atom.step, key.sequence))
            if truth_of(atom, row) is False:
                return f"it needs `{part}`, and `{atom.step}` {_SAID[row.status]}"
    return f"it needs `{needs}`"


_SAID = {
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.SKIPPED: "was skipped",
    Status.WAITING: "waits",
    Status.READY: "is ready",
    Status.ACTIVE: "is active",
}


def _be_ready(draft: Draft, key: Key) -> None:
    """What a step needs holds, and its delay is over: it may start."""
    row = draft.row(key)._replace(status=Status.READY, since=draft.now, due=None, pending=0)
    if row.role is Role.GROUP:
        begun = draft.units(key) if draft.recovery else ()
        failed = sum(draft.row(unit).status is Status.FAILED for unit in begun)
        stopped = bool(failed) and draft.graph.placed[key.path].step.items is None
        row = row._replace(next=1, running=0, failed=failed, stopped=stopped)  # a recovery may leave failures
    draft.change(key, row)
    if row.role is Role.GROUP and (row.stopped or draft.next_unit(key) is None):
        _go_on(draft, key)
    else:
        draft.line_up(key)


def _end_started(draft: Draft, key: Key, row: Row, failure: str | None) -> None:
    """What was started is over."""
    status = Status.SUCCEEDED if failure is None else Status.FAILED
    if row.role is Role.STEP:
        draft.put(key, draft.given_back(key))
        _end_step(draft, key, status, failure or "")
    elif row.role is Role.UNIT:
        _end_unit(draft, key, status, failure or "")


def _end_unit(draft: Draft, key: Key, status: Status, reason: str) -> None:
    """An item or iteration is over: what follows in its step."""
    draft.put(key, draft.given_back(key)._replace(status=status, reason=reason, finished=draft.now))
    group_key = draft.group_of(key)
    placed = draft.graph.placed[key.path]
    failed = status is Status.FAILED
    group = draft.row(group_key)
    group = group._replace(running=group.running - 1, failed=group.failed + failed)
    if failed and (placed.step.items is None or placed.on_failure is OnFailure.STOP):
        group = group._replace(stopped=True)
    draft.put(group_key, group)
    if failed:
        _consider_stop(draft, group_key, reason)
    _go_on(draft, group_key)


def _go_on(draft: Draft, key: Key) -> None:
    """Let the next unit of a step line up, or end it when there is none."""
    group = draft.row(key)
    more = not group.stopped and draft.next_unit(key) is not None
    if more and not group.order and draft.has_room(key):
        draft.line_up(key)
    elif not more and group.order:
        draft.put(key, group._replace(order=0))
    if not more and not draft.row(key).running and draft.row(key).status not in ENDED:
        failed = group.failed or group.stopped
        if failed:
            _skip_units(draft, key)
        _end_step(draft, key, Status.FAILED if failed else Status.SUCCEEDED, _why_failed(draft, key) if failed else "")


def _skip_units(draft: Draft, key: Key) -> None:
    """Say of the units of a failed step that were not begun that they will not be."""
    placed = draft.graph.placed[key.path]
    role = Role.SCOPE if placed.step.steps else Role.UNIT
    why = _why_failed(draft, key)
    for number in range(draft.row(key).next, placed.step.total + 1):
        unit = draft.unit(key, number)
        row = draft.row_or(unit, Row(role))
        if row.status not in ENDED:
            draft.put(unit, row._replace(status=Status.SKIPPED, reason=why))


def _why_failed(draft: Draft, key: Key) -> str:
    """Why a step with units has failed, in words."""
    group, placed = draft.row(key), draft.graph.placed[key.path]
    if group.reason:
        return group.reason
    if not group.failed:
        return draft.row(Key(placed.inside, key.sequence)).reason
    what = "items" if placed.step.items is not None else "iterations"
    return (
        f"{group.failed} of its {placed.step.total} {what} failed" if placed.step.total > 1 else "a step in it failed"
    )


def _end_step(draft: Draft, key: Key, status: Status, reason: str = "") -> None:
    """A step has ended, or never will begin."""
    placed = draft.graph.placed[key.path]
    row = draft.row(key)
    finished = None if status is Status.SKIPPED else draft.now
    draft.change(key, row._replace(status=status, reason=reason, finished=finished, due=None, order=0, pending=0))
    scope_key = Key(placed.inside, key.sequence)
    scope = draft.row(scope_key)
    draft.put(scope_key, scope._replace(open=scope.open - 1))
    if scope.open == 1:
        draft.closing.append(scope_key)
    if status is Status.FAILED:
        _consider_stop(draft, key, reason)
    elif status is Status.SKIPPED:
        for handled in placed.handles:  # nobody waits for its failure any more
            other = Key(handled.path, key.sequence)
            if _is_failing(draft.row(other)):
                _consider_stop(draft, other, draft.row(other).reason)


def _is_failing(row: Row) -> bool:
    return row.status is Status.FAILED or (row.status is Status.ACTIVE and bool(row.failed) and row.stopped)


def is_handled(draft: Draft, placed: Placed, sequence: str) -> bool:
    """Whether a step that waits for the failure of this one has been started by it, or still may be."""
    return any(draft.row(Key(one.path, sequence)).status is not Status.SKIPPED for one in placed.handlers)


def _consider_stop(draft: Draft, key: Key, reason: str) -> None:
    """A step has failed, or is bound to: stop what is beside it unless another step waits for that."""
    placed = draft.graph.placed[key.path]
    if placed.on_failure is OnFailure.STOP and not is_handled(draft, placed, key.sequence):
        what = f"`{key.path}` failed"
        _stop_scope(draft, Key(placed.inside, key.sequence), f"the run stopped after {what}")


def _stop_scope(draft: Draft, key: Key, reason: str) -> None:
    """Nothing new starts in the scope `key` but what waits for a failure."""
    scope = draft.row(key)
    if scope.stopped:
        return
    draft.put(key, scope._replace(stopped=True, reason=reason))
    for placed in draft.graph.inside[key.path]:
        child = Key(placed.path, key.sequence)
        row = draft.row(child)
        if placed.expects_failure or row.status in ENDED:
            continue
        if row.status is not Status.ACTIVE:
            if row.status is Status.WAITING and row.due is None and _judge(draft, placed, child)[0] is False:
                _end_step(draft, child, Status.SKIPPED, _why_not(draft, placed, child))
                continue
            draft.put(key, draft.row(key)._replace(failed=draft.row(key).failed + 1))
            _end_step(draft, child, Status.SKIPPED, reason)
        elif row.role is Role.GROUP:
            if draft.next_unit(child) is not None:
                draft.put(child, row._replace(stopped=True, order=0))
            for unit in draft.units(child) if placed.step.steps else ():
                if draft.row(unit).status is Status.ACTIVE:
                    _stop_scope(draft, unit, reason)
            _go_on(draft, child)
    if key.path != ROOT:
        _consider_stop(draft, draft.group_of(key), reason)


def _close_scope(draft: Draft, key: Key) -> None:
    """All steps of a scope have ended: so has it."""
    scope = draft.row(key)
    if scope.status is not Status.ACTIVE or scope.open:
        return
    failed = [
        placed.path
        for placed in draft.graph.inside[key.path]
        if draft.row(Key(placed.path, key.sequence)).status is Status.FAILED
        and not is_handled(draft, placed, key.sequence)
    ]
    status = Status.FAILED if failed or scope.failed else Status.SUCCEEDED
    reason = f"`{failed[0]}` failed" if failed else scope.reason if scope.failed else ""
    if key.path == ROOT:
        draft.put(key, scope._replace(status=status, reason=reason, finished=draft.now))
        for other in draft.keys() if draft.recovery else ():
            if draft.row(other).status not in ENDED:
                draft.put(other, draft.row(other)._replace(status=Status.SKIPPED, reason=NOT_REACHED))
        draft.end(RunState.FAILED if status is Status.FAILED else RunState.SUCCEEDED)
    else:
        _end_unit(draft, key, status, reason)


def _fail_start(draft: Draft, key: Key, reason: str) -> None:
    """A step cannot be started, and never will be."""
    row = draft.row(key)
    if not row.running:
        _end_step(draft, key, Status.FAILED, reason)
    else:
        draft.put(key, row._replace(failed=row.failed + 1, stopped=True, order=0, reason=reason))
        _consider_stop(draft, key, reason)
        _go_on(draft, key)


def _cancel(draft: Draft, reason: str) -> None:
    """End everything at once."""
    for key, row in draft.run.rows.items():
        if row.status in ENDED:
            continue
        started = row.status is Status.ACTIVE
        if started and row.role in (Role.STEP, Role.UNIT):
            draft.withdraws.append(Withdraw(key, row.attempt))
        status = Status.FAILED if started else Status.SKIPPED
        finished = draft.now if started else None
        draft.put(key, row._replace(status=status, reason=reason, finished=finished, due=None, order=0, pending=0))
    draft.end(RunState.CANCELLED)
