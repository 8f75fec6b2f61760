"""`factory-cdk runs`: the runs of workflows of steps, running and ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from factory_cdk.cli.output.report import print_json, print_log_line
from factory_cdk.cli.output.table import duration, print_table
from factory_cdk.cli.shared_options import built_stage_option, format_option, name_option, say
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.jobs import runs
from factory_cdk.lifecycle import verbs
from factory_cdk.lifecycle.local.preconditions import spec_of_built
from factory_cdk.lifecycle.verbs import Factory
from factory_cdk.state.logs import stamp

EXAMPLES = """\b
Examples:
  factory-cdk runs list --name works --stage prod
  factory-cdk runs show --name works --stage prod 1d2a
  factory-cdk runs recover --name works --stage prod 1d2a --wait 600
"""
LIST_EXAMPLES = """\b
Examples:
  factory-cdk runs list --name works --stage prod
  factory-cdk runs list --name works --stage prod --workflow nightly --format json
"""
SHOW_EXAMPLES = """\b
Examples:
  factory-cdk runs show --name works --stage prod 1d2a
  factory-cdk runs show --name works --stage prod 1d2a --format json | jq '.steps[].reason'
"""
LOGS_EXAMPLES = """\b
Examples:
  factory-cdk runs logs --name works --stage prod 1d2a
  factory-cdk runs logs --name works --stage prod 1d2a -f
"""
CANCEL_EXAMPLES = """\b
Examples:
  factory-cdk runs cancel --name works --stage prod 1d2a
"""
RECOVER_EXAMPLES = """\b
Examples:
  factory-cdk runs recover --name works --stage prod 1d2a --dry-run
  factory-cdk runs recover --name works --stage prod 1d2a --from load --set load.table=people
  factory-cdk runs recover --name works --stage prod 1d2a --only extract --only publish/send:1.2
"""

FOR_EVER = 1e9
"""Seconds."""

_id = click.argument("run_id", metavar="ID")


@click.group(epilog=EXAMPLES, no_args_is_help=True, short_help="List, show, cancel and recover runs of steps.")
def command() -> None:
    """List, show, cancel and recover the runs of workflows of steps. The start of an id is enough."""


@command.command("list", epilog=LIST_EXAMPLES)
@name_option
@built_stage_option
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Maximum number of runs; 0: all.",
)
@format_option
def list_(name: str, stage: str | None, workflow: str | None, limit: int, format_: str) -> None:
    """List runs, newest first."""
    found = runs.records(_find(name, stage).folder, workflow, limit or -1)
    if format_ == "json":
        print_json(
            [
                {
                    "run": one.id,
                    "workflow": one.workflow,
                    "state": str(one.state),
                    "recovery": one.recovery,
                    "created": one.created,
                    "finished": one.finished,
                }
                for one in found
            ]
        )
    elif found:
        lines = [
            (
                one.id,
                one.workflow,
                one.state,
                one.recovery,
                stamp(one.created),
                stamp(one.finished) if one.finished else "",
            )
            for one in found
        ]
        print_table(("run", "workflow", "state", "recovery", "created", "finished"), lines, whole=("run",))
    else:
        click.echo("no such runs", err=True)


@command.command(epilog=SHOW_EXAMPLES)
@name_option
@built_stage_option
@_id
@format_option
def show(name: str, stage: str | None, run_id: str, format_: str) -> None:
    """Show a run and its steps."""
    report = runs.report(_find(name, stage).folder, run_id)
    if format_ == "json":
        print_json(runs.as_row(report))
        return
    click.echo(f"run {report.run}: {report.state}, recovery {report.recovery}")
    rows: list[Sequence[object]] = [
        (
            one.path,
            one.iteration,
            one.status,
            one.attempts or "",
            duration(one.finished - one.started) if one.started is not None and one.finished is not None else "",
            one.reason,
        )
        for one in report.steps
    ]
    print_table(("step", "iteration", "status", "attempts", "took", "reason"), rows, folds=("reason",), whole=("step",))


@command.command(epilog=LOGS_EXAMPLES)
@name_option
@built_stage_option
@_id
@click.option("-f", "--follow", is_flag=True, help="Print new lines as they come, until the runner ends.")
def logs(name: str, stage: str | None, run_id: str, follow: bool) -> None:
    """Print what the steps of a run have printed."""
    factory = _find(name, stage)
    mark = f"{runs.report(factory.folder, run_id).run}:"
    for line in verbs.logs(find_home(), name, factory.stage, follow=follow, say=say):
        parts = line.split(" ", 3)
        if len(parts) > 2 and parts[2].startswith(mark):
            print_log_line(line)
            if follow:
                sys.stdout.flush()


@command.command(epilog=CANCEL_EXAMPLES)
@name_option
@built_stage_option
@_id
def cancel(name: str, stage: str | None, run_id: str) -> None:
    """End a run at once. Its jobs are cancelled; what becomes of one that is in hand is dropped."""
    say(f"run {runs.cancel(_find(name, stage).folder, run_id)}: cancelled")


def _set(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[tuple[str, str], Any]:
    found = {}
    for one in values:
        place, equals, value = one.partition("=")
        path, dot, key = place.partition(".")
        if not (path and dot and key and equals):
            raise click.BadParameter(f"{one!r} is not step.key=value", context, parameter)
        found[path, key] = runs.value_of(value)
    return found


def _changes(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--set",
            "given",
            metavar="STEP.KEY=VALUE",
            multiple=True,
            callback=_set,
            help="Give a step another value in its `with`, JSON or text; repeatable.",
        ),
        click.option(
            "--only",
            metavar="STEP[:ITERATION]",
            multiple=True,
            help="Start only what failed of this step, or this item or iteration of it (`failed`: of all), and what "
            "waits for it; repeatable.",
        ),
        click.option("--from", "start", metavar="STEP", help="Start this step and all that follows anew."),
    ):
        command = option(command)
    return command


@command.command(epilog=RECOVER_EXAMPLES)
@name_option
@built_stage_option
@_id
@click.option(
    "--wait",
    metavar="[SECONDS]",
    is_flag=False,
    flag_value=FOR_EVER,
    type=click.FloatRange(min=0),
    help="Wait for the run to end, for ever or so long.",
)
@_changes
@click.option("--dry-run", is_flag=True, help="Print what would be started anew, and do nothing.")
def recover(
    name: str,
    stage: str | None,
    run_id: str,
    wait: float | None,
    start: str | None,
    only: tuple[str, ...],
    given: dict[tuple[str, str], Any],
    dry_run: bool,
) -> int:
    """Let a run that has ended begin again, as its steps say in `recovery`: without that, what failed, was skipped or
    had not started. Steps are those that the stage has now.

    Prints the id of the run; with --wait the run as JSON, with the exit codes of `run`.
    """
    factory = _find(name, stage)
    spec = spec_of_built(factory)
    if start is not None and only:
        raise click.UsageError("--from and --only do not go together")
    changes = runs.Changes(start, only, given)
    if dry_run:
        for key in runs.would_recover(factory.folder, spec, run_id, changes):
            click.echo(f"{key.path} {key.sequence}")
        return 0
    recovered = runs.recover(factory.folder, spec, run_id, changes)
    if wait is None:
        click.echo(recovered)
        return 0
    report = runs.wait(factory.folder, recovered, wait)
    print_json(runs.as_row(report))
    return int(report.state != "succeeded")


def _find(name: str, stage: str | None) -> Factory:
    factory = verbs.find(find_home(), name, stage)
    if factory.folder.aws_queues.exists():
        raise FactoryError(f"{factory.folder.name} has sectors on AWS", "runs of steps need a stage that is all local")
    return factory
