"""Clients of AWS's services, made when they are first needed, and their refusals in words.

boto3 finds endpoints and credentials as every AWS tool does: on an instance, those of its role.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from factory_cdk.diagnostics import FactoryError

ATTEMPTS = 3
"""How often boto3 itself sends a request; whoever waits longer does it himself."""

PATIENT_ATTEMPTS = 10
"""How often it is sent for a command that changes a stage and has no other patience: for about a minute, with pauses of
boto3's that grow to 20 s.
"""

CONNECT_TIMEOUT, READ_TIMEOUT, METADATA_TIMEOUT = 5, 20, 5
"""Seconds."""

_THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown")


class AwsError(FactoryError):
    """AWS refused a request, or could not be reached. `code` is AWS's own, or the kind of the failure."""

    def __init__(self, what: str, code: str, detail: str) -> None:
        super().__init__(f"{what}: {code}: {detail}" if detail else f"{what}: {code}", "see the agent's log")
        self.code = code

    @property
    def throttled(self) -> bool:
        """Whether it was refused because there were too many requests."""
        return self.code in _THROTTLED


class Aws:
    """The services of one `region`, in one session: its credentials are refreshed as they expire. A request that may
    succeed later is sent `attempts` times.
    """

    def __init__(self, region: str, *, attempts: int = ATTEMPTS) -> None:
        self._region, self._attempts = region, attempts
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of `service`, of another `region` if given, which threads may share."""
        with self._lock:
            return self._made(service, region or self._region)

    def _made(self, service: str, region: str) -> Any:
        if (service, region) not in self._clients:
            import boto3  # noqa: PLC0415 - 0.2 s that only what talks to AWS pays
            from botocore.config import Config  # noqa: PLC0415
            from botocore.session import Session  # noqa: PLC0415

            if self._session is None:
                core = Session()
                core.set_config_variable("metadata_service_timeout", METADATA_TIMEOUT)
                core.set_config_variable("metadata_service_num_attempts", ATTEMPTS)
                self._session = boto3.Session(botocore_session=core, region_name=self._region)
            config = Config(
                retries={"mode": "standard", "total_max_attempts": self._attempts},
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
            )
            self._clients[service, region] = self._session.client(service, region, config=config)
        return self._clients[service, region]


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn what a client raises while `what` is asked for into an AwsError, without what signed the request."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see Aws

    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        raise AwsError(what, str(said.get("Code", "refused")), str(said.get("Message", ""))) from None
    except BotoCoreError as error:
        raise AwsError(what, type(error).__name__, str(error)) from None
