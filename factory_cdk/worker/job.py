"""The Job as a bot sees it, and what a bot can ask of its worker through it."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    import logging
    from typing import Any, Protocol

    class Worker(Protocol):
        """What a job asks of the worker that has it in hand."""

        def publish(self, status: str) -> None:
            """Say what the worker is at."""

        def hold(self) -> None:
            """Take no more jobs until resumed."""

        def resume(self) -> None:
            """Take jobs again."""

        def leave(self) -> None:
            """End after the job in hand."""


class Job:
    """One job, handed to every step function, and to a callable whose parameter is named `job` or annotated `Job`.

    `payload` is what was submitted, or what the bot before returned; a step may change or replace it. `id` names
    the job, `run` the submission that it descends from, `parent` the job before it (None for the first); `bot` is
    the bot's name in the plan; `attempt` counts from 1. `tags` are the submission's. `context` is the job's own
    scratch pad, from step to step; what `begin` put into its own is in every job's. `do_workflow` (True) says
    whether the result goes on to the bots that follow. In a test of a bot, `Job({"some": "payload"})` will do.
    """

    __slots__ = (
        "_quit",
        "_step",
        "_step_results",
        "_worker",
        "attempt",
        "bot",
        "context",
        "do_workflow",
        "id",
        "parent",
        "payload",
        "run",
        "tags",
    )

    def __init__(
        self,
        payload: Any = None,
        *,
        id: str = "",  # noqa: A002 (the job's own word)
        bot: str = "",
        attempt: int = 1,
        tags: dict[str, str] | None = None,
        parent: str | None = None,
        run: str = "",
        context: dict[str, Any] | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.payload = payload
        self.id = id
        self.bot = bot
        self.attempt = attempt
        self.tags = {} if tags is None else tags
        self.parent = parent
        self.run = run
        self.context = {} if context is None else context
        self.do_workflow = True
        self._worker = worker
        self._step = "process"
        self._step_results: dict[str, bool] = {}
        self._quit: str | None = None

    @property
    def log(self) -> logging.Logger:
        """A logger whose records are lines of the bot's log, `LEVEL message`, under this job's id.

        It passes on what is at least as severe as the variable LOGGING_LEVEL says (INFO).
        """
        from .log import job_logger  # noqa: PLC0415 - logging takes 10 ms to import

        return job_logger()

    def publish_status(self, status: str) -> None:
        """Say in a few words what the worker is at: `ps --format json` and `top` show it until the next word or the end
        of the job.
        """
        if self._worker is not None:
            self._worker.publish(status)

    def stop_processing(self) -> None:
        """Let the worker take no more jobs after this one, and wait until `resume` (the method or the command)."""
        if self._worker is not None:
            self._worker.hold()

    def resume(self) -> None:
        """Let the worker take jobs again after `stop_processing`."""
        if self._worker is not None:
            self._worker.resume()

    resume_processing = resume

    def terminate(self, warm: bool = True, requeue_job: bool = False) -> None:
        """End this worker. It is not replaced until `factory-cdk resume`, or until the runner is started again.

        `warm`: after this job, which is finished as if nothing had been said. Otherwise as soon as the present
        step function returns or raises: with `requeue_job` the job goes back on its queue, ready at once, and this
        attempt does not count; without, it becomes a dead letter, which `factory-cdk jobs retry` brings back.
        """
        if not warm:
            self._quit = "requeue" if requeue_job else "bury"
        if self._worker is not None:
            self._worker.leave()

    def add_step_result(self, success: bool = True) -> None:
        """Say how the present step went. After a False the steps that follow are left out and the attempt fails."""
        self._step_results[self._step] = bool(success)

    @property
    def last_step_result(self) -> bool | None:
        """What `add_step_result` was told last, None when nothing was."""
        return next(reversed(list(self._step_results.values())), None)

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, bot={self.bot!r}, attempt={self.attempt})"
