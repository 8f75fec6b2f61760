"""What to write where a command lacks an option: the words that were given without it, or what there is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home

USUAL_NAME = "factory-plan.yml"
"""How a plan's file is called in the reference of the plan language."""


def with_hint(error: click.UsageError, arguments: Sequence[str]) -> click.UsageError:
    """`error` as it is, or, where an option is missing, with what to write. `arguments` are the program's."""
    if not isinstance(error, click.MissingParameter) or error.ctx is None or error.param is None:
        return error
    context = error.ctx
    given, words = _parsed(context, arguments[_depth(context) :])
    match error.param.name:
        case "plan_file":
            hint = _plan(words)
        case "stage":
            hint = _stage(given.get("plan_file"), words)
        case "name":
            hint = _name(words)
        case _:
            hint = None
    return error if hint is None else click.UsageError(f"{error.format_message()} {hint}", context)


def _depth(context: click.Context) -> int:
    """How many words name the command: one for `build`, two for `jobs list`."""
    return 0 if context.parent is None else 1 + _depth(context.parent)


def _parsed(context: click.Context, arguments: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """The options of the command that were given, and the words that belong to none."""
    given, rest, _ = context.command.make_parser(context).parse_args(list(arguments))
    words = list(rest)
    for parameter in context.command.params:
        value = given.get(parameter.name or "")
        if isinstance(parameter, click.Argument) and value:
            words += value if isinstance(value, list | tuple) else [value]
    return given, words


def _plan(words: Sequence[str]) -> str | None:
    file = next((word for word in words if word.endswith((".yml", ".yaml")) or Path(word).is_file()), None)
    if file is not None:
        return f"The plan is named by an option: --plan {shlex.quote(file)}"
    return f"There is one in this folder: --plan {USUAL_NAME}" if Path(USUAL_NAME).is_file() else None


def _stage(file: object, words: Sequence[str]) -> str | None:
    from factory_cdk.plan.load import load_plan  # noqa: PLC0415 - only here

    plan = load_plan(file).plan if isinstance(file, str) else None
    if plan is None:
        return None
    return _choice("--stage", [word for word in words if word in plan.stages], list(plan.stages), "The plan has")


def _name(words: Sequence[str]) -> str | None:
    from factory_cdk.lifecycle.verbs import list_factories  # noqa: PLC0415 - only here

    try:
        built = list(dict.fromkeys(one.name for one in list_factories(find_home())))
    except FactoryError:
        return None
    return _choice("--name", [word for word in words if word in built], built, "Built here:")


def _choice(option: str, meant: Sequence[str], known: Sequence[str], what: str) -> str | None:
    if meant or len(known) == 1:
        return f"Write {option} {[*meant, *known][0]}"
    return f"{what} {', '.join(known)}" if known else None
