"""`advance` over random graphs, outcomes and orders, held against the slow model (`model.py`)."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st
from model import Model
from playing import Played

from factory_cdk.runs.advancing import advance
from factory_cdk.runs.conditions import All, Any, Atom, Condition, Wanted
from factory_cdk.runs.events import Begin, Cancel, Finished, Look
from factory_cdk.runs.graph import Graph, OnFailure, Recovery, Replay, Step, all_steps
from factory_cdk.runs.state import ENDED, Key, Pools, Role, Run, RunState, Status, total_of

SIZE = {"database": 2, "licence": 1}
WANTED = st.sampled_from(
    [Wanted.SUCCEEDED] * 4 + [Wanted.FAILED] * 2 + [Wanted.COMPLETED, Wanted.SKIPPED, Wanted.ACTIVE]
)
POLICIES = st.sampled_from([None, None, OnFailure.STOP, OnFailure.CONTINUE])
AMOUNTS = st.sampled_from([(), (), (), (("database", 1),), (("database", 2),), (("database", 1), ("licence", 1))])
REPLAYS = st.sampled_from([Replay.RERUN, Replay.SKIP])
RECOVERIES = st.one_of(st.just(Recovery()), st.builds(Recovery, REPLAYS, REPLAYS, REPLAYS, REPLAYS))


@st.composite
def conditions(draw: st.DrawFn, names: list[str]) -> Condition:
    atom = st.builds(Atom, st.sampled_from(names), WANTED)
    parts = st.lists(atom, min_size=2, max_size=3).map(tuple)
    flat = st.one_of(atom, parts.map(All), parts.map(Any))
    deep = st.lists(st.one_of(parts.map(All), atom), min_size=2, max_size=2).map(tuple).map(Any)
    return draw(st.one_of(flat, flat, deep))


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> tuple[Step, ...]:
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 5 if depth == 2 else 3))):
        names = [step.name for step in steps]
        needs = draw(st.one_of(st.none(), conditions(names))) if names else None
        kind = draw(st.sampled_from(["plain"] * 4 + ["items", "repeat"] + (["container"] * 2 if depth else [])))
        inside = draw(graphs(depth - 1)) if kind == "container" else ()
        has_items = kind == "items" or (kind == "container" and draw(st.booleans()))
        repeats = kind == "repeat" or (kind == "container" and not has_items and draw(st.booleans()))
        amounts = () if inside else draw(AMOUNTS)
        steps.append(
            Step(
                f"s{number}",
                needs,
                inside,
                repeat=draw(st.integers(1, 3)) if repeats else None,
                items=draw(st.integers(0, 3)) if has_items else None,
                max_parallel=draw(st.sampled_from([None, 1, 2])) if has_items else None,
                delay=draw(st.sampled_from([0.0, 0.0, 0.0, 10.0])),
                acquire=amounts,
                release=draw(st.sampled_from([None, None, None, ()])) if amounts else None,
                on_failure=draw(POLICIES),
                recovery=draw(RECOVERIES),
            )
        )
    return tuple(steps)


class Checked(Played):
    """A run in which everything is checked after each event."""

    def __init__(self, steps: tuple[Step, ...], limit: int | None) -> None:
        super().__init__(*steps, max_concurrent=limit, pools=Pools(SIZE))
        self.model = Model(steps, OnFailure.STOP)
        self.follows_model = True

    def happen(self, event):  # type: ignore[no-untyped-def]
        before = (copy.deepcopy(self.run.rows), self.run.state, self.run.order)
        advance(self.run, event)
        assert (self.run.rows, self.run.state, self.run.order) == before
        starts = super().happen(event)
        assert len({(one.key, one.attempt) for one in self.started}) == len(self.started)
        assert all(count <= SIZE[pool] for pool, count in self.run.held.items())
        limit = self.run.graph.max_concurrent
        assert limit is None or len(self.in_hand) <= limit
        assert {one.key for one in self.in_hand} == {
            key
            for key, row in self.run.rows.items()
            if row.status is Status.ACTIVE and row.role in (Role.STEP, Role.UNIT)
        }
        if self.run.state is not RunState.RUNNING:
            assert not self.in_hand and not self.run.held and not self.run.delayed
            assert all(row.status in ENDED for row in self.run.rows.values())
        elif not self.in_hand:
            assert self.run.delayed, "a run that goes on, in which nothing will happen"
        return starts

    def told(self, event) -> None:  # type: ignore[no-untyped-def]
        """Let `event` happen, and hold every status against the model."""
        starts = self.happen(event)
        if not self.follows_model:
            return
        failed_starts = any(row.status is Status.FAILED and "acquires" in row.reason for row in self.run.rows.values())
        if failed_starts:  # the model knows nothing of pools
            self.follows_model = False
            return
        self.model.now = self.now
        match event:
            case Begin():
                self.model.begin()
            case Finished():
                self.model.end(event.key, event.failure)
            case _:
                self.model.settle()
        for start in starts:
            assert start.key in self.model.can_start(), (start, self.model.status)
            self.model.start(start)
        assert {key: row.status for key, row in self.run.rows.items()} == self.model.status
        limit = self.run.graph.max_concurrent
        if self.run.state is RunState.RUNNING and (limit is None or len(self.in_hand) < limit):
            idle = [self.run.graph.placed[key.path].step.acquire for key in self.model.can_start()]
            held = self.run.held
            free = [all(count <= SIZE[pool] - held.get(pool, 0) for pool, count in one) for one in idle]
            assert not any(not one for one in idle)  # what takes nothing has started
            assert not all(free) or not idle  # the first in line could have started otherwise


def play(checked: Checked, data: st.DataObject) -> None:
    checked.told(Begin(0))
    go_on(checked, data)


def go_on(checked: Checked, data: st.DataObject) -> None:
    while checked.run.state is RunState.RUNNING:
        if not checked.in_hand or (checked.run.delayed and data.draw(st.booleans())):
            checked.now = max(checked.now, min(checked.run.delayed.values()))
            checked.told(Look(0))
            continue
        start = data.draw(st.sampled_from(checked.in_hand))
        checked.in_hand.remove(start)
        checked.told(Finished(0, start.key, start.attempt, data.draw(st.sampled_from([None, None, "no"]))))


LIMITS = st.sampled_from([None, 1, 2])


@given(graphs(), LIMITS, st.data())
def test_each_step_starts_exactly_when_its_condition_holds(
    steps: tuple[Step, ...], limit: int | None, data: st.DataObject
) -> None:
    checked = Checked(steps, limit)
    play(checked, data)
    assert checked.run.state in (RunState.SUCCEEDED, RunState.FAILED)
    if checked.follows_model:
        root = checked.model.status[Key("", "1")]
        assert (root is Status.SUCCEEDED) is (checked.run.state is RunState.SUCCEEDED)


@given(graphs(), LIMITS, st.data())
def test_replaying_any_prefix_of_the_log_gives_the_same_state(
    steps: tuple[Step, ...], limit: int | None, data: st.DataObject
) -> None:
    checked = Checked(steps, limit)
    checked.follows_model = False
    play(checked, data)
    checked.recover()
    go_on(checked, data)
    cut = data.draw(st.integers(0, len(checked.events)))
    once, again = Run(Graph(steps, limit)), Run(Graph(steps, limit))
    for event in checked.events[:cut]:
        once.apply(advance(once, event))
    for event in checked.events[:cut]:
        again.apply(advance(again, event))
    assert once == again
    for event in checked.events[cut:]:
        again.apply(advance(again, event))
    assert again == checked.run


@given(graphs(), LIMITS, st.data())
def test_an_end_that_is_told_again_changes_nothing(
    steps: tuple[Step, ...], limit: int | None, data: st.DataObject
) -> None:
    checked = Checked(steps, limit)
    checked.follows_model = False
    play(checked, data)
    rows = dict(checked.run.rows)
    for event in [event for event in checked.events if not isinstance(event, Begin)]:
        checked.run.apply(advance(checked.run, event))
    checked.run.apply(advance(checked.run, Begin(0, Pools(SIZE))))
    assert checked.run.rows == rows


@given(graphs(), LIMITS, st.data())
def test_cancel_ends_everything_at_once(steps: tuple[Step, ...], limit: int | None, data: st.DataObject) -> None:
    checked = Checked(steps, limit)
    checked.follows_model = False
    checked.told(Begin(0))
    for _ in range(data.draw(st.integers(0, 4))):
        if checked.in_hand:
            checked.end(checked.in_hand[0], data.draw(st.sampled_from([None, "no"])))
    running = checked.run.state is RunState.RUNNING
    in_hand = list(checked.in_hand)
    checked.happen(Cancel(0))
    if running:
        assert checked.run.state is RunState.CANCELLED
        assert {(one.key, one.attempt) for one in checked.withdrawn} == {(one.key, one.attempt) for one in in_hand}
    for start in in_hand:
        assert not advance(checked.run, Finished(0, start.key, start.attempt)).starts


@given(graphs(), LIMITS, st.data())
def test_a_recovery_starts_no_step_twice_and_keeps_what_it_is_to_keep(
    steps: tuple[Step, ...], limit: int | None, data: st.DataObject
) -> None:
    checked = Checked(steps, limit)
    checked.follows_model = False
    play(checked, data)
    before = dict(checked.run.rows)
    count = len(checked.started)
    checked.recover()
    go_on(checked, data)
    again = [start.key for start in checked.started[count:]]
    assert len(again) == len(set(again))
    recoveries = {path: step.recovery for path, step in all_steps(steps)}
    for key in again:
        row = before.get(key)
        if row is not None and row.status is Status.FAILED:
            assert recoveries[key.path].failed is Replay.RERUN or _inside_rerun(key, recoveries)
        if row is not None and row.status is Status.SUCCEEDED:
            assert recoveries[key.path].succeeded is Replay.RERUN or _inside_rerun(key, recoveries)
    assert total_of(checked.run.holds.values()) == {}


def _inside_rerun(key: Key, recoveries: dict[str, Recovery]) -> bool:
    names = key.path.split("/")
    around = ["/".join(names[:length]) for length in range(1, len(names))]
    return any(recoveries[path].succeeded is Replay.RERUN for path in around)
