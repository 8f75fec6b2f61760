"""The pool set: all pools of a runner, those at work, those that are to replace some of them, and those that drain."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runner.pool import PoolEvents, WorkerPool
from factory_cdk.runner.ports import Clock, Timer
from factory_cdk.runner.rolling_update import MakePool, RollingUpdate
from factory_cdk.state.ports import SpecStore
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.spec_changes import unsupported_change
from factory_cdk.state.status import UpdateStatus


class PoolSet:
    """The pools of `spec`, made by `make` with `events`, and of those of `specs` that take its place: `update_status`
    says what became of the last one that was asked for, and `publish` is called when that is decided. `lease` is the
    shortest lease of the pools at work, in seconds.
    """

    def __init__(
        self,
        specs: SpecStore,
        spec: RunnerSpec,
        make: MakePool,
        events: PoolEvents,
        clock: Clock,
        publish: Callable[[], None],
    ) -> None:
        self._specs, self._make, self._events, self._clock, self._publish = specs, make, events, clock, publish
        self._spec = spec
        self.at_work = [make(pool_spec, events) for pool_spec in spec.pool_specs]
        self.lease = self._shortest_lease()
        self._update: RollingUpdate | None = None
        self._draining: dict[WorkerPool, Timer | None] = {}
        self.update_status: UpdateStatus | None = None

    @property
    def all_pools(self) -> list[WorkerPool]:
        """Every pool, those at work first."""
        return [*self.at_work, *(self._update.pools if self._update else ()), *self._draining]

    def in_order(self) -> list[list[WorkerPool]]:
        """The pools that may have jobs in hand, bot after bot as they are stopped."""
        pools = [*self.at_work, *self._draining]
        order = dict.fromkeys([*self._spec.end_order, *(pool.pool_spec.bot for pool in pools)])
        return [[pool for pool in pools if pool.pool_spec.bot == bot] for bot in order]

    def start(self) -> None:
        """Start the pools. A next spec that a runner before this one did not begin is dropped."""
        try:
            left = self._specs.take_next()
        except FactoryError as error:
            self._events.log(error.message, "WARNING")
        else:
            if left:
                self._events.log("the update that was requested last was not begun: request it again", "WARNING")
        for pool in self.at_work:
            pool.start()

    def fetch(self, *, refused: str | None = None) -> None:
        """Start the pools for the spec that is asked for, if one is, in the place of any that are being started for
        another; or say why that is `refused`.
        """
        try:
            asked = self._specs.take_next()
        except FactoryError as error:
            self._events.log(f"{error.message}; the workers stay as they are", "WARNING")
            return
        if asked is None:
            return
        request, wanted = asked
        self.cancel_update("another update was requested meanwhile")
        reason = refused or unsupported_change(self._spec, wanted)
        if reason is not None:
            self._set_status(UpdateStatus(request, "failed", reason))
            return
        update = self._update = RollingUpdate(request, wanted, self._spec, self._make, self._events)
        self._set_status(UpdateStatus(request, "starting"))
        update.start()
        self._events.changed()

    def note_change(self, *, may_replace: bool) -> None:
        """To be called when anything has changed: the pools that were started replace the present ones once all of them
        are ready, and those that have drained are removed.
        """
        update = self._update
        if update is None and not self._draining:
            return
        if update is not None and update.failure is not None:
            failure = update.failure
            self.cancel_update(f"bot {failure.bot} of {failure.sector} {failure.reason}", failure.log)
        elif update is not None and update.ready and may_replace:
            self._complete(update)
        for pool, grace in list(self._draining.items()):
            if not pool.alive:
                self._remove(pool)
            elif grace is None and not pool.in_hand:
                self._draining[pool] = self._clock.call_later(self._spec.timings.grace, pool.kill)

    def cancel_update(self, reason: str, log: str = "") -> None:
        """End what was started for the next spec, if anything was; `log` is the end of the log of the worker that
        failed.
        """
        update, self._update = self._update, None
        if update is not None:
            update.cancel()
            self._drain(update.pools)
            self._set_status(UpdateStatus(update.request, "failed", reason, log))

    def _complete(self, update: RollingUpdate) -> None:
        try:
            self._specs.accept(update.spec)
        except FactoryError as error:
            self.cancel_update(error.message)
            return
        self._update, self._spec = None, update.spec
        self.at_work, replaced = update.complete(self.at_work)
        self.lease = self._shortest_lease()
        self._drain(replaced)
        self._set_status(UpdateStatus(update.request, "done", in_hand=sum(len(pool.in_hand) for pool in replaced)))
        self._events.fetch()

    def _shortest_lease(self) -> float:
        return min((pool.lease for pool in self.at_work), default=self._spec.timings.lease_most)

    def _set_status(self, status: UpdateStatus) -> None:
        first_line = status.reason.partition("\n")[0]
        words = {
            "starting": "rolling update: starting the new workers",
            "done": f"rolling update: the new workers took over; jobs in hand of those before: {status.in_hand}",
            "failed": f"rolling update failed: {first_line}",
        }
        self._events.log(words[status.outcome], "ERROR" if status.outcome == "failed" else "INFO")
        self.update_status = status
        self._publish()

    def _drain(self, pools: Iterable[WorkerPool]) -> None:
        self._draining.update(dict.fromkeys(pools))

    def _remove(self, pool: WorkerPool) -> None:
        grace = self._draining.pop(pool)
        if grace is not None:
            grace.cancel()
        at_work = next(one for one in self.at_work if one.pool_spec.place == pool.pool_spec.place)
        at_work.add_counts_of(pool)
