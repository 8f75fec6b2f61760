"""Answering CloudFormation's wait handles: a stack waits until its instance says that it runs its release, or why not.

The URL of a handle is presigned, hence a secret: it is in no log, and only a hash of it is kept.
"""

from __future__ import annotations

import hashlib
import http.client
import json
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from factory_cdk.atomic import replace_file
from factory_cdk.home import disk

TIMEOUT = 20.0
LARGEST = 4096
"""Bytes of a signal: CloudFormation's quota for the data of a wait condition."""

Outcome = Literal["SUCCESS", "FAILURE"]


class WaitHandleError(OSError):
    """A wait handle could not be answered now."""


class WaitHandles:
    """The handles that `file` says were answered, and how others are. CloudFormation listens to the first answer; after
    a rollback an earlier handle is named again, whose URL may have expired.
    """

    def __init__(self, file: Path, instance: str) -> None:
        self._file, self._instance = file, instance

    def is_answered(self, url: str) -> bool:
        """Whether the handle of `url` has got its answer."""
        with disk(self._file):
            try:
                return _mark(url) in self._file.read_text(encoding="ascii").split()
            except FileNotFoundError:
                return False

    def answer(self, url: str, outcome: Outcome, reason: str, data: str) -> bool:
        """Answer the handle of `url`, once; False when its URL has expired. WaitHandleError when it cannot be reached:
        to be tried again.
        """
        status = put(url, _body(outcome, reason, data, self._instance))
        if status not in (200, 403):
            raise WaitHandleError(f"the wait handle answered {status}")
        with disk(self._file):
            before = self._file.read_text(encoding="ascii") if self._file.exists() else ""
            replace_file(self._file, f"{before}{_mark(url)}\n".encode(), mode=0o600)
        return status == 200


def _mark(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def put(url: str, body: bytes) -> int:
    """The status of a PUT without a Content-Type, which the presigned URL does not have. WaitHandleError."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request("PUT", f"{parts.path}?{parts.query}" if parts.query else parts.path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        raise WaitHandleError(f"the wait handle cannot be reached: {type(error).__name__}") from None
    finally:
        connection.close()


def _body(outcome: Outcome, reason: str, data: str, instance: str) -> bytes:
    """The signal as JSON; of a reason that is too long the middle is left out."""
    head, tail = reason[:500], reason[500:]
    while True:
        content = {"Status": outcome, "UniqueId": instance, "Data": data[:100], "Reason": head + tail}
        body = json.dumps(content).encode()
        if len(body) <= LARGEST:
            return body
        tail = "\n...\n" + tail[100:]
