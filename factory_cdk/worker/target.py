"""From `package.module:attribute` to the life of a bot."""

from __future__ import annotations

import importlib
import os
import sys

from .errors import BotError
from .life import Life, awaited, life_of_steps

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

PLAIN_FUNCTION = type(lambda: None)


def load(target: str, roots: Sequence[str] = ()) -> Life:
    """Import `target`, a `Bot` or a callable, and adapt it; `roots` are the folders of the bot's own code.

    Whatever its import raises passes through; BotError when it names nothing, or another module than the bot's own.
    """
    module_name, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module_name)
    _refuse_hidden(module_name.partition(".")[0], roots)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BotError("BotNotFound", f"{module_name} has no {attribute!r} (bot_path: {target})")
        found = getattr(found, part)
    return adapt(found, target)


def _refuse_hidden(name: str, roots: Sequence[str]) -> None:
    """BotError when Python has a module `name` of its own loaded in place of the bot's (`signal.py`, `types.py`)."""
    for root in roots:
        file = os.path.join(root, name + ".py")  # noqa: PTH118 - pathlib takes 10 ms to import
        loaded = getattr(sys.modules[name], "__file__", None)
        if os.path.isfile(file) and (loaded is None or not os.path.samefile(loaded, file)):  # noqa: PTH113, PTH121
            raise BotError(
                "BotHidden",
                f"{name}.py has the name of a module of Python itself, which is imported in its place: rename the file",
            )


def adapt(found: Any, target: str) -> Life:
    """The life of `found`: of its steps if it is a Bot; else it is called with the Job or its payload, and what it
    awaits is waited for. BotError when it is neither a Bot nor callable with one argument.
    """
    if hasattr(type(found), "__factory_bot__"):
        return life_of_steps(found, target)
    if isinstance(found, type) and hasattr(found, "__factory_bot__"):
        raise BotError("BotNotCallable", f"{target} is a class of bots: name an instance of it")
    if type(found).__module__.partition(".")[0] == "pyqalx":
        raise BotError("BotNotCallable", f"{target} is a bot of pyqalx: set `launcher: qalx` where the plan runs it")
    if not callable(found):
        raise BotError("BotNotCallable", f"{target} is a {type(found).__name__}, neither a Bot nor a callable")
    if _wants_job(found, target):
        return Life(lambda job: awaited(found(job)))
    return Life(lambda job: awaited(found(job.payload)))


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
    """Whether an annotation, evaluated or as text, is Job, `Job | None` or `Optional[Job]`."""
    if isinstance(annotation, str):
        if "Job" not in annotation:
            return False
        import re  # noqa: PLC0415 - 5 ms that bots without such annotations need not pay

        names = {name.rpartition(".")[2] for name in re.findall(r"[A-Za-z_][\w.]*", annotation)}
        return names - {"Optional", "Union", "None"} == {"Job"}
    if repr(getattr(annotation, "__origin__", type(annotation))).rstrip("'>").endswith(("Union", "UnionType")):
        given = {one for one in annotation.__args__ if one is not type(None)}
        return len(given) == 1 and _names_job(given.pop())
    return bool(getattr(annotation, "__name__", "") == "Job" or getattr(annotation, "__forward_arg__", "") == "Job")
