"""The instance's metadata service (IMDSv2), as far as boto3 does not ask it."""

from __future__ import annotations

import http.client
import os
from urllib.parse import urlsplit

VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
"""AWS's own name for another address of the service."""

ADDRESS = "http://169.254.169.254"
TIMEOUT = 2.0
LIFETIME = "21600"
"""Seconds for which a token is good."""


class MetadataError(OSError):
    """The metadata service could not be asked."""


class Metadata:
    """The metadata of this instance. http.client and not urllib: no proxy may be between."""

    def __init__(self, address: str | None = None) -> None:
        parts = urlsplit(address or os.environ.get(VARIABLE) or ADDRESS)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._token: str | None = None

    def get(self, path: str) -> str | None:
        """What there is at `path` below `meta-data/`; None when there is nothing. MetadataError."""
        for renewed in (False, True):
            if self._token is None or renewed:
                lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": LIFETIME}
                status, token = self._ask("PUT", "/latest/api/token", lifetime)
                if status != 200:
                    raise MetadataError(f"the metadata service answered {status} for a token")
                self._token = token
            status, text = self._ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": self._token})
            if status == 404:
                return None
            if status == 200:
                return text
        raise MetadataError(f"the metadata service answered {status} for {path}")

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise MetadataError(f"the metadata service cannot be reached: {type(error).__name__}") from error
        finally:
            connection.close()
