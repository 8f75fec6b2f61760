"""The Bot: a bot that is made of step functions."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Step = TypeVar("Step", bound=Callable[..., Any])


class Bot:
    """A bot made of step functions, each given by a decorator or by setting `<step>_function`; `bot_path` names
    the instance::

        bot = Bot("welder")

        @bot.process
        def weld(job):
            job.payload["welded"] = True

    In the life of a worker: `initialisation`, `begin`, then for every job `preload`, `onload`, `preprocess`,
    `process`, `precompletion`, `postprocess`; `onwait` while there are no jobs, `ontermination` before it ends.
    Only `process` is needed. A step function may be asynchronous; all but `initialisation` get a Job.

    What `process` returns, unless it is None, becomes `job.payload`; `job.payload` after the last step is the
    job's result and the payload for the bots that follow. A step that raises fails the attempt.
    """

    __factory_bot__ = 1

    def __init__(self, bot_name: str = "") -> None:
        self.name = bot_name
        self.initialisation_function: Callable[..., Any] | None = None
        self.begin_function: Callable[..., Any] | None = None
        self.preload_function: Callable[..., Any] | None = None
        self.onload_function: Callable[..., Any] | None = None
        self.preprocess_function: Callable[..., Any] | None = None
        self.process_function: Callable[..., Any] | None = None
        self.precompletion_function: Callable[..., Any] | None = None
        self.postprocess_function: Callable[..., Any] | None = None
        self.onwait_function: Callable[..., Any] | None = None
        self.ontermination_function: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"Bot({self.name!r})"

    def initialisation(self, function: Step) -> Step:
        """Runs once in every worker process, before it is ready. It takes nothing, or one argument: the mapping of
        the worker's variables, with the plan's config and secrets. When it returns something false other than
        None, or raises, the bot cannot be loaded.
        """
        self.initialisation_function = function
        return function

    def begin(self, function: Step) -> Step:
        """Runs after `initialisation`, before the first job, with a Job that has no payload yet. What it puts into
        `job.context` is in the context of every job.
        """
        self.begin_function = function
        return function

    def preload(self, function: Step) -> Step:
        """The first step of every job."""
        self.preload_function = function
        return function

    def onload(self, function: Step) -> Step:
        """Follows `preload`."""
        self.onload_function = function
        return function

    def preprocess(self, function: Step) -> Step:
        """Follows `onload`."""
        self.preprocess_function = function
        return function

    def process(self, function: Step) -> Step:
        """The work itself, the one step that a bot must have."""
        self.process_function = function
        return function

    def precompletion(self, function: Step) -> Step:
        """Follows `process`."""
        self.precompletion_function = function
        return function

    def postprocess(self, function: Step) -> Step:
        """The last step of every job. Only after it the job is acknowledged and its result goes on."""
        self.postprocess_function = function
        return function

    def onwait(self, function: Step) -> Step:
        """Runs when the worker has had no job for a moment, and again after 1, 2, 4, … 60 seconds without one.
        A job that arrives meanwhile waits for it. An exception is logged, no more.
        """
        self.onwait_function = function
        return function

    def ontermination(self, function: Step) -> Step:
        """Runs before the worker ends in order (stopped, demolished, `job.terminate`), with the last Job; not when
        it is killed. It has 10 seconds. An exception is logged, no more.
        """
        self.ontermination_function = function
        return function
