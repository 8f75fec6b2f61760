"""What `advance` writes on: the rows of a run, with those that an event changes laid over them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from factory_cdk.runs.graph import Placed
from factory_cdk.runs.state import (
    ENDED,
    Advance,
    Claim,
    Key,
    Pools,
    Row,
    Run,
    RunState,
    Start,
    Withdraw,
    takes_place,
    total_of,
)


class Draft:
    """The run as an event makes it. `changed` are steps whose dependents have not heard of it (old and new row),
    `closing` scopes whose steps may all have ended.
    """

    def __init__(self, run: Run, now: float, pools: Pools) -> None:
        self.run, self.now, self.pools = run, now, pools
        self.graph = run.graph
        self.state, self.recovery = run.state, run.recovery
        self.active = run.active
        self.changed: deque[tuple[Key, Row, Row]] = deque()
        self.closing: deque[Key] = deque()
        self.starts: list[Start] = []
        self.withdraws: list[Withdraw] = []
        self._rows: dict[Key, Row] = {}
        self._order = run.order
        self._lined: dict[Claim, dict[Key, int]] = {}
        self._held: dict[str, int] | None = None

    def advance(self) -> Advance:
        """What has been written."""
        return Advance(self._rows, self.state, self.recovery, self._order, tuple(self.starts), tuple(self.withdraws))

    def row(self, key: Key) -> Row:
        """The row of `key`, which there is."""
        return self._rows.get(key) or self.run.rows[key]

    def row_or(self, key: Key, new: Row) -> Row:
        """The row of `key`, or `new` when there is none."""
        return self._rows.get(key) or self.run.rows.get(key) or new

    def put(self, key: Key, row: Row) -> None:
        """Write a row."""
        old = self._rows.get(key) or self.run.rows.get(key)
        self.active += takes_place(row) - takes_place(old)
        if self._held is not None and (old.holds if old else ()) != row.holds:
            self._held = None
        self._rows[key] = row

    def change(self, key: Key, row: Row) -> None:
        """Write the row of a step, and let those that name it hear."""
        self.changed.append((key, self.row(key), row))
        self.put(key, row)

    def line_up(self, key: Key) -> None:
        """Put a step into the line of those that could start, at its end."""
        self._order += 1
        self.put(key, self.row(key)._replace(order=self._order))
        self._lined.setdefault(self.run.claim(key), {})[key] = self._order

    def lines(self) -> list[Claim]:
        """What the starts of those in the lines take, each once."""
        return list(dict.fromkeys([*self.run.lines, *self._lined]))

    def first(self, claim: Claim) -> Key | None:
        """The first in the line of those whose start takes `claim`."""
        for line in (self.run.lines.get(claim, {}), self._lined.get(claim, {})):
            for key, order in line.items():
                if self.row(key).order == order:
                    return key
        return None

    def held(self) -> dict[str, int]:
        """How much of each pool the run has."""
        if self._held is None:
            rows = self._rows
            kept = [holds for key, holds in self.run.holds.items() if key not in rows]
            self._held = total_of([*kept, *(row.holds for row in rows.values() if row.holds)])
        return self._held

    def given_back(self, key: Key) -> Row:
        """The row of what is over, with what it keeps of the pools until the run ends."""
        row, step = self.row(key), self.graph.placed[key.path].step
        if not row.holds:
            return row
        back = dict(step.acquire if step.release is None else step.release)
        left = ((pool, count - back.get(pool, 0)) for pool, count in row.holds)
        return row._replace(holds=tuple((pool, count) for pool, count in left if count > 0))

    def beside(self, placed: Placed, name: str, sequence: str) -> Key:
        """The key of the step `name` beside `placed`."""
        return Key(f"{placed.inside}/{name}" if placed.inside else name, sequence)

    def group_of(self, key: Key) -> Key:
        """The key of the step of which `key` is a unit."""
        return Key(key.path, key.sequence.rpartition(".")[0])

    def unit(self, key: Key, number: int) -> Key:
        """The key of a unit of the step `key`."""
        return Key(key.path, f"{key.sequence}.{number}")

    def units(self, key: Key) -> Iterator[Key]:
        """The keys of the units of the step `key` that were begun, in this recovery or before it."""
        numbers = range(1, self.graph.placed[key.path].step.total + 1)
        return (unit for number in numbers if (unit := self.unit(key, number)) in self._rows or unit in self.run.rows)

    def next_unit(self, key: Key) -> int | None:
        """The number of the first unit of a step that is to be begun, of which a recovery may have kept some."""
        row = self.row(key)
        for number in range(row.next, self.graph.placed[key.path].step.total + 1):
            unit = self.run.rows.get(self.unit(key, number))
            if unit is None or self.row(self.unit(key, number)).status not in ENDED:
                return number
        return None

    def has_room(self, key: Key) -> bool:
        """Whether one more unit of the step `key` may run."""
        row, step = self.row(key), self.graph.placed[key.path].step
        if step.items is None:
            return not row.running
        return step.max_parallel is None or row.running < step.max_parallel

    def keys(self) -> list[Key]:
        """The keys of all rows."""
        return list(dict.fromkeys([*self.run.rows, *self._rows]))

    def kept(self) -> dict[str, int]:
        """How much of each pool the run has until it ends."""
        keys = dict.fromkeys([*self.run.holds, *self._rows])
        return total_of(row.holds for row in map(self.row, keys) if row.holds and row.status in ENDED)

    def is_idle(self) -> bool:
        """Whether nothing runs and no step waits for its delay to pass."""
        rows = self._rows
        if self.active:
            return False
        return not any(row.due is not None for row in rows.values()) and not any(
            key not in rows for key in self.run.delayed
        )

    def end(self, state: RunState) -> None:
        """The run has ended: everything goes back to the pools."""
        self.state = state
        self.changed.clear()
        self.closing.clear()
        for key in [*self.run.holds, *self._rows]:
            if self.row(key).holds:
                self.put(key, self.row(key)._replace(holds=()))
