"""Options and words that the commands for built factories share."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from factory_cdk.cli.output.report import printable
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle.verbs import Factory, list_factories
from factory_cdk.state.outdated import outdated
from factory_cdk.state.stage_queues import queues_trouble


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
    "--stage", metavar="NAME", shell_complete=stage_names, help="A stage of it; needed when several are built."
)

timeout_option = click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Wait no longer for the jobs; exit code 3."
)

format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)


def say(line: str) -> None:
    """A line of progress, on stderr."""
    click.echo(printable(line), err=True)


def confirmed(question: str) -> bool:
    """Whether the person at the terminal says yes. FactoryError when nobody is there to answer."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise  # Ctrl-C
        raise FactoryError(f"{question} Nobody answered", "run it on a terminal, or say --yes") from None


def no_word(line: str) -> None:
    """No progress."""


def shown_path(path: str | None) -> str:
    """A path as a person reads it: from the working folder where it lies below that, else the whole of it."""
    if not path:
        return "-"
    below = Path(path)
    with contextlib.suppress(OSError, ValueError):  # it lies elsewhere, or the working folder is gone
        below = below.relative_to(Path.cwd())
    return str(below)


def warning(factory: Factory) -> str | None:
    """What is wrong with a built stage, and what helps; None when nothing is."""
    stage = f"--name {factory.name} --stage {factory.stage}"
    if factory.state in ("killed", "ended"):
        if trouble := queues_trouble(factory.folder):
            return f"{factory.folder.name}: its runner does not run, and {trouble.message}\n  {trouble.remedy}"
        if factory.status and factory.status.trouble:
            help_ = f"factory-cdk jobs check {stage} says how its queues are, resume goes on"
            return f"{factory.folder.name}: its runner has ended: {factory.status.trouble}\n  {help_}"
    if factory.state == "killed":
        return f"{factory.folder.name}: its runner was killed; nothing is lost: factory-cdk resume {stage}"
    if factory.state == "ended":
        return f"{factory.folder.name}: its runner was ended: factory-cdk resume {stage}"
    if factory.state == "unfinished":
        return f"{factory.folder.name}: a build was killed: build it again, or factory-cdk demolish {stage}"
    if factory.state == "damaged":
        return (
            f"{factory.folder.name} is damaged: {factory.folder.spec} cannot be read: factory-cdk demolish {stage}, "
            "then build it again"
        )
    if factory.state == "outdated":
        refusal = outdated(factory.folder)
        return f"{refusal.message}\n  {refusal.remedy}"
    if factory.status and factory.status.trouble:
        return f"{factory.folder.name}: {factory.status.trouble}"
    if factory.state != "building" and (trouble := queues_trouble(factory.folder)):
        return f"{factory.folder.name}: {trouble.message}\n  {trouble.remedy}"
    broken = [pool for pool in factory.status.pools if pool.broken] if factory.status else []
    if broken:
        reasons = "; ".join(f"{pool.sector}/{pool.bot}: {pool.broken}" for pool in broken)
        return f"{reasons}\n  mend it, then factory-cdk resume {stage}"
    return None
