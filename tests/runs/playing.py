"""Runs played in memory: what is started ends as the test says, and every event is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from factory_cdk.runs.advancing import advance
from factory_cdk.runs.conditions import parse
from factory_cdk.runs.events import Begin, Event, Finished, Look, Recover
from factory_cdk.runs.graph import Graph, Step
from factory_cdk.runs.state import Key, Pools, Run, Start, Status, Withdraw

Outcome = Callable[[Key], str | None]


def step(name: str, needs: str | None = None, **more: object) -> Step:
    return Step(name, parse(needs) if needs else None, **more)  # type: ignore[arg-type]


class Played:
    """A run of `steps`; `started` has all that was started, in order, and `events` its log."""

    def __init__(self, *steps: Step, max_concurrent: int | None = None, pools: Pools | None = None) -> None:
        self.run = Run(Graph(steps, max_concurrent))
        self.pools = pools or Pools()
        self.events: list[Event] = []
        self.started: list[Start] = []
        self.in_hand: list[Start] = []
        self.withdrawn: list[Withdraw] = []
        self.now = 0.0

    def happen(self, event: Event) -> list[Start]:
        event = replace(event, now=self.now, pools=self.pools)
        self.events.append(event)
        done = advance(self.run, event)
        self.run.apply(done)
        self.withdrawn += done.withdraws
        gone = {(one.key, one.attempt) for one in done.withdraws}
        self.in_hand = [one for one in self.in_hand if (one.key, one.attempt) not in gone]
        self.started += done.starts
        self.in_hand += done.starts
        return list(done.starts)

    def begin(self) -> list[Start]:
        return self.happen(Begin(0))

    def recover(self, rerun: Iterable[str] = (), only: Iterable[Key] | None = None) -> list[Start]:
        return self.happen(Recover(0, frozenset(rerun), None if only is None else frozenset(only)))

    def pass_time(self, seconds: float) -> list[Start]:
        self.now += seconds
        return self.happen(Look(0))

    def end(self, start: Start, failure: str | None = None) -> list[Start]:
        self.in_hand.remove(start)
        return self.happen(Finished(0, start.key, start.attempt, failure))

    def end_all(self, outcome: Outcome = lambda _key: None) -> Played:
        """End what is in hand, the first to be started first, until nothing is."""
        while self.in_hand:
            self.end(self.in_hand[0], outcome(self.in_hand[0].key))
        return self

    def play(self, outcome: Outcome = lambda _key: None) -> Played:
        self.begin()
        return self.end_all(outcome)

    @property
    def order(self) -> list[str]:
        return [f"{one.key.path} {one.key.sequence}" for one in self.started]

    def status(self, path: str, sequence: str = "1") -> Status:
        return self.run.rows[Key(path, sequence)].status

    def reason(self, path: str, sequence: str = "1") -> str:
        return self.run.rows[Key(path, sequence)].reason


def failing(*keys: str) -> Outcome:
    """`path sequence`, or a path alone for all of its sequences."""
    return lambda key: "no" if key.path in keys or f"{key.path} {key.sequence}" in keys else None
