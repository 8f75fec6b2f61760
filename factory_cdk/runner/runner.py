"""The runner: the one process of a stage that talks to its queues, for all bots of its local sectors.

Everything happens on one event loop, one step at a time. What workers finished since the last step is settled,
forwarded and replaced by new jobs in a single transaction (exchange.py), so that a busy factory commits in
batches by itself and an idle one answers at once.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import DamagedError, RunnerQueues
from factory_cdk.runner.exchange import ExchangeEvents, QueueExchange
from factory_cdk.runner.gate import Gate
from factory_cdk.runner.guardian import Guardian
from factory_cdk.runner.pool import PoolEvents, StartFailure, WorkerPool, pool_status, worker_statuses
from factory_cdk.runner.pool_set import PoolSet
from factory_cdk.runner.ports import LoopClock, StartWorker
from factory_cdk.runner.process import start_worker
from factory_cdk.runner.reporter import Reporter
from factory_cdk.runner.rolling_update import ENDING
from factory_cdk.state.logs import RUNNER, Stream
from factory_cdk.state.ports import RunnerPorts
from factory_cdk.state.requests import RunnerRequest
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec
from factory_cdk.state.secrets import Values
from factory_cdk.state.status import Status

PUBLISH_EVERY = 0.2
"""Seconds between two writings of the status, at least."""

ORPHANS_EVERY = 4
"""Polls between two looks at what bots left behind: each costs an idle runner as much as half of a poll."""


class Runner:
    """The runner of `spec`, the only one of its stage, with the values of its secrets. `run` returns when it was ended.

    `ports` connect it with its outside. `queues_are_shared`: others use the queues too, which outlive the stage. `tidy`
    is called in a thread now and then: it keeps house in the queues, whose jobs are remembered for so many seconds,
    until the event is set. `start` starts a process for a worker. `launcher` is the socket to the command that waits
    for the runner, if any does.
    """

    def __init__(
        self,
        ports: RunnerPorts,
        spec: RunnerSpec,
        secrets: Values,
        queues: RunnerQueues,
        guardian: Guardian,
        *,
        tidy: Callable[[float, threading.Event], object],
        start: StartWorker = start_worker,
        queues_are_shared: bool = False,
        launcher: socket.socket | None = None,
    ) -> None:
        self._ports, self._spec, self._guardian = ports, spec, guardian
        self._secrets, self._timings, self._start_worker = secrets, spec.timings, start
        self._tidy_queues, self._shares_queues, self._lost = tidy, queues_are_shared, False
        self._loop = asyncio.get_running_loop()
        self._report = Reporter(launcher, self._hear_launcher) if launcher else None
        self._stream = Stream(ports.logs)
        self._log = self._stream.log(RUNNER)
        guardian.report_to(self._log.say)
        self._exchange = QueueExchange(
            queues,
            ExchangeEvents(
                task=self._task,
                say=self._log.say,
                changed=self._note_change,
                settled=self._note_exchange,
                damaged=self._leave_damaged,
            ),
        )
        self._events = PoolEvents(
            settle=self._exchange.settle,
            release=self._exchange.release,
            fetch=self._exchange.look,
            log=self._log.say,
            changed=self._note_change,
            start_failed=self._tell_trouble,
        )
        self._clock = LoopClock(self._loop)
        self._pool_set = PoolSet(ports.specs, spec, self._pool, self._events, self._clock, self._publish)
        self._publishing: asyncio.TimerHandle | None = None
        self._published_at = 0.0
        self._started_at = time.time()
        self._gate = Gate(
            self._pool_set,
            self._events,
            self._clock,
            self._task,
            unsettled=self._exchange.has_unsettled,
            publish=self._publish,
            grace=spec.timings.grace,
        )
        self._request = RunnerRequest()
        self._kept = launcher is None
        self._told_ready = False
        self._unpublished: str | None = None
        self._end_tidying = threading.Event()

    async def run(self) -> None:
        """Start all pools and keep them at work until the runner is ended by a signal, a request or its launcher."""
        self._loop.set_exception_handler(self._fail_hard)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._gate.on_signal)
        unsubscribe = self._ports.requests.subscribe(self._hear_request)
        self._log.say(f"runner {os.getpid()} of {self._spec.factory}/{self._spec.stage} started")
        await self._exchange.start(self._pool_set)
        self._pool_set.start()
        self._carry_out(self._fetch_request())
        self._publish()
        beating = self._task(self._exchange.extend_regularly())
        polling = self._task(self._poll())
        tidying = self._task(self._tidy())
        try:
            await self._gate.wait_until_ended()
        finally:
            beating.cancel()
            polling.cancel()
            tidying.cancel()
            self._end_tidying.set()
            unsubscribe()
        await self._exchange.end()
        self._gate.state = "ended"
        self._log.say("runner ended")
        self._publish()
        if self._report:
            self._report.tell("ended")
            self._report.close()
        self._stream.close()

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        task.add_done_callback(self._check)
        return task

    def _check(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error:
            self._fail_hard(self._loop, {"exception": error})

    def _fail_hard(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A fault of our own: say it and end at once. The guardian ends the workers, every job is on disk, `ps`
        names the runner as killed and `resume` restarts it; limping on could do worse.
        """
        error = context.get("exception")
        trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
        self._log.say(f"a fault in the runner: {context.get('message', '')}\n{trace}".rstrip(), "CRITICAL")
        os._exit(70)

    # Jobs

    def _note_exchange(self) -> None:
        if self._gate.state != "open":
            self._gate.note_change()

    def _leave_damaged(self, error: DamagedError) -> None:
        """From damaged queues nothing can be hoped for: end, and what was not settled is done again once they are put
        right.
        """
        if not self._gate.ending:
            self._log.say(f"{error.message}; the runner ends", "ERROR")
            self._gate.end(cold=True)

    async def _poll(self) -> None:
        """Look at the queues now and then: delays and leases end without a bell."""
        for turn in itertools.count():
            await asyncio.sleep(self._timings.poll)
            if not self._lost and (reason := self._ports.presence.why_gone()):
                self._lose_stage(reason)
            if turn % ORPHANS_EVERY == 0:
                self._guardian.look()
            self._exchange.look()

    def _lose_stage(self, reason: str) -> None:
        """End: the stage was removed, and nobody will find this runner. Jobs in hand are finished where the queues are
        elsewhere, which others share; else they went with the stage.
        """
        self._lost = True
        self._log.say(f"{reason}: there is nothing left to run", "ERROR")
        self._gate.end(cold=not self._shares_queues)

    async def _tidy(self) -> None:
        """Keep house at the start and now and then, in a thread."""
        timings = self._timings
        while True:
            try:
                await asyncio.to_thread(self._tidy_queues, timings.keep, self._end_tidying)
            except (FactoryError, RuntimeError) as error:  # RuntimeError: this user may start no thread more
                self._log.say(f"what is old could not be tidied away: {error}", "WARNING")
            await asyncio.sleep(timings.tidy)

    # Requests

    def _hear_request(self) -> None:
        self._carry_out(self._fetch_request())
        self._pool_set.fetch(refused=ENDING if self._gate.ending else None)

    def _fetch_request(self) -> RunnerRequest:
        """What is asked, or what was asked last when that cannot be read."""
        try:
            return self._ports.requests.read()
        except FactoryError as error:
            self._log.say(f"{error.message}; the last request stays in force", "ERROR")
            return self._request

    def _hear_launcher(self, word: str | None) -> None:
        if word == "keep":
            self._kept = True
        elif word is None and not self._kept:
            self._gate.end(cold=self._gate.state == "closed")  # who builds or watches us is gone

    def _carry_out(self, asked: RunnerRequest) -> None:
        self._request = asked
        if asked.end:
            self._gate.end(cold=asked.end == "cold")
        elif asked.gate == "open":
            self._gate.open(keep_stopped=asked.keep_stopped)
        else:
            self._gate.close()
        self._publish()
        self._note_change()

    def _pool(self, pool_spec: PoolSpec, events: PoolEvents) -> WorkerPool:
        secrets = self._secrets.get(pool_spec.place, {})
        return WorkerPool(
            pool_spec, secrets, self._timings, self._stream, self._clock, self._start_worker, self._guardian, events
        )

    # What others see

    def _note_change(self) -> None:
        self._gate.note_change()
        self._pool_set.note_change(may_replace=not self._gate.is_closing)
        if not self._told_ready and all(pool.ready for pool in self._pool_set.at_work):
            self._told_ready = True
            if self._report:
                self._report.tell("ready")
        if self._publishing is None:
            pause = max(0.0, self._published_at + PUBLISH_EVERY - self._loop.time())
            self._publishing = self._loop.call_later(pause, self._publish)

    def _tell_trouble(self, failure: StartFailure) -> None:
        if self._report:
            self._report.tell("trouble", sector=failure.sector, bot=failure.bot, reason=failure.reason, log=failure.log)

    def _publish(self) -> None:
        if self._publishing:
            self._publishing.cancel()
            self._publishing = None
        self._published_at = self._loop.time()
        try:
            self._ports.status.publish(self._status())
        except FactoryError as error:
            if self._unpublished is None:
                self._log.say(f"the status could not be published: {error.message}", "ERROR")
            self._unpublished = error.message
        else:
            self._unpublished = None

    def _status(self) -> Status:
        return Status(
            pid=os.getpid(),
            started_at=self._started_at,
            gate=self._gate.state,
            request=self._request.request,
            workers=tuple(status for pool in self._pool_set.all_pools for status in worker_statuses(pool)),
            pools=tuple(pool_status(pool) for pool in self._pool_set.at_work),
            trouble=self._exchange.trouble or self._unpublished,
            lost_log_bytes=self._stream.lost,
            lost_leases=self._exchange.lost_leases,
            update=self._pool_set.update_status,
        )
