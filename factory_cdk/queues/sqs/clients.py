"""The clients of boto3 that an engine uses, made when they are first asked for."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.sqs.calls import Calls, CredentialsError, PassingError

LONG_POLL = 20
"""Seconds for which a call waits for messages: the longest that SQS allows."""

_CONNECT, _READ = 5, 15
"""Seconds for a connection, and for an answer beyond those of a long poll."""

_ATTEMPTS = 3
_CONNECTIONS = 64


_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds before who has refused for good is asked again: random, up to the first and growing to the longest."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a service has refused, and when it is asked again (on the monotonic clock)."""

    error: FactoryError
    pause: float
    until: float


class Clients:
    """The clients of `region`, for all threads of one engine. Credentials are looked for anew once they were refused:
    those of a profile may have been renewed. `hear` is given every answer.
    """

    def __init__(self, region: str, calls: Calls, hear: Callable[[Any], None]) -> None:
        self._region, self._calls, self._hear = region, calls, hear
        self._lock = threading.Lock()
        self._session: Any = None
        self._made: dict[str, Any] = {}
        self._refusals: dict[str, _Refusal] = {}

    def call(self, service: str, what: str, do: Callable[[Any], Any]) -> Any:
        """What `do` answers, given the client of `service`; `what` names who is called. FactoryError.

        Who was refused for a reason that does not pass by itself is not asked again for a while that grows; meanwhile
        the answer is the same.
        """
        refusal = self._refusals.get(what)
        if refusal is not None and time.monotonic() < refusal.until:
            raise refusal.error
        try:
            answer = self._calls.make(what, lambda: do(self._client(service)))
        except PassingError:
            raise
        except FactoryError as error:
            pause = _FIRST_PAUSE if refusal is None else min(_LONGEST_PAUSE, 2 * refusal.pause)
            until = time.monotonic() + random.uniform(pause / 2, pause)  # noqa: S311 - no secret
            self._refusals[what] = _Refusal(error, pause, until)
            if isinstance(error, CredentialsError):
                self._forget_credentials()
            raise
        self._refusals.pop(what, None)
        return answer

    def close(self) -> None:
        """Nothing is waited for any more."""
        self._calls.close()

    def _forget_credentials(self) -> None:
        with self._lock:
            self._session = None
            self._made.clear()

    def _client(self, service: str) -> Any:
        with self._lock:  # a session of boto3 is for one thread
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    def _make(self, service: str) -> Any:
        import boto3  # noqa: PLC0415 - 0.3 s that only who uses AWS need pay
        from botocore.config import Config  # noqa: PLC0415

        if self._session is None:
            self._session = boto3.Session(region_name=self._region)
        config = Config(
            connect_timeout=_CONNECT,
            read_timeout=_READ + (LONG_POLL if service == "sqs" else 0),
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=_CONNECTIONS,
            user_agent_extra="factory-cdk",
        )
        client = self._session.client(service, config=config)
        client.meta.events.register("after-call", self._answered)
        return client

    def _answered(self, parsed: Any, **_: Any) -> None:
        self._hear(parsed)
