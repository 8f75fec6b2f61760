"""From `package.module:attribute` to something that takes a Job and returns JSON."""

from __future__ import annotations

import importlib

from .errors import BotError

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .job import Job

    Process = Callable[[Job], Any]

PLAIN_FUNCTION = type(lambda: None)


def load(target: str) -> Process:
    """Import `target` and adapt it. Whatever its import raises passes through; BotError when it names nothing."""
    module_name, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BotError("BotNotFound", f"{module_name} has no {attribute!r} (bot_path: {target})")
        found = getattr(found, part)
    return adapt(found, target)


def adapt(called: Any, target: str) -> Process:
    """A function of a Job that calls `called` with the Job or its payload, and waits for what it awaits.

    BotError when `called` cannot be called with one argument.
    """
    if not callable(called):
        raise BotError("BotNotCallable", f"{target} is a {type(called).__name__}, not a callable")
    if not _wants_job(called, target):
        return _awaiting(lambda job: called(job.payload))
    return _awaiting(called)


def _wants_job(called: Any, target: str) -> bool:
    """Whether the one argument that `called` gets is the Job; BotError when it does not take one."""
    if type(called) is PLAIN_FUNCTION and not hasattr(called, "__wrapped__"):
        code = called.__code__
        required = code.co_argcount - len(called.__defaults__ or ())
        if code.co_argcount and required <= 1 and not code.co_kwonlyargcount:
            name = code.co_varnames[0]
            return bool(name == "job") or _names_job(called.__annotations__.get(name))
    return _wants_job_by_signature(called, target)


def _wants_job_by_signature(called: Any, target: str) -> bool:
    import inspect  # noqa: PLC0415 - 20 ms that plain functions need not pay

    try:
        signature = inspect.signature(called)
    except (TypeError, ValueError):  # some builtins have none: they get the payload
        return False
    try:
        signature.bind(None)
    except TypeError:
        raise BotError(
            "BotNotCallable", f"{target}{signature} cannot be called with one argument, the payload or the Job"
        ) from None
    parameter = next(iter(signature.parameters.values()))
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return False
    return parameter.name == "job" or _names_job(parameter.annotation)


def _names_job(annotation: Any) -> bool:
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return bool(name.strip("'\" ").rpartition(".")[2] == "Job")


def _awaiting(call: Process) -> Process:
    loop: Any = None

    def process(job: Job) -> Any:
        nonlocal loop
        result = call(job)
        if not hasattr(type(result), "__await__"):
            return result
        import asyncio  # noqa: PLC0415 (30 ms that only asynchronous bots pay)

        if loop is None:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)

        async def wait() -> Any:
            return await result

        return loop.run_until_complete(wait())

    return process
