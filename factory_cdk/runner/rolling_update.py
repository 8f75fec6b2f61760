"""Rolling update: how a runner changes from its spec to the next one without a pause, and without losing a job.

Pools for the pool specs that differ are started beside those that are at work. When every worker of theirs is loaded,
they replace these: they get the jobs that come from then on, and the old ones drain: they finish what they have in hand
and end. When one cannot be loaded all that was started is ended, and the present pools have noticed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from factory_cdk.runner.pool import PoolEvents, StartFailure, WorkerPool
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec
from factory_cdk.state.spec_changes import changed_pools

ENDING = "the runner is ending"
"""Why no update is begun any more."""

MakePool = Callable[[PoolSpec, PoolEvents], WorkerPool]


class RollingUpdate:
    """The update from the spec `present` to `spec`, which `request` asked for. `pools` are those of the pool specs that
    differ; `failure` is why they cannot replace the present ones, or None.
    """

    def __init__(self, request: str, spec: RunnerSpec, present: RunnerSpec, make: MakePool, events: PoolEvents) -> None:
        self.request, self.spec = request, spec
        self.failure: StartFailure | None = None
        self._events, self._completed = events, False
        own_events = replace(events, start_failed=self._start_failed)
        self.pools = tuple(make(pool_spec, own_events) for pool_spec in changed_pools(present, spec))

    def start(self) -> None:
        """Start the pools, unless one of them turns out not to be startable."""
        for pool in self.pools:
            if self.failure is None:
                pool.start()

    @property
    def ready(self) -> bool:
        """Whether all of them are loaded."""
        return self.failure is None and all(pool.ready for pool in self.pools)

    def complete(self, present: Sequence[WorkerPool]) -> tuple[list[WorkerPool], list[WorkerPool]]:
        """Replace pools of `present`: the pools at work from now on, in the order of the spec, and those that were
        replaced, which finish what they have in hand and end.
        """
        self._completed = True
        at_work = {pool.pool_spec.place: pool for pool in present}
        replaced = []
        for pool in self.pools:
            old = at_work[pool.pool_spec.place]
            pool.replace(old)
            replaced.append(old)
            at_work[pool.pool_spec.place] = pool
        return [at_work[pool_spec.place] for pool_spec in self.spec.pool_specs], replaced

    def cancel(self) -> None:
        """End all that was started."""
        for pool in self.pools:
            pool.kill()

    def _start_failed(self, failure: StartFailure) -> None:
        if self._completed:
            self._events.start_failed(failure)
        else:  # no other can fail: all are stopped
            self.failure = failure
            self.cancel()
