"""A bot as its worker lives it: what is called at the start, for every job, while there are none, and at the end."""

from __future__ import annotations

import os
import sys

from .errors import BotError

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .job import Job

    Process = Callable[[Job], Any]

JOB_STEPS = ("preload", "onload", "preprocess", "process", "precompletion", "postprocess")

_loop: Any = None


class Life:
    """`process` makes a result of a Job. `initialise` and `begin` come first, `wait` (if not None) while there are
    no jobs, `end` last.
    """

    __slots__ = ("begin", "end", "initialise", "process", "wait")

    def __init__(
        self,
        process: Process,
        *,
        initialise: Callable[[], None] | None = None,
        begin: Process | None = None,
        wait: Process | None = None,
        end: Process | None = None,
    ) -> None:
        self.process, self.initialise, self.begin, self.wait, self.end = process, initialise, begin, wait, end


def life_of_steps(bot: Any, target: str) -> Life:
    """The life of a `Bot`, ours or that of the factory_cdk in the bot's environment. BotError without `process`."""
    if bot.process_function is None:
        raise BotError("BotWithoutProcess", f"{target} has no `process`: decorate its function with `@….process`")
    steps = [(name, getattr(bot, f"{name}_function")) for name in JOB_STEPS]
    initialisation = bot.initialisation_function
    return Life(
        run_steps([(name, function) for name, function in steps if function is not None]),
        initialise=None if initialisation is None else lambda: initialise(initialisation, target),
        begin=awaiting(bot.begin_function),
        wait=awaiting(bot.onwait_function),
        end=awaiting(bot.ontermination_function),
    )


def run_steps(steps: Sequence[tuple[str, Callable[[Job], Any]]]) -> Process:
    """A function of a Job that calls `steps` in order, until one did not succeed or the worker has to quit."""

    def process(job: Job) -> Any:
        for name, function in steps:
            job._step = name
            result = awaited(function(job))
            if name == "process" and result is not None:
                job.payload = result
            if job._quit or job.last_step_result is False:
                break
        return job.payload

    return process


def initialise(function: Callable[..., Any], target: str) -> None:
    """Call an initialisation; BotError when it says that it did not succeed."""
    import inspect  # noqa: PLC0415 - 20 ms that only bots with an initialisation pay

    try:
        inspect.signature(function).bind()
    except TypeError:
        result = awaited(function(os.environ))
    else:
        result = awaited(function())
    if result is not None and not result:
        raise BotError("InitialisationFailed", f"the initialisation of {target} returned {result!r}")


def awaiting(function: Process | None) -> Process | None:
    """`function`, and what it awaits waited for."""
    if function is None:
        return None
    call = function
    return lambda job: awaited(call(job))


def awaited(result: Any) -> Any:
    """`result`, or what it comes to when it is awaitable; one event loop serves the whole life of the worker."""
    global _loop  # noqa: PLW0603 - one worker, one process, one loop
    if not hasattr(type(result), "__await__"):
        return result
    import asyncio  # noqa: PLC0415 (30 ms that only asynchronous bots pay)

    if _loop is None:
        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)

    async def wait() -> Any:
        return await result

    return _loop.run_until_complete(wait())


def tolerantly(function: Process, job: Job, name: str) -> None:
    """Call `function`, of which nothing depends: what it raises is logged."""
    try:
        function(job)
    except Exception:
        import traceback  # noqa: PLC0415

        print(f"{name} raised:\n{traceback.format_exc()}", end="", file=sys.stderr)
