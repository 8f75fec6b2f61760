"""The Job as a bot sees it."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from typing import Any


class Job:
    """One job, handed to a callable whose parameter is named `job` or annotated `Job`.

    `payload` is what was submitted, or what the bot before returned. `attempt` counts from 1. `run` is the
    id of the submission that the job descends from, `parent` the id of the job before it or None.
    """

    __slots__ = ("attempt", "bot", "id", "parent", "payload", "run", "tags")

    def __init__(
        self,
        id: str,  # noqa: A002 (the job's own word)
        bot: str,
        payload: Any,
        attempt: int,
        tags: dict[str, str],
        parent: str | None,
        run: str,
    ) -> None:
        self.id = id
        self.bot = bot
        self.payload = payload
        self.attempt = attempt
        self.tags = tags
        self.parent = parent
        self.run = run

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, bot={self.bot!r}, attempt={self.attempt})"
