"""The runs of a stage in its queue database, as clients use them (queues/runs.py says what each method promises)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from factory_cdk.doorbell import Ringer
from factory_cdk.plan.model import Json
from factory_cdk.queues.runs import RecoveryRequest
from factory_cdk.queues.sqlite.boot_clock import Clock
from factory_cdk.queues.sqlite.file import QueueFile
from factory_cdk.queues.sqlite.missing import refuse_missing
from factory_cdk.queues.sqlite.stage_runs import StageRuns
from factory_cdk.queues.sqlite.steps import Columns, Encoding, Steps
from factory_cdk.runs.advancing import advance
from factory_cdk.runs.definition import Definition
from factory_cdk.runs.events import Begin, Cancel, Recover
from factory_cdk.runs.state import ENDED, Key, Pools, Role, Run, RunState
from factory_cdk.runs.store import Moved, RunRecord, RunStore, StepRecord

Answer = TypeVar("Answer")


def open_sqlite_runs(path: Path) -> SqliteRuns:
    """The runs in the database at `path`; DamagedError when it is not there."""
    refuse_missing(path)
    return SqliteRuns(path)


class SqliteRuns:
    """The runs in the database at `path`, whose times `clock` counts."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._file = QueueFile(path, clock=clock, wall=None, sync=None)
        self._runs = StageRuns(self._file.connection)
        self._steps = Steps(self._file)
        self._ringer = Ringer(self._file.paths.bells)
        self._write(lambda store: store.create_tables())

    def begin(self, run_id: str, workflow: str, definition: Definition, given: Json, pools: Mapping[str, int]) -> bool:
        """Begin a run; False when there is one of that id."""

        def begin(store: RunStore) -> list[Moved]:
            if store.record(run_id) is not None:
                return []
            now = self._file.clock()
            store.set_pools(pools.items())
            store.create(run_id, workflow, definition, given, now)
            return store.happen(run_id, lambda pools: Begin(now, pools))

        return self._move(begin)[0]

    def cancel(self, run_id: str) -> bool:
        """End a run at once; False when it has ended."""

        def cancel(store: RunStore) -> list[Moved]:
            if store.state(run_id).state is not RunState.RUNNING:
                return []
            now = self._file.clock()
            return store.happen(run_id, lambda pools: Cancel(now, pools=pools))

        return self._move(cancel)[0]

    def recover(self, run_id: str, wanted: RecoveryRequest) -> list[str]:
        """Let a run begin again; the ids of the jobs that were sent."""

        def recover(store: RunStore) -> list[Moved]:
            now = self._file.clock()
            store.set_pools(wanted.pools.items())
            store.redefine(run_id, wanted.definition)
            return store.happen(run_id, lambda pools: Recover(now, wanted.rerun, wanted.only, pools))

        return self._move(recover)[1]

    def would_recover(self, run_id: str, wanted: RecoveryRequest) -> list[Key]:
        """What a recovery would start anew if it came to it."""
        run = self.state(run_id).moved_to(wanted.definition.graph)
        done = advance(run, Recover(self._file.clock(), wanted.rerun, wanted.only, Pools(wanted.pools)))
        return [
            key
            for key, row in done.rows.items()
            if row.role in (Role.STEP, Role.UNIT) and (row.status not in ENDED or row != run.rows.get(key))
        ]

    def record(self, run_id: str) -> RunRecord | None:
        """The run of that id; None when there is none."""
        return self._read(lambda store: store.record(run_id))

    def records(self, start: str = "", workflow: str | None = None, n: int = -1) -> list[RunRecord]:
        """Up to `n` runs whose ids begin with `start`, the last to be begun first."""
        return self._read(lambda store: store.records(start, workflow, n))

    def steps(self, run_id: str) -> list[StepRecord]:
        """Every step, item and iteration of a run that there is so far."""
        return self._read(lambda store: store.steps(run_id))

    def state(self, run_id: str) -> Run:
        """What a run has come to."""
        return self._read(lambda store: store.state(run_id))

    def definition(self, run_id: str) -> Definition:
        """What a run is of."""
        return self._read(lambda store: store.definition(run_id))

    def input(self, run_id: str) -> Json:
        """What a run was given."""
        return self._read(lambda store: store.input(run_id))

    def close(self) -> None:
        """Let go of the file."""
        self._ringer.close()
        self._file.close()

    def _read(self, read: Callable[[RunStore], Answer]) -> Answer:
        return self._file.reading(lambda: read(self._runs.store))

    def _write(self, write: Callable[[RunStore], Answer]) -> Answer:
        try:
            with self._file.writing():
                return write(self._runs.store)
        except BaseException:
            self._runs.forget()
            raise

    def _move(self, move: Callable[[RunStore], list[Moved]]) -> tuple[bool, list[str]]:
        """Move runs, and send what follows; whether any moved, and the ids of the jobs that were sent."""

        def write(store: RunStore) -> tuple[bool, list[Columns]]:
            moved = move(store)
            encoding = Encoding(self._file.bodies)
            sent = self._runs.take_up(moved, self._file.clock(), self._file.wall(), encoding.columns)
            self._steps.send_on(sent, self._file.wall(), encoding)
            return bool(moved), sent

        has_moved, sent = self._write(write)
        self._file.make_durable()
        self._ringer.ring({columns[1] for columns in sent})
        return has_moved, [columns[0] for columns in sent]
