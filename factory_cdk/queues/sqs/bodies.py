"""Payloads and results: in messages and items where they are small, else as objects of the stage's bucket.

An object's key is the SHA-256 of its text, so that a result and the payloads made of it are one object. It is written
whenever it is needed, even if it is there: the bucket's lifecycle rule counts from the last time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.queues.sqs.clients import Clients
from factory_cdk.queues.sqs.jobs import Body
from factory_cdk.queues.values import decode

PREFIX = "payloads/"
SET_ASIDE = "set-aside/"
"""Where the bucket keeps payloads and results, and messages that are not ours and too large to be sent on."""

One = TypeVar("One")
Answer = TypeVar("Answer")
Together = Callable[[Callable[[One], Answer], Sequence[One]], list[Answer]]


class GoneError(FactoryError):
    """An object is not in the bucket (any more)."""


class Bodies:
    """The payloads and results in `bucket`. What has more than `inline` characters goes there; `together` does many
    calls at once, in the order of what it is given.
    """

    def __init__(self, clients: Clients, bucket: str, inline: int, together: Together[Any, Any]) -> None:
        self._clients, self._bucket, self._inline, self._together = clients, bucket, inline, together
        self._what = f"bucket {bucket}"

    def keep(self, texts: Iterable[str]) -> dict[str, Body]:
        """The bodies of JSON `texts`, kept in the bucket where they are large. FactoryError."""
        bodies = {text: self._body(text) for text in texts}
        large = [(body.key, text) for text, body in bodies.items() if body.key is not None]
        self._together(lambda one: self.put(*one), large)
        return bodies

    def put(self, key: str, text: str) -> None:
        """Keep `text`."""
        data = text.encode()
        self._clients.call("s3", self._what, lambda client: client.put_object(Bucket=self._bucket, Key=key, Body=data))

    def values(self, bodies: Sequence[Body | None]) -> list[Json | GoneError]:
        """What `bodies` hold: None of none, a GoneError for one that the bucket has not any more. FactoryError."""
        return self._together(self._value, list(bodies))

    def _body(self, text: str) -> Body:
        if len(text) <= self._inline:
            return Body(text)
        return Body(text, f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()}")

    def _value(self, body: Body | None) -> Json | GoneError:
        if body is None:
            return None
        try:
            return decode(self._text(body))
        except GoneError as error:
            return error

    def _text(self, body: Body) -> str:
        if body.text is not None:
            return body.text
        key = str(body.key)

        def get(client: Any) -> str | None:
            try:
                return str(client.get_object(Bucket=self._bucket, Key=key)["Body"].read().decode())
            except client.exceptions.NoSuchKey:
                return None

        text = self._clients.call("s3", self._what, get)
        if text is None:
            raise GoneError(
                f"object {key} is not in bucket {self._bucket} any more",
                "the bucket's lifecycle rule keeps it for the time that a job may take, and no longer",
            )
        return str(text)
