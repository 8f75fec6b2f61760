"""`factory-cdk build`: a stage, installed, started and open for jobs."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import click

from factory_cdk.cli.options import locked_option, plan_option, quiet_option, region_option, stage_option
from factory_cdk.cli.output.foreground import how_it_ended, print_log, print_log_and_reload
from factory_cdk.cli.output.pack_progress import packed
from factory_cdk.cli.output.report import coloured, print_diagnostic, print_error, print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import aws_profile_option, format_option, say_unless, use_profile
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home, pack_cache
from factory_cdk.lifecycle import building
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.results import Built
from factory_cdk.plan.load import read_plan
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.watch.session import Watch, WatchedStage

EXAMPLES = """\b
Examples:
  factory-cdk build --plan factory-plan.yml --stage test
  factory-cdk build --plan factory-plan.yml --stage test --dry-run --format json
  factory-cdk build --plan factory-plan.yml --stage test --foreground
  factory-cdk build --plan factory-plan.yml --stage test --watch
  factory-cdk build --plan factory-plan.yml --stage prod --aws-profile work --yes
"""


@click.command(epilog=EXAMPLES, short_help="Install and start the bots of a stage, here or on AWS.")
@plan_option
@stage_option
@click.option("--yes", is_flag=True, help="Do not ask. A stage with local sectors alone never asks.")
@click.option("--foreground", is_flag=True, help="Stay, print what the bots print, and stop the factory on Ctrl-C.")
@click.option(
    "--watch",
    is_flag=True,
    help="As --foreground, and reload bots from a folder when their code changes; no job is interrupted.",
)
@click.option(
    "--local-sectors",
    is_flag=True,
    help="Build the local sectors of a stage whose aws sectors are deployed: they share its queues on AWS.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what would be done; fetch and start nothing. Exit code 1: the code of a bot_path is not found.",
)
@click.option(
    "--no-preflight",
    is_flag=True,
    help="Do not look first whether the AWS account has what the stage needs, as `factory-cdk preflight` does.",
)
@format_option
@locked_option
@region_option
@aws_profile_option
@quiet_option
def command(
    plan_file: str,
    stage: str,
    yes: bool,
    foreground: bool,
    watch: bool,
    local_sectors: bool,
    dry_run: bool,
    no_preflight: bool,
    format_: str,
    locked: bool,
    region: str | None,
    aws_profile: str | None,
    quiet: bool,
) -> int:
    """Install and start the bots of a stage; returns when every one of them is loaded and takes jobs.

    A stage with aws sectors is deployed: its code is uploaded, and its stacks are created or updated in all regions.
    When every region and sector is ready, all is kept; when one fails, or on Ctrl-C, all is taken back. Run it again
    after a change of the plan, or when it was interrupted: it goes on. It says what will change, and asks.

    If one cannot be installed or loaded, everything is taken down again, unless the plan says
    `debug: {demolish_on_failure: false}`. The runner lives on in the background: see ps, logs, stop, demolish.

    With --watch, every change that you save is a rolling update: new workers are loaded, then take over, and jobs in
    hand are finished by the old ones. When the new code cannot be loaded, the error is shown and the old code stays.
    Bots' arguments in the plan are reloaded too; new bots, queues and workflows need a new build. Ctrl-C ends the
    factory and keeps its jobs; another build with --watch continues with them.
    """
    use_profile(aws_profile)
    if watch and dry_run:
        raise click.UsageError("--watch and --dry-run do not go together")
    if watch and local_sectors:
        raise click.UsageError("--watch and --local-sectors do not go together")
    plan, home = read_plan(plan_file), find_home()
    if dry_run:
        found = building.dry_run(plan, stage, home=home, cache=pack_cache(), region=region, locked=locked)
        _print_dry_run(found, format_)
        for problem in found["problems"]:
            print_error(FactoryError(f"bot {problem['bot']}: {problem['message']}", problem["remedy"]))
        return 1 if found["problems"] else 0
    if building.is_on_aws(plan, stage) and not local_sectors:
        if watch or foreground:
            raise click.UsageError("--watch and --foreground are for stages without aws sectors, or --local-sectors")
        from factory_cdk.cli.output.deploying import build_on_aws  # noqa: PLC0415 - for a stage with aws sectors alone

        aws_options = BuildOptions(home, plan_file, preflight=not no_preflight)
        return build_on_aws(plan, plan_file, stage, aws_options, region=region, locked=locked, yes=yes, quiet=quiet)
    options = BuildOptions(home, plan_file, foreground=foreground or watch, restart=watch)
    tell, stop = say_unless(quiet), threading.Event()
    watching = None
    if watch:
        building.refuse_build(plan, stage, options)
        watched = WatchedStage(plan_file, stage, pack_cache(), region, locked)
        watching = Watch(watched, plan, options, stop, tell, print_error)
    built = building.build(
        plan,
        stage,
        options,
        tell,
        region=region,
        locked=locked,
        pack=partial(packed, quiet=quiet),
        warn=None if quiet else print_diagnostic,
        local_sectors=local_sectors,
    )
    if not quiet:
        click.echo(f"{built.stage} is built: {_size(built)}")
    if built.launch is None:
        return 0
    folder = stage_folder(home, plan.name, stage)
    if watching is None:
        print_log(built.launch, folder)
    else:
        print_log_and_reload(built.launch, folder, watching, {bot.name: bot.bundle for bot in built.bots}, stop)
    return how_it_ended(built.launch, folder)


def _size(built: Built) -> str:
    bots, processes = len(built.bots), built.processes
    return f"{bots} {'bot' if bots == 1 else 'bots'}, {processes} {'process' if processes == 1 else 'processes'}"


def _print_dry_run(found: dict[str, Any], format_: str) -> None:
    if format_ == "json":
        print_json(found)
        return
    _title("environments")
    print_table(
        ("environment", "python", "cached", "requirements", "bots"),
        [
            (
                row["key"],
                row["python"] or "this one",
                "yes" if row["cached"] else "no",
                _requirements(row["requirements"]),
                ", ".join(row["bots"]),
            )
            for row in found["environments"]
        ],
        folds=("requirements", "bots"),
    )
    _title("processes")
    print_table(
        ("sector", "type", "bot", "count", "runs", "source", "batch", "attempts", "timeout"),
        [
            (
                row["sector"],
                row["type"],
                row["bot"],
                row["count"],
                row["runs"] if isinstance(row["runs"], str) else " ".join(row["runs"]),
                row["source"],
                row["batch"],
                row["max_attempts"],
                f"{row['timeout']:g}s" if row["timeout"] else None,
            )
            for row in found["processes"]
        ],
        folds=("runs", "source"),
        spare=("batch", "timeout", "attempts", "type"),
    )
    _title("queues")
    print_table(
        ("queue", "bot", "visibility timeout"),
        [(row["name"], row["bot"], f"{row['visibility_timeout']}s") for row in found["queues"]],
    )
    _title("routes")
    print_table(
        ("sector", "bot", "to"),
        [
            (
                row["sector"],
                row["bot"],
                ", ".join(f"{to['sector']}/{to['bot']} ({to['queue']})" for to in row["to"]) or "-",
            )
            for row in found["routes"]
        ],
        folds=("to",),
    )
    _title("variables")
    print_table(
        ("sector", "bot", "variable", "value"),
        [
            (row["sector"], row["bot"], name, value)
            for row in found["variables"]
            for name, value in row["variables"].items()
        ],
        folds=("value",),
    )


def _title(text: str) -> None:
    click.echo(f"\n{coloured(text.upper(), fg='cyan')}")


def _requirements(found: dict[str, Any] | None) -> str:
    if found is None:
        return "known once packed"
    return ", ".join(line.partition(" --hash=")[0] for line in found["lines"]) or "none"  # JSON has the hashes
