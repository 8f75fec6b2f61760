"""The update that a watch has asked for last, and what is said of it until it is decided."""

from __future__ import annotations

import time
from collections.abc import Callable

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.local.control import with_log
from factory_cdk.lifecycle.local.update import UpdateRequest, decision
from factory_cdk.lifecycle.progress import Say
from factory_cdk.runner.rolling_update import ENDING
from factory_cdk.state.status import UpdateStatus

LONG = 5.0
"""Seconds of loading after which it is said that it goes on; doubling."""

UNCHANGED = "the bots run as before; the next save tries again"


class PendingUpdate:
    """An update from the moment of its `request`. `say` gets lines of progress, `fail` why it failed."""

    def __init__(self, request: UpdateRequest, say: Say, fail: Callable[[FactoryError], None]) -> None:
        self._request, self._say, self._fail = request, say, fail
        self._began = self._said_at = time.monotonic()
        if request.bots:
            say(f"loading {', '.join(request.bots)}")

    def is_decided(self) -> bool:
        """Look whether the update is decided, and say so if it is."""
        status = decision(self._request)
        now = time.monotonic()
        if status is not None:
            self._report(status, now - self._began)
            return True
        if now - self._said_at >= max(LONG, self._said_at - self._began):
            self._said_at = now
            bots = ", ".join(self._request.bots)
            self._say(f"{bots}: not loaded after {now - self._began:.0f} s; the code from before runs meanwhile")
        return False

    def _report(self, status: UpdateStatus, seconds: float) -> None:
        if status.reason == ENDING:
            return
        if status.outcome != "done":
            self._fail(FactoryError(f"not reloaded: {with_log(status.reason, status.log)}", UNCHANGED))
            return
        jobs = "1 job in hand is" if status.in_hand == 1 else f"{status.in_hand} jobs in hand are"
        finished = f"; {jobs} finished by the code from before" if status.in_hand else ""
        self._say(f"reloaded {', '.join(self._request.bots) or 'nothing'} in {seconds:.1f} s{finished}")
