"""Calls of AWS: tried again while that may help, and told in plain words when it does not.

botocore tries a call a few times within seconds; what lasts longer (throttling, an endpoint that is down) is waited for
here, with random pauses that grow, for a bounded time. The messages are the same for the same trouble, so that who
meets it again and again can say it once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from factory_cdk.diagnostics import FactoryError

Answer = TypeVar("Answer")

PATIENCE = 20.0
"""Seconds for which a call is tried before it is given up."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
"""Seconds: the pauses between two tries are random, up to the first and growing to the longest."""

_LATER = "it is tried again; nothing is lost meanwhile"

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottlingError",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "SlowDown",
        "OverLimit",
        "TransactionConflict",
        "TransactionConflictException",
    }
)
_DOWN = frozenset({"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "RequestTimeout"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "KMS.AccessDeniedException"})
_UNKNOWN_KEYS = frozenset(
    {"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"}
)
_SKEWED = frozenset({"RequestTimeTooSkewed", "InvalidSignatureException", "RequestInTheFuture"})
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "QueueDeletedRecently"})


class PassingError(FactoryError):
    """What may end by itself: a service that is throttled, down or not reached."""


class CredentialsError(FactoryError):
    """The credentials are refused: others may be found meanwhile."""


class Calls:
    """Makes calls for one engine until `close`. `clock` and `pause` (seconds) are for tests."""

    def __init__(
        self,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._patience, self._clock = patience, clock
        self._closed = threading.Event()
        self._pause = pause or self._closed.wait

    def make(self, what: str, call: Callable[[], Answer]) -> Answer:
        """What `call` answers; `what` says in an error of whom it was asked ("queue works-dev-a"). FactoryError."""
        deadline = self._clock() + self._patience
        longest = _FIRST_PAUSE
        while True:
            try:
                return call()
            except Exception as error:
                told = explained(what, error)
                if told is None:
                    raise
                if not isinstance(told, PassingError) or self._closed.is_set() or self._clock() >= deadline:
                    raise told from error
            self._pause(random.uniform(longest / 2, longest))  # noqa: S311 - no secret
            longest = min(_LONGEST_PAUSE, longest * 2)

    def close(self) -> None:
        """Nothing is waited for any more."""
        self._closed.set()


def explained(what: str, error: Exception) -> FactoryError | None:
    """`error` of a call of AWS in plain words; None when it is nothing of AWS."""
    from botocore.exceptions import (  # noqa: PLC0415 - with the client alone
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
        SSOError,
    )

    if isinstance(error, FactoryError):
        return error
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return refused(
            what, error.response["Error"].get("Code", ""), status, error.response["Error"].get("Message", "")
        )
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, SSOError)):
        return CredentialsError(f"there are no credentials to use {what}", "log in to AWS, or check AWS_PROFILE")
    if isinstance(error, HTTPClientError):
        return PassingError(f"{what} cannot be reached", f"check the network and the endpoint; {_LATER}")
    if isinstance(error, BotoCoreError):
        return FactoryError(f"{what} cannot be used: {error}", "check the AWS configuration")
    return None


def refused(what: str, code: str, status: int = 0, message: str = "") -> FactoryError:
    """The error for a refusal with the error `code`, HTTP `status` and `message`."""
    if code in THROTTLED or status == 429:
        return PassingError(f"{what} is throttled", f"too many calls a second; {_LATER}")
    if code in _DOWN or status >= 500:
        return PassingError(f"{what} is not available", f"AWS answers with an error of its own; {_LATER}")
    if code in _EXPIRED:
        return CredentialsError(f"the credentials to use {what} have expired", "log in to AWS again")
    if code in _UNKNOWN_KEYS:
        return CredentialsError(f"the credentials to use {what} are refused ({code})", "check the credentials")
    if code in _SKEWED:
        return FactoryError(
            f"AWS refuses the signature of calls to {what}: the clock of this machine may be wrong",
            "set the clock (timedatectl, chrony), or check the secret key",
        )
    if code in _DENIED:
        return FactoryError(f"no permission to use {what} ({code})", "give the role or user the permission")
    if code in _NO_QUEUE or code in ("ResourceNotFoundException", "ResourceNotFound", "NoSuchBucket"):
        return FactoryError(f"{what} does not exist", "build the stage; it was deleted, or is in another region")
    return FactoryError(f"{what} refuses a call ({code}): {message}", "see the message of AWS")
