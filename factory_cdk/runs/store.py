"""The runs of one SQLite file: each a log of events, with rows beside it that say how its steps are doing.

The log is what a run is; a run that is not in memory is made of its log again. All that is done here is done in a
transaction of the caller's, so that a run moves together with what else is in the file, or not at all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runs import definition as definitions
from factory_cdk.runs import log
from factory_cdk.runs.advancing import advance
from factory_cdk.runs.definition import Definition, Json
from factory_cdk.runs.events import Event, Look
from factory_cdk.runs.state import WHOLE, Advance, Key, Pools, Role, Row, Run, RunState, Status

TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    input TEXT NOT NULL,
    state TEXT NOT NULL,
    recovery INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    due REAL,
    created REAL NOT NULL,
    finished REAL,
    owner TEXT,
    lease REAL
);
CREATE INDEX IF NOT EXISTS runs_due ON runs (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS run_definitions (
    run TEXT NOT NULL,
    entry INTEGER NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (run, entry)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run_log (
    run TEXT NOT NULL,
    entry INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run, entry)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run_steps (
    run TEXT NOT NULL,
    path TEXT NOT NULL,
    sequence TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    started REAL,
    finished REAL,
    result TEXT,
    PRIMARY KEY (run, path, sequence)
);
CREATE INDEX IF NOT EXISTS run_steps_active ON run_steps (run) WHERE status = 'active';
CREATE TABLE IF NOT EXISTS run_pools (name TEXT PRIMARY KEY, size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS run_holds (
    run TEXT NOT NULL, pool TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (run, pool)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run_waits (
    run TEXT NOT NULL, pool TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (run, pool)
) WITHOUT ROWID;
"""
"""`runs.lease` is until when the process `owner` has the run in hand, NULL where it is in nobody's."""

_TAKEN = """
SELECT pool, sum(amount) FROM run_holds
WHERE run != ? AND run NOT IN (SELECT id FROM runs WHERE lease < ?) GROUP BY pool"""
_SINCE = """
SELECT pool, min(since) FROM run_waits
WHERE run != ? AND run NOT IN (SELECT id FROM runs WHERE lease < ?) GROUP BY pool"""
_STEP = """
INSERT INTO run_steps (run, path, sequence, status, reason, attempts, started, finished, result)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, path, sequence) DO UPDATE SET status = excluded.status,
reason = excluded.reason, attempts = excluded.attempts, started = excluded.started, finished = excluded.finished,
result = excluded.result"""

_STEPS = """
SELECT path, sequence, status, reason, attempts, started, finished, result FROM run_steps WHERE run = ?"""

_DROP = tuple(
    f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608 - constants
    for table, column in (
        ("run_log", "run"),
        ("run_definitions", "run"),
        ("run_steps", "run"),
        ("run_holds", "run"),
        ("run_waits", "run"),
        ("runs", "id"),
    )
)

MakeEvent = Callable[[Pools], Event]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step, item or iteration of a run on record. Times are seconds since the epoch on the wall clock."""

    path: str
    iteration: str
    status: str
    reason: str
    attempts: int
    started: float | None
    finished: float | None
    result: Json


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run on record."""

    id: str
    workflow: str
    state: RunState
    recovery: int
    created: float
    finished: float | None


@dataclass(slots=True)
class _Loaded:
    run: Run
    definition: Definition
    entries: int
    input: Json


class Moved(NamedTuple):
    """A run that has moved, and what is to be done for it."""

    run: str
    advance: Advance


class RunStore:
    """The runs of the file that `connection` has open. Every method is to be called inside a transaction, a write
    transaction where it changes something; `forget` is to be called when that was rolled back.

    `moves_all`: who uses it does what all runs want to be done, not those alone to which it lets something happen.
    """

    def __init__(self, connection: sqlite3.Connection, *, moves_all: bool) -> None:
        self._moves_all = moves_all
        self._run = connection.execute
        self._run_many = connection.executemany
        self._loaded: dict[str, _Loaded] = {}

    def create_tables(self) -> None:
        """Make the tables that are not there."""
        for statement in TABLES.split(";"):
            if statement.strip():
                self._run(statement)

    def has_tables(self) -> bool:
        """Whether `create_tables` has been called on this file."""
        return bool(self._run("SELECT 1 FROM sqlite_master WHERE name = 'run_pools'").fetchall())

    def forget(self) -> None:
        """Drop what is in memory: the next look reads the file."""
        self._loaded.clear()

    def set_pools(self, sizes: Iterable[tuple[str, int]]) -> None:
        """From now on there are these pools."""
        self._run("DELETE FROM run_pools")
        self._run_many("INSERT INTO run_pools VALUES (?, ?)", sizes)

    def add_pools(self, sizes: Iterable[tuple[str, int]]) -> None:
        """From now on there are these pools too, or of this size."""
        self._run_many("INSERT OR REPLACE INTO run_pools VALUES (?, ?)", sizes)

    def create(self, run_id: str, workflow: str, definition: Definition, given: Json, now: float) -> None:
        """A new run, `new` until its `Begin`. FactoryError when there is one of that id."""
        if self.record(run_id) is not None:
            raise FactoryError(f"there is a run {run_id} already", "give it another id")
        state = RunState.NEW
        self._run(
            "INSERT INTO runs (id, workflow, input, state, recovery, entries, created) VALUES (?, ?, ?, ?, 0, 0, ?)",
            (run_id, workflow, json.dumps(given), state, now),
        )
        self._run("INSERT INTO run_definitions VALUES (?, 0, ?)", (run_id, definitions.to_json(definition)))
        self._remember(run_id, _Loaded(Run(definition.graph), definition, 0, given))

    def redefine(self, run_id: str, definition: Definition) -> None:
        """Let a run have another definition from now on; a `Recover` must be the next that happens to it."""
        loaded = self._load(run_id)
        self._run(
            "INSERT OR REPLACE INTO run_definitions VALUES (?, ?, ?)",
            (run_id, loaded.entries, definitions.to_json(definition)),
        )
        loaded.definition, loaded.run = definition, loaded.run.moved_to(definition.graph)

    def happen(self, run_id: str, make: MakeEvent, result: Json = None) -> list[Moved]:
        """Let an event happen to a run: it is added to the log, and the run moves, and then those that have waited for
        pools that it gave back. `result` is that of what has finished, as JSON.
        """
        moved = [self._happen(run_id, make, result)]
        if self._moves_all and self._load(run_id).definition.graph.uses_pools:
            now = make(Pools()).now
            moved += [
                self._happen(other, lambda pools: Look(now, pools)) for other in self._waiting() if other != run_id
            ]
        return moved

    def due(self, now: float) -> list[str]:
        """The runs in which something that was delayed is due."""
        return [run_id for (run_id,) in self._run("SELECT id FROM runs WHERE due <= ? ORDER BY due", (now,)).fetchall()]

    def state(self, run_id: str) -> Run:
        """A run, to be looked at. FactoryError when there is none of that id."""
        return self._load(run_id).run

    def definition(self, run_id: str) -> Definition:
        """What a run is of now. FactoryError when there is none of that id."""
        loaded = self._loaded.get(run_id)
        if loaded is not None:
            return self._load(run_id).definition
        self._known(run_id)
        query = "SELECT definition FROM run_definitions WHERE run = ? ORDER BY entry DESC LIMIT 1"
        return definitions.from_json(self._run(query, (run_id,)).fetchone()[0])

    def input(self, run_id: str) -> Json:
        """What a run was given. FactoryError when there is none of that id."""
        loaded = self._loaded.get(run_id)
        return loaded.input if loaded is not None else json.loads(self._known(run_id)[1])

    def workflow(self, run_id: str) -> str:
        """The name of the workflow of a run."""
        return str(self._run("SELECT workflow FROM runs WHERE id = ?", (run_id,)).fetchone()[0])

    def take(self, run_id: str, owner: str, until: float) -> None:
        """Let `owner` have a run in hand until a time: what it holds of pools counts until then."""
        self._run("UPDATE runs SET owner = ?, lease = ? WHERE id = ?", (owner, until, run_id))

    def extend(self, run_id: str, owner: str, until: float) -> bool:
        """Move the end of a lease; False when another has the run."""
        return self._run("UPDATE runs SET lease = ? WHERE id = ? AND owner = ?", (until, run_id, owner)).rowcount == 1

    def owner(self, run_id: str) -> tuple[str | None, float | None]:
        """Who has a run in hand, and until when."""
        owner, lease = self._run("SELECT owner, lease FROM runs WHERE id = ?", (run_id,)).fetchone()
        return owner, lease

    def old(self, before: float) -> list[str]:
        """The runs that ended before a time."""
        rows = self._run("SELECT id FROM runs WHERE finished < ? ORDER BY finished", (before,)).fetchall()
        return [run_id for (run_id,) in rows]

    def drop(self, run_id: str) -> None:
        """Forget a run that has ended, with all that is on record of it."""
        self._loaded.pop(run_id, None)
        for statement in _DROP:
            self._run(statement, (run_id,))

    # What is on record

    def record(self, run_id: str) -> RunRecord | None:
        """The run of that id; None when there is none."""
        return next(iter(self._records("WHERE id = ?", (run_id,))), None)

    def records(self, start: str = "", workflow: str | None = None, n: int = -1) -> list[RunRecord]:
        """Up to `n` runs (all when it is negative) whose ids begin with `start`, the last to be created first."""
        where = "WHERE substr(id, 1, length(?)) = ? AND (? IS NULL OR workflow = ?) ORDER BY number DESC LIMIT ?"
        return self._records(where, (start, start, workflow, workflow, n))

    def steps(self, run_id: str) -> list[StepRecord]:
        """Every step, item and iteration of a run that there is so far, in the order of the workflow."""
        rows = self._run(_STEPS, (run_id,)).fetchall()
        found = {
            Key(path, sequence): StepRecord(path, sequence, status, why, attempts, began, ended, _value(result))
            for path, sequence, status, why, attempts, began, ended, result in rows
        }
        record = self.record(run_id)
        is_running = record is not None and record.state is RunState.RUNNING  # else nothing waits that is not written
        for key in self.state(run_id).rows if is_running else ():
            if key != WHOLE and key not in found:
                found[key] = StepRecord(key.path, key.sequence, Status.WAITING, "", 0, None, None, None)
        places = {path: number for number, path in enumerate(self.definition(run_id).graph.placed)}
        return [found[key] for key in sorted(found, key=lambda key: (places.get(key.path, -1), _numbers(key.sequence)))]

    def result(self, run_id: str, key: Key) -> Json:
        """The result of a step: of one with items or iterations a list, of a container a mapping of those in it."""
        definition = self.definition(run_id)
        placed = definition.graph.placed[key.path]
        if not placed.step.is_group:
            return self._result(run_id, key)
        units = [Key(key.path, f"{key.sequence}.{number}") for number in range(1, placed.step.total + 1)]
        if not placed.step.steps:
            rows = self._run(
                "SELECT sequence, result FROM run_steps WHERE run = ? AND path = ?", (run_id, key.path)
            ).fetchall()
            results = dict(rows)
            return [_value(results.get(unit.sequence)) for unit in units]
        inside = definition.graph.inside[key.path]
        found = [
            {inner.step.name: self.result(run_id, Key(inner.path, unit.sequence)) for inner in inside} for unit in units
        ]
        return found if placed.step.repeat is not None or placed.step.items is not None else found[0]

    def result_of(self, run_id: str, key: Key) -> Json:
        """The result of a step, as `result` says, or of one item or iteration."""
        is_unit = self.state(run_id).rows[key].role in (Role.UNIT, Role.SCOPE)
        return self._result(run_id, key) if is_unit else self.result(run_id, key)

    def _result(self, run_id: str, key: Key) -> Json:
        query = "SELECT result FROM run_steps WHERE run = ? AND path = ? AND sequence = ?"
        row = self._run(query, (run_id, *key)).fetchone()
        return _value(row[0]) if row else None

    def _records(self, where: str, values: tuple[object, ...]) -> list[RunRecord]:
        query = f"SELECT id, workflow, state, recovery, created, finished FROM runs {where}"  # noqa: S608 - constants
        return [
            RunRecord(run_id, workflow, RunState(state), *rest)
            for run_id, workflow, state, *rest in self._run(query, values).fetchall()
        ]

    # How it moves

    def _happen(self, run_id: str, make: MakeEvent, result: Json = None) -> Moved:
        loaded = self._load(run_id)
        run = loaded.run
        event = make(self._pools(run_id, loaded, make))
        done = advance(run, event)
        if done.state is run.state and done.recovery == run.recovery and not done.rows:
            return Moved(run_id, done)  # no news: the log need not have it
        loaded.entries += 1
        self._run("INSERT INTO run_log VALUES (?, ?, ?)", (run_id, loaded.entries, log.to_text(event)))
        self._write_rows(run_id, run, done, event, result)
        held = run.held
        run.apply(done)
        if loaded.definition.graph.uses_pools:
            self._write_pools(run_id, run, held)
        finished = event.now if done.state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED) else None
        self._run(
            "UPDATE runs SET state = ?, recovery = ?, entries = ?, due = ?, finished = ? WHERE id = ?",
            (done.state, done.recovery, loaded.entries, run.due, finished, run_id),
        )
        return Moved(run_id, done)

    def _load(self, run_id: str) -> _Loaded:
        entries, given = self._known(run_id)
        loaded = self._loaded.get(run_id)
        if loaded is None or loaded.entries > entries:
            loaded = self._remember(run_id, self._first(run_id, given))
        if loaded.entries < entries:
            self._replay(run_id, loaded)
        return loaded

    def _known(self, run_id: str) -> tuple[int, str]:
        """How many entries the log of a run has, and what it was given, as text. FactoryError when there is none."""
        row = self._run("SELECT entries, input FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise FactoryError(f"there is no run {run_id}", "look at the list of runs")
        return int(row[0]), str(row[1])

    def _remember(self, run_id: str, loaded: _Loaded) -> _Loaded:
        """Keep a run in memory, and no other that has ended."""
        ended = [one for one, other in self._loaded.items() if other.run.state not in (RunState.NEW, RunState.RUNNING)]
        for one in ended:
            del self._loaded[one]
        self._loaded[run_id] = loaded
        return loaded

    def _first(self, run_id: str, given: str) -> _Loaded:
        query = "SELECT definition FROM run_definitions WHERE run = ? AND entry = 0"
        definition = definitions.from_json(self._run(query, (run_id,)).fetchone()[0])
        return _Loaded(Run(definition.graph), definition, 0, json.loads(given))

    def _replay(self, run_id: str, loaded: _Loaded) -> None:
        """Let happen what is in the log and has not happened in memory."""
        query = "SELECT entry, definition FROM run_definitions WHERE run = ? AND entry >= ? AND entry > 0"
        others: dict[int, str] = dict(self._run(query, (run_id, loaded.entries)).fetchall())
        query = "SELECT entry, event FROM run_log WHERE run = ? AND entry > ? ORDER BY entry"
        for entry, event in self._run(query, (run_id, loaded.entries)):
            if entry - 1 in others:
                loaded.definition = definitions.from_json(others[entry - 1])
                loaded.run = loaded.run.moved_to(loaded.definition.graph)
            loaded.run.apply(advance(loaded.run, log.from_text(event)))
            loaded.entries = entry

    def _write_rows(self, run_id: str, run: Run, done: Advance, event: Event, result: Json) -> None:
        """Write what is new of the steps. The result is kept with what has finished, and dropped with what is reset."""
        finished = getattr(event, "key", None)
        rows: list[tuple[object, ...]] = []
        for key, row in done.rows.items():
            old = run.rows.get(key)
            if key == WHOLE or (_shown(row) == _shown(old) if old is not None else row.status is Status.WAITING):
                continue
            kept = json.dumps(result) if key == finished and result is not None else None
            rows.append((run_id, *key, row.status, row.reason, row.attempt, row.started, row.finished, kept))
        self._run_many(_STEP, rows)

    def _pools(self, run_id: str, loaded: _Loaded, make: MakeEvent) -> Pools:
        if not loaded.definition.graph.uses_pools:
            return Pools()
        now = make(Pools()).now
        return Pools(
            dict(self._run("SELECT name, size FROM run_pools").fetchall()),
            dict(self._run(_TAKEN, (run_id, now)).fetchall()),
            dict(self._run(_SINCE, (run_id, now)).fetchall()),
        )

    def _write_pools(self, run_id: str, run: Run, held: dict[str, int]) -> None:
        if run.held != held:
            self._run("DELETE FROM run_holds WHERE run = ?", (run_id,))
            self._run_many("INSERT INTO run_holds VALUES (?, ?, ?)", [(run_id, *one) for one in run.held.items()])
        self._run("DELETE FROM run_waits WHERE run = ?", (run_id,))
        if run.state is RunState.RUNNING:
            self._run_many("INSERT INTO run_waits VALUES (?, ?, ?)", [(run_id, *one) for one in run.waits.items()])

    def _waiting(self) -> list[str]:
        """The runs that wait for pools, the one that has waited for longest first."""
        rows = self._run("SELECT run FROM run_waits GROUP BY run ORDER BY min(since), run").fetchall()
        return [run_id for (run_id,) in rows]


def _shown(row: Row) -> tuple[Any, ...]:
    return row.status, row.reason, row.attempt, row.started, row.finished


def _value(text: str | None) -> Json:
    return None if text is None else json.loads(text)


def _numbers(sequence: str) -> tuple[int, ...]:
    return tuple(map(int, sequence.split(".")))
