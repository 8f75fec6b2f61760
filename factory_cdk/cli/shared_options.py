"""Options and words that the commands for built factories share."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle.progress import Say, silent
from factory_cdk.lifecycle.verbs import Factory, list_factories
from factory_cdk.plain_text import printable
from factory_cdk.views.problem import problem_of

if TYPE_CHECKING:
    from factory_cdk.lifecycle.backend import Backends


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

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def use_profile(profile: str | None) -> None:
    """Have everything in this process that talks to AWS use the credentials of `profile`, whatever variables say."""
    if profile is not None:
        os.environ["AWS_PROFILE"] = profile
        for name in _KEYS:  # they would win over a profile that is named by a variable
            os.environ.pop(name, None)


aws_profile_option = click.option(
    "--aws-profile", metavar="PROFILE", help="The profile of the AWS configuration whose credentials are used."
)


class StageSearch:
    """Where a command looks for stages: `asked` is whether it was told to ask AWS, `regions` where."""

    def __init__(self, regions: tuple[str, ...], *, asked: bool) -> None:
        self._regions, self._asked = regions, asked
        self._backends: dict[tuple[str | None, str | None], Backends] = {}

    def backends(self, name: str | None = None, stage: str | None = None, *, changes: bool = False) -> Backends:
        """Where stages of the factory `name`, called `stage`, are looked for; the same ones for the same names. What a
        command `changes` has to be known for certain.
        """
        from factory_cdk.lifecycle.aws.search import AwsSearch  # noqa: PLC0415 - see lifecycle/backend.py
        from factory_cdk.lifecycle.backend import backends_for  # noqa: PLC0415

        found = self._backends.get((name, stage))
        if found is None:
            search = AwsSearch(self._asked, self._regions, changes)
            found = self._backends[name, stage] = backends_for(find_home(), search, name, stage, say)
        return found


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that finds stages, here and on AWS; it gets them as `search`."""

    @functools.wraps(command)
    def called(*, aws: bool, aws_profile: str | None, region: tuple[str, ...], **options: Any) -> Any:
        use_profile(aws_profile)
        search = StageSearch(region, asked=aws or aws_profile is not None or bool(region))
        return command(search=search, **options)

    for option in (
        click.option(
            "--region",
            metavar="REGION",
            multiple=True,
            help="Ask AWS in this region, and not in all; repeatable. Name every region of a stage.",
        ),
        aws_profile_option,
        click.option(
            "--aws", is_flag=True, help="Ask AWS, too. With --name, that is done for what is not built here anyway."
        ),
    ):
        called = option(called)
    return called


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
