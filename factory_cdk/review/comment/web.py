"""Calls of a host's REST API: JSON there and back, with the token in a header and nowhere else."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from factory_cdk.diagnostics import FactoryError
from factory_cdk.version import __version__

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

_TIMEOUT = urllib3.Timeout(connect=10, read=30)
"""Seconds."""


class ApiError(Exception):
    """The host answered with an error: its HTTP `status` and what it says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class TryAgain(Exception):
    """The host cannot answer now; `seconds` is how long it wants to be left alone (None: it does not say)."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answers: its headers and the JSON."""

    headers: Mapping[str, str]
    content: Any


class Api:
    """A REST API at `base`, which every path begins with; `headers` carry the token."""

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(base)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise FactoryError(f"the API's address {base!r} is not https", "a token is only sent over https")
        self._base = base.rstrip("/")
        self._headers = {**headers, "User-Agent": f"factory-cdk/{__version__}"}
        proxy = None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
        # No redirects: they would carry the token elsewhere. What is tried again is decided by `posting`.
        self._pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()

    def call(self, method: str, path: str, *, body: Any = None, **query: str | int) -> Answer:
        """The answer to `method` on `path`. ApiError, or TryAgain where it may be another one later."""
        url = f"{self._base}{path}{'?' + urlencode(query) if query else ''}"
        headers = dict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            answer = self._pool.request(
                method, url, body=data, headers=headers, timeout=_TIMEOUT, redirect=False, retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise TryAgain(f"{urlsplit(url).netloc} cannot be reached: {type(error).__name__}") from error
        content = _content(answer.data)
        if answer.status < 300:
            return Answer(answer.headers, content)
        message = _message(content)
        if answer.status >= 500 or answer.status == 429 or _is_rate_limit(answer.status, answer.headers, message):
            raise TryAgain(f"HTTP {answer.status}: {message}", _seconds(answer.headers))
        raise ApiError(answer.status, message)


def _content(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return None  # a proxy's page


def _message(content: Any) -> str:
    """What a host says is wrong, shortened."""
    said = (content.get("message") or content.get("error")) if isinstance(content, dict) else None
    return str(said)[:300] if said else "no message"


def _is_rate_limit(status: int, headers: Mapping[str, str], message: str) -> bool:
    """https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"""
    if status != 403:
        return False
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in message.lower()


def _seconds(headers: Mapping[str, str]) -> float | None:
    if (after := headers.get("retry-after", "")).isdecimal():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and (reset := headers.get("x-ratelimit-reset", "")).isdecimal():
        return max(0.0, float(reset) - time.time())
    return None
