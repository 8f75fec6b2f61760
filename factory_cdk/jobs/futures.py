"""Submitted jobs as futures: each is done when its job, and every job that follows from it, is final."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import LIVENESS_EVERY, RUNNER_GONE, SOONEST, gone_error, submit
from factory_cdk.plan.model import Json
from factory_cdk.queues.client import History
from factory_cdk.queues.port import JobRecord, Outcome
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import has_stored_queues, open_queues
from factory_cdk.state.status import runner_pid
from factory_cdk.workflow.routing import child_id

_in_sqlite = threading.RLock()
"""Held by a follower that is in SQLite, and by whoever forks: SQLite has locks of its own, and one that a thread holds
while its process is forked is held in the fork for ever. Reentrant, since who waits for a job may fork in a callback.
"""
os.register_at_fork(before=_in_sqlite.acquire, after_in_parent=_in_sqlite.release, after_in_child=_in_sqlite.release)


class JobFailed(FactoryError):
    """A job became a dead letter. `type`, `message` and `traceback` are those of its last failure; `job` is its
    id, `bot` whose it was, `attempts` how many were begun. Python shows the bot's traceback below its own.
    """

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        last = record.failures[-1] if record.failures else None
        self.type = last.type if last else "unknown"
        self.traceback = last.traceback if last else ""
        self.job, self.bot, self.attempts = record.job.id, record.job.bot, record.attempts
        what = str(last) if last else "no failure is on record"
        super().__init__(
            f"bot {self.bot} failed in job {self.job} after {self.attempts} "
            f"{'attempt' if self.attempts == 1 else 'attempts'}: {what}",
            f"factory-cdk jobs show and jobs retry take its id, {self.job}",
        )
        if self.traceback:
            self.add_note(f"in the worker of {self.bot}:\n{self.traceback.rstrip()}")

    def __reduce__(self) -> tuple[type[JobFailed], tuple[JobRecord]]:
        return type(self), (self._record,)


class JobFuture(Future[Json]):
    """What becomes of one submitted job; `job` is its id, `run` that of the submission.

    The result is what the last bot returned. Where the workflow branches it is a mapping from the name of each
    last bot to what that returned (a list when the bot was reached several times). The exception is JobFailed as
    soon as one job is a dead letter, and FactoryError when the runner is gone. `cancel` takes the job off its queue.
    It belongs to the process that submitted: a fork of that submits anew.
    """

    def __init__(self, folder: StageFolder, run: str, job: str) -> None:
        super().__init__()
        self._stage_folder = folder
        self._ending = threading.Lock()
        self._pid = os.getpid()
        self.run = run
        self.job = job

    def result(self, timeout: float | None = None) -> Json:
        """What the last bot returned, waited for up to `timeout` seconds. TimeoutError; else see the class."""
        self._refuse_fork()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Why there is no result, None when there is one; waits as `result` does."""
        self._refuse_fork()
        return super().exception(timeout)

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid and not self.done():  # nobody here would ever end it
            raise FactoryError(
                f"job {self.job} was submitted by process {self._pid}, of which this is a fork",
                "wait for it there, or submit from here",
            )

    def cancel(self) -> bool:
        """Cancel the job unless it is in hand or done; whether it is cancelled now."""
        if self.cancelled():
            return True
        if self.done() or not has_stored_queues(self._stage_folder):  # the stage may be gone
            return False
        with open_queues(self._stage_folder) as queues:
            record = queues.history.job(self.job)
            if record is None or record.state not in ("ready", "delayed") or not queues.history.cancel([self.job])[0]:
                return False
        return self.drop()

    def finish(self, result: Json) -> None:
        """The follower's: the result is there, unless the future has ended otherwise."""
        with self._ending:
            if not self.done():
                self.set_result(result)

    def fail(self, error: Exception) -> None:
        """The follower's: there will be no result."""
        with self._ending:
            if not self.done():
                self.set_exception(error)

    def drop(self) -> bool:
        """The follower's: the job was cancelled; whether the future is."""
        with self._ending:
            if not self.done() and super().cancel():
                self.set_running_or_notify_cancel()  # wakes those who wait for it
            return self.cancelled()


@dataclass
class _Tree:
    """The jobs that follow from one submitted job, as far as they are known and not final."""

    future: JobFuture
    open: int = 1
    ends: list[tuple[str, Json]] = field(default_factory=list)


@dataclass
class _Run:
    """A submission that is followed: whose tree each job belongs to, and the last outcome that was seen."""

    trees: dict[str, _Tree]
    cursor: int = 0


class Follower:
    """Submits to one stage and follows what it submitted, in a thread that lives as long as there is anything
    to follow. `lives` says whether anybody works on its jobs: by default, whether the runner here does.
    """

    def __init__(self, folder: StageFolder, spec: RunnerSpec, lives: Callable[[], bool] | None = None) -> None:
        self._folder, self.spec = folder, spec
        self._lives = lives or (lambda: runner_pid(folder) is not None)
        self._pool_specs: dict[str, list[PoolSpec]] = {}
        for pool_spec in spec.pool_specs:
            self._pool_specs.setdefault(pool_spec.queue, []).append(pool_spec)
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, bot: str, payloads: Iterable[Json], tags: Mapping[str, str] | None = None) -> list[JobFuture]:
        """One job for `bot` per payload, all of one run, and a future for each; returns when they are on disk."""
        if not self._lives():
            raise FactoryError(
                f"the runner of {self._folder.name} does not run; nothing was submitted",
                f"factory-cdk resume {self._folder.options}",
                exit_code=RUNNER_GONE,
            )
        submission = submit(self._folder, self.spec, bot, payloads, tags)
        futures = [JobFuture(self._folder, submission.run, job_id) for job_id in submission.ids]
        if futures:
            with self._lock:
                self._runs[submission.run] = _Run({future.job: _Tree(future) for future in futures})
                self._news.set()
                if self._thread is None:
                    self._thread = threading.Thread(target=self._follow, name="factory-follower", daemon=True)
                    self._thread.start()
        return futures

    def _follow(self) -> None:
        try:
            self._follow_all()
        except Exception as error:  # whoever waits is told, whatever it was
            self._give_up(error)

    def _follow_all(self) -> None:
        pause, looked = SOONEST, time.monotonic()
        with _in_sqlite, open_queues(self._folder) as queues:
            while True:
                with self._lock:
                    self._runs = {run: one for run, one in self._runs.items() if one.trees}
                    runs = list(self._runs.items())
                    if not runs:
                        self._thread = None
                        return
                    self._news.clear()
                if sum(self._look(queues.history, run, one) for run, one in runs):
                    pause = SOONEST
                elif time.monotonic() - looked > LIVENESS_EVERY:
                    looked = time.monotonic()
                    if not self._lives():
                        for run, one in runs:
                            self._look(queues.history, run, one)
                        self._give_up(gone_error(self._folder, sum(len(one.trees) for _, one in runs)))
                        return
                _in_sqlite.release()
                try:
                    self._news.wait(pause)
                finally:
                    _in_sqlite.acquire()
                pause = SOONEST if self._news.is_set() else min(queues.capabilities.look_every, pause * 2)

    def _look(self, history: History, run_id: str, run: _Run) -> int:
        """Take what became final since the last look; how much there was."""
        records = history.outcomes(run_id, after=run.cursor)
        for record in records:
            run.cursor = record.cursor or run.cursor
            tree = run.trees.pop(record.job.id, None)
            if tree is not None:
                self._settle(history, run, tree, record)
        return len(records)

    def _settle(self, history: History, run: _Run, tree: _Tree, record: JobRecord) -> None:
        tree.open -= 1
        if tree.future.done():
            return
        if record.outcome is Outcome.DEAD:
            tree.future.fail(JobFailed(record))
            return
        if record.outcome is Outcome.CANCELLED:
            tree.future.drop()
            return
        following = [job_id for job_id in self._children(record) if history.job(job_id)]
        run.trees.update(dict.fromkeys(following, tree))
        tree.open += len(following)
        if not following:
            tree.ends.append((record.job.bot, record.result))
        if not tree.open:
            tree.future.finish(_result(tree.ends))

    def _children(self, record: JobRecord) -> list[str]:
        """The ids that jobs which follow from a finished one would have."""
        successors = [one for pool_spec in self._pool_specs.get(record.queue, ()) for one in pool_spec.successors]
        return list(dict.fromkeys(child_id(record.job.id, successor) for successor in successors))

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            runs, self._runs, self._thread = self._runs, {}, None
        for future in {tree.future for run in runs.values() for tree in run.trees.values()}:
            future.fail(error)


def _result(ends: Sequence[tuple[str, Json]]) -> Json:
    if len(ends) == 1:
        return ends[0][1]
    results: dict[str, list[Any]] = {}
    for bot, result in ends:
        results.setdefault(bot, []).append(result)
    return {bot: found[0] if len(found) == 1 else found for bot, found in results.items()}
