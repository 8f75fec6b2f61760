"""Options and words that the commands for built factories share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle.progress import Say, silent
from factory_cdk.lifecycle.verbs import Factory, list_factories
from factory_cdk.plain_text import printable
from factory_cdk.views.problem import problem_of


def factory_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """For completion: the factories that are built here."""
    names = {one.name for one in list_factories(find_home())}
    return sorted(name for name in names if name.startswith(incomplete))


def stage_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """For completion: the stages that are built here, of the factory that is named already, if any."""
    wanted = context.params.get("name")
    names = {one.stage for one in list_factories(find_home()) if wanted in (None, one.name)}
    return sorted(name for name in names if name.startswith(incomplete))


def bot_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """For completion: the bots of what is built here."""
    wanted = context.params.get("name")
    built = [one for one in list_factories(find_home()) if wanted in (None, one.name)]
    names = {pool_spec.bot for one in built for pool_spec in (one.spec.pool_specs if one.spec else ())}
    return sorted(name for name in names if name.startswith(incomplete))


name_option = click.option(
    "--name", metavar="NAME", required=True, shell_complete=factory_names, help="The factory's name."
)

built_stage_option = click.option(
    "--stage", metavar="NAME", shell_complete=stage_names, help="The stage; required when several are built."
)

timeout_option = click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="Wait at most so long; exit code 3 when it is over.",
)

format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)


def say(line: str) -> None:
    """A line of progress, on stderr."""
    click.echo(printable(line), err=True)


def say_problems(factories: Iterable[Factory]) -> None:
    """What is wrong with stages, and what helps, on stderr."""
    for factory in factories:
        if problem := problem_of(factory):
            say(problem)


def say_unless(quiet: bool) -> Say:
    """Where lines of progress go: to stderr, or nowhere."""
    return silent if quiet else say


def confirmed(question: str) -> bool:
    """Whether the person at the terminal says yes. FactoryError when nobody is there to answer."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise  # Ctrl-C
        raise FactoryError(f"{question} Nobody answered", "run it on a terminal, or say --yes") from None


def shown_path(path: str | None) -> str:
    """A path as a person reads it: from the working folder where it lies below that, else the whole of it."""
    if not path:
        return "-"
    below = Path(path)
    with contextlib.suppress(OSError, ValueError):  # it lies elsewhere, or the working folder is gone
        below = below.relative_to(Path.cwd())
    return str(below)
