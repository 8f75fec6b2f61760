"""AWS as a deployment sees it: every call goes through `Account.call`, is tried again while that may help, and is
refused in words that say what to do.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from factory_cdk.deploy.refusals import BAD_CREDENTIALS, GIVE_CREDENTIALS, REFUSED
from factory_cdk.diagnostics import FactoryError

PATIENCE = 90.0
"""Seconds for which a call is tried again that AWS throttles, does not answer, or fails at on its own side."""

_ATTEMPTS = 3
_CONNECT, _READ = 5, 30
"""Seconds for a connection, and for an answer."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 8.0

_PASSING = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "TooManyUpdates",
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
)
"""Codes that pass by themselves; so does whatever has the HTTP status 500 or more."""

_ACTIONS = {
    "s3:HeadObject": "s3:GetObject and s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
}
"""The actions of operations that IAM calls otherwise
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html)."""


class RefusedError(FactoryError):
    """AWS refused a call, or could not be reached. `code` is AWS's own, or the kind of the failure; `detail` is what
    AWS said.
    """

    def __init__(self, what: str, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{what}: {code}: {detail}" if detail else f"{what}: {code}", remedy)
        self.code, self.detail = code, detail

    @property
    def denied(self) -> bool:
        """Whether these credentials may not do it."""
        return self.code in REFUSED


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call of an operation (`service` and `operation` as boto3 names them) in a region."""

    service: str
    operation: str
    region: str


class Account:
    """The account whose credentials boto3 finds, in any region, for several threads.

    `patience` is in seconds (PATIENCE). `observe` is told of every call before it is made.
    """

    def __init__(self, patience: float = PATIENCE, observe: Callable[[CallMade], None] | None = None) -> None:
        self._patience, self._observe = patience, observe
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._identity: dict[str, str] | None = None

    def with_patience(self, patience: float) -> Account:
        """The same account for calls that are tried again for `patience` seconds."""
        other = Account(patience, self._observe)
        other._lock, other._session, other._identity = self._lock, self._session, self._identity
        return other

    def call(self, region: str, service: str, operation: str, **parameters: Any) -> Any:
        """What AWS answers. RefusedError, in which no parameter is but those that AWS repeats."""
        if self._observe is not None:
            self._observe(CallMade(service, operation, region))
        end, pause = time.monotonic() + self._patience, _FIRST_PAUSE
        while True:
            try:
                return getattr(self._client(region, service), operation)(**parameters)
            except Exception as error:
                refusal, passing = _explained(error, region, service, operation)
            if not passing or time.monotonic() + pause > end:
                raise refusal from None
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    def pages(self, region: str, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        """All items of an operation whose answers have them under `key` and the rest behind `NextToken`."""
        found: list[Any] = []
        token: str | None = None
        while True:
            more = {"NextToken": token} if token else {}
            answer = self.call(region, service, operation, **parameters, **more)
            found += answer.get(key, [])
            token = answer.get("NextToken")
            if not token:
                return found

    def identity(self, region: str) -> dict[str, str]:
        """Whose credentials they are: `Account` (12 digits), `Arn`, `UserId`."""
        if self._identity is None:
            answer = self.call(region, "sts", "get_caller_identity")
            self._identity = {key: str(answer[key]) for key in ("Account", "Arn", "UserId")}
        return self._identity

    def _client(self, region: str, service: str) -> Any:
        with self._lock:  # a session of boto3 is for one thread
            if (region, service) not in self._clients:
                self._clients[region, service] = self._made(region, service)
            return self._clients[region, service]

    def _made(self, region: str, service: str) -> Any:
        import boto3  # noqa: PLC0415 - 0.3 s that only who uses AWS need pay
        from botocore.config import Config  # noqa: PLC0415

        if self._session is None:
            self._session = boto3.Session()
        config = Config(
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=32,
            user_agent_extra="factory-cdk",
        )
        return self._session.client(service, region, config=config)


def _explained(error: Exception, region: str, service: str, operation: str) -> tuple[RefusedError, bool]:
    """A failure of boto3 in words, and whether it may pass by itself; what is none of AWS's is raised again."""
    from botocore import exceptions  # noqa: PLC0415 - see Account

    action = f"{service}:{''.join(word.capitalize() for word in operation.split('_'))}"
    what = f"{action} in {region}"
    if isinstance(error, exceptions.ClientError):
        said = error.response.get("Error", {})
        code, detail = str(said.get("Code", "refused")), str(said.get("Message", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
        passing = code in _PASSING or (status >= 500 and code not in BAD_CREDENTIALS)
        return RefusedError(what, code, detail, _remedy(code, action, passing=passing)), passing
    if isinstance(error, exceptions.BotoCoreError):
        code = type(error).__name__
        passing = isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)
        return RefusedError(what, code, str(error), _remedy(code, action, passing=passing)), passing
    raise error


def _remedy(code: str, action: str, *, passing: bool) -> str:
    if code in BAD_CREDENTIALS:
        return GIVE_CREDENTIALS
    if code in REFUSED:
        needed = _ACTIONS.get(action, action)
        return f"these credentials need {needed}; with that, run the same command again: it goes on"
    if passing:
        return "check the network and AWS's health, then run the same command again: it goes on"
    return "correct what AWS says, then run the same command again"
