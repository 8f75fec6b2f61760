"""Rolling update: how a runner changes from its spec to the next one without a pause, and without losing a job.

Pools for the pool specs that differ are started beside those that are at work. When every worker of theirs is loaded,
they take over: they get the jobs that come from then on, and those whom they replace finish what they have in hand and
end. When one cannot be loaded all that was started is ended, and the present pools have noticed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from factory_cdk.runner.pool import PoolEvents, Trouble, WorkerPool
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec
from factory_cdk.state.spec_changes import changed_pools

ENDING = "the runner is ending"
"""Why no spec is taken up any more."""

MakePool = Callable[[PoolSpec, PoolEvents], WorkerPool]


class RollingUpdate:
    """The pools that are to take over once `spec` is the present one: those of the pool specs that differ from
    `present`. `request` names who asked for them; `trouble` is why they cannot take over, or None.
    """

    def __init__(self, request: str, spec: RunnerSpec, present: RunnerSpec, make: MakePool, events: PoolEvents) -> None:
        self.request, self.spec = request, spec
        self.trouble: Trouble | None = None
        self._events, self._over = events, False
        ours = replace(events, trouble=self._hear)
        self.pools = tuple(make(pool_spec, ours) for pool_spec in changed_pools(present, spec))

    def start(self) -> None:
        """Start the pools, unless one of them turns out not to be startable."""
        for pool in self.pools:
            if self.trouble is None:
                pool.start()

    @property
    def ready(self) -> bool:
        """Whether all of them are loaded."""
        return self.trouble is None and all(pool.ready for pool in self.pools)

    def take_over(self, present: Sequence[WorkerPool]) -> tuple[list[WorkerPool], list[WorkerPool]]:
        """The pools at work from now on, in the order of the spec, and those that were replaced, which finish what
        they have in hand and end.
        """
        self._over = True
        at_work = {pool.pool_spec.place: pool for pool in present}
        replaced = []
        for pool in self.pools:
            old = at_work[pool.pool_spec.place]
            pool.take_over_from(old)
            old.stop()
            replaced.append(old)
            at_work[pool.pool_spec.place] = pool
        return [at_work[pool_spec.place] for pool_spec in self.spec.pool_specs], replaced

    def drop(self) -> None:
        """End all that was started."""
        for pool in self.pools:
            pool.kill("end")

    def _hear(self, trouble: Trouble) -> None:
        if self._over:
            self._events.trouble(trouble)
        elif self.trouble is None:
            self.trouble = trouble
            self.drop()
