"""One comment for one plan: found by its first line, updated, or made where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from factory_cdk.diagnostics import FactoryError
from factory_cdk.review.comment.web import TryAgain

TRIES = 5

LONGEST_WAIT = 120.0
"""Seconds that a host may ask for before the comment is given up."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as the host has it; `own` where it is by whom the token is for."""

    id: int
    body: str
    own: bool


class Host(Protocol):
    """Where the comments of one pull request are. Every method may raise ApiError and TryAgain."""

    def comments(self) -> Iterator[Comment]:
        """All of them, page by page."""

    def create(self, body: str) -> None:
        """A new comment."""

    def update(self, comment: Comment, body: str) -> None:
        """Another text for a comment."""


class Outcome(StrEnum):
    """What was done."""

    CREATED = "created"
    UPDATED = "updated"
    SAME = "left as it is"
    NOT_NEEDED = "not needed"


def put_comment(host: Host, body: str, *, update_only: bool, wait: Callable[[float], None]) -> Outcome:
    """Let the comment whose first line is that of `body` say `body`; one is made unless `update_only`.

    What fails for now is tried again after `wait`, from the search on: a host that answered with an error may have made
    the comment nevertheless. FactoryError when it fails for good, ApiError when the host refuses.
    """
    for attempt in range(TRIES):
        try:
            return _put(host, body, update_only)
        except TryAgain as error:
            seconds = error.seconds if error.seconds is not None else 2.0**attempt
            if attempt == TRIES - 1 or seconds > LONGEST_WAIT:
                raise FactoryError(
                    f"the comment could not be written: {error}", "run the job again later; the report itself is whole"
                ) from error
        wait(seconds)
    raise AssertionError("unreachable")


def _put(host: Host, body: str, update_only: bool) -> Outcome:
    first = _first_line(body)
    found = next((one for one in host.comments() if one.own and _first_line(one.body) == first), None)
    if found is None and update_only:
        return Outcome.NOT_NEEDED
    if found is None:
        host.create(body)
        return Outcome.CREATED
    if found.body.replace("\r\n", "\n").strip() == body.strip():
        return Outcome.SAME
    host.update(found, body)
    return Outcome.UPDATED


def _first_line(body: str) -> str:
    return body.split("\n", 1)[0].strip()
