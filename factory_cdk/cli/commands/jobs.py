"""`factory-cdk jobs`: the jobs of a built stage, live and done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from factory_cdk.cli.commands.jobs_rescue import check, rescue
from factory_cdk.cli.moments import AS_TYPED, Moment
from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.output.job_rows import FORMATS, print_job, print_jobs, print_statistics
from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.shared_options import (
    StageSearch,
    bot_names,
    built_stage_option,
    confirmed,
    format_option,
    name_option,
    say,
    say_problems,
    search_options,
)
from factory_cdk.home import find_home
from factory_cdk.jobs import history as jobs
from factory_cdk.lifecycle import verbs
from factory_cdk.queues.client import STATES, Search
from factory_cdk.state.stages import Factory
from factory_cdk.views.jobs import job_detail, job_row, statistics_rows

EXAMPLES = """\b
Examples:
  factory-cdk jobs list --name works --bot weld --since 1h
  factory-cdk jobs dead --name works --format json | jq '.[].failures[-1].traceback'
  factory-cdk jobs retry --name works --all --tag customer=acme
  factory-cdk jobs stats --name works --format csv
"""
LIST_EXAMPLES = """\b
Examples:
  factory-cdk jobs list --name works
  factory-cdk jobs list --name works --outcome success --outcome dead --since 2h --format csv
  factory-cdk jobs list --name works --run 1d2a78f0b3c44e55 --format json
"""
SHOW_EXAMPLES = """\b
Examples:
  factory-cdk jobs show --name works 1d2a78f0b3c44e55-1
  factory-cdk jobs show --name works 1d2a --format json
"""
DEAD_EXAMPLES = """\b
Examples:
  factory-cdk jobs dead --name works
  factory-cdk jobs dead --name works --bot weld --format json
"""
RETRY_EXAMPLES = """\b
Examples:
  factory-cdk jobs retry --name works 1d2a78f0b3c44e55-1
  factory-cdk jobs retry --name works --all --bot weld --since 1d
"""
CANCEL_EXAMPLES = """\b
Examples:
  factory-cdk jobs cancel --name works 1d2a78f0b3c44e55-1
  factory-cdk jobs cancel --name works --all --bot weld --yes
"""
STATS_EXAMPLES = """\b
Examples:
  factory-cdk jobs stats --name works --since 1h
  factory-cdk jobs stats --name works --run 1d2a78f0b3c44e55 --format json
"""


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which jobs are meant."""
    for option in (
        click.option(
            "--until", metavar="WHEN", type=Moment(), help="Jobs sent before this time; format as for --since."
        ),
        click.option("--since", metavar="WHEN", type=Moment(), help=f"Jobs sent from this time on: {AS_TYPED}."),
        click.option("--run", metavar="ID", help="Only jobs of this submission."),
        click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Only jobs with this tag; repeatable."),
        click.option("--bot", metavar="NAME", shell_complete=bot_names, help="Only jobs of this bot."),
    ):
        command = option(command)
    return command


def _search(
    bot: str | None,
    tags: tuple[str, ...],
    run: str | None,
    since: float | None,
    until: float | None,
    states: tuple[str, ...] = (),
) -> Search:
    pairs = [tag.partition("=") for tag in tags]
    for tag, (key, equals, _) in zip(tags, pairs, strict=True):
        if not key or not equals:
            raise click.UsageError(f"--tag {tag!r} is not KEY=VALUE")
    return Search(bot, states, {key: value for key, _, value in pairs}, run, since=since, until=until)


_format = click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="text", show_default=True, help="Output format."
)
_answer = click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS[:2]),
    default="text",
    show_default=True,
    help="Output format; JSON has the ids.",
)
_limit = click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Maximum number of jobs; 0: all.",
)
_outcome = click.option(
    "--outcome", "states", type=click.Choice(STATES), multiple=True, help="Only jobs in this state; repeatable."
)
_ids = click.argument("ids", nargs=-1, metavar="[ID]...")
_all = click.option("--all", "everything", is_flag=True, help="All jobs that the options select.")


@click.group(epilog=EXAMPLES, no_args_is_help=True, short_help="List, show, retry, cancel, count jobs; rescue queues.")
def command() -> None:
    """List, show, retry, cancel and count the jobs of a stage, live and finished; rescue damaged queues."""


command.add_command(check)
command.add_command(rescue)


@command.command("list", epilog=LIST_EXAMPLES)
@name_option
@built_stage_option
@search_options
@_filters
@_outcome
@_limit
@_format
def list_(
    name: str, stage: str | None, search: StageSearch, states: tuple[str, ...], limit: int, format_: str, **which: Any
) -> None:
    """List jobs, newest first.

    JSON has everything of every job, payload, result and failures with their tracebacks included.
    """
    _print_found(_find(search, name, stage, which["bot"]), _search(**which, states=states), limit, format_)


@command.command(epilog=DEAD_EXAMPLES, short_help="List dead letters.")
@name_option
@built_stage_option
@search_options
@_filters
@_limit
@_format
def dead(name: str, stage: str | None, search: StageSearch, limit: int, format_: str, **which: Any) -> None:
    """List dead letters: jobs that failed in their last attempt, or that their bot refused."""
    _print_found(_find(search, name, stage, which["bot"]), _search(**which, states=("dead",)), limit, format_)


@command.command(epilog=SHOW_EXAMPLES)
@name_option
@built_stage_option
@search_options
@click.argument("id_", metavar="ID")
@format_option
def show(name: str, stage: str | None, search: StageSearch, id_: str, format_: str) -> None:
    """Show everything about one job; the start of its id is enough."""
    record, following = jobs.one_job(_find(search, name, stage), id_)
    print_job(job_detail(record, following), format_)


@command.command(epilog=RETRY_EXAMPLES)
@name_option
@built_stage_option
@search_options
@_ids
@_all
@_filters
@_answer
@quiet_option
def retry(
    name: str,
    stage: str | None,
    search: StageSearch,
    ids: tuple[str, ...],
    everything: bool,
    format_: str,
    quiet: bool,
    **which: Any,
) -> None:
    """Make dead letters and cancelled jobs ready again. They keep their ids and all that is on record.

    With --all: the dead letters that the options select; cancelled jobs only by their ids.
    """
    factory = _find(search, name, stage, which["bot"])
    done = jobs.retry(factory, _wanted(ids, everything, which, ("dead",)))
    _report(factory, done, "ready again", format_, quiet=quiet)


@command.command(epilog=CANCEL_EXAMPLES)
@name_option
@built_stage_option
@search_options
@_ids
@_all
@_filters
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
@_answer
@quiet_option
def cancel(
    name: str,
    stage: str | None,
    search: StageSearch,
    ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    format_: str,
    quiet: bool,
    **which: Any,
) -> int:
    """Cancel jobs that are not finished. A job in hand is not interrupted, but its result is dropped."""
    factory = _find(search, name, stage, which["bot"])
    wanted = _wanted(ids, everything, which, jobs.CANCELLED)
    if isinstance(wanted, Search) and not yes:
        count = len(jobs.find_ids(factory, wanted))
        if count and not confirmed(f"cancel {count} {'job' if count == 1 else 'jobs'}?"):
            return 1
    _report(factory, jobs.cancel(factory, wanted), "cancelled", format_, quiet=quiet)
    return 0


@command.command(epilog=STATS_EXAMPLES)
@name_option
@built_stage_option
@search_options
@_filters
@_outcome
@_format
def stats(
    name: str, stage: str | None, search: StageSearch, states: tuple[str, ...], format_: str, **which: Any
) -> None:
    """Count jobs, attempts and times, bot by bot.

    Waiting is from being sent to the first attempt; processing is the last attempt of jobs that are done or dead.
    Seconds: half of the jobs took at most p50, 95 % at most p95.
    """
    factory = _find(search, name, stage, which["bot"])
    print_statistics(statistics_rows(jobs.statistics(factory, _search(**which, states=states))), format_)


def _find(search: StageSearch, name: str, stage: str | None, bot: str | None = None) -> Factory:
    """The stage, which has the bot if one is named. FactoryError."""
    factory = verbs.find(find_home(), name, stage, backends=search.backends(name, stage))
    if bot is not None:
        jobs.refuse_bot_without_jobs(factory, bot)
    return factory


def _print_found(factory: Factory, search: Search, limit: int, format_: str) -> None:
    found = jobs.find_jobs(factory, search, limit + 1 if limit else -1)
    shown = found[:limit] if limit else found
    print_jobs(map(job_row, shown), format_)
    if len(found) > len(shown):
        say(f"there are more than {limit}: --limit 0 shows all")


def _wanted(
    ids: tuple[str, ...], everything: bool, which: dict[str, Any], states: tuple[str, ...]
) -> tuple[str, ...] | Search:
    search = _search(**which, states=states)
    if bool(ids) == everything:
        raise click.UsageError("give the ids of jobs, or --all")
    if ids and search != Search(states=states):
        raise click.UsageError("--bot, --tag, --run, --since and --until go with --all")
    return ids or search


def _report(factory: Factory, done: list[str], what: str, format_: str, *, quiet: bool) -> None:
    if format_ == "json":
        print_json(done)
    elif not quiet:
        click.echo(f"{len(done)} {'job' if len(done) == 1 else 'jobs'} {what}")
    if not quiet:
        say_problems([factory])
