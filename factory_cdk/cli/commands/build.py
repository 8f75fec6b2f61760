"""`factory-cdk build`: a stage, installed, started and open for jobs."""

from __future__ import annotations

import threading
from typing import Any

import click

from factory_cdk.cli.options import locked_option, plan_option, quiet_option, region_option, stage_option
from factory_cdk.cli.output.foreground import how_it_ended, print_log, print_log_and_reload
from factory_cdk.cli.output.pack_progress import packed, summary_line
from factory_cdk.cli.output.report import as_text, coloured, print_error, print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import format_option, no_word, say
from factory_cdk.compile import compile_at_hand, compile_stage, stage_bots, stage_lock
from factory_cdk.design.model import BotDesign, StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home, make_private, pack_cache
from factory_cdk.lifecycle.local.build import BuildOptions, build, ended_spec, refuse_built, refuse_what_cannot_run
from factory_cdk.lifecycle.local.dry_run import dry_run as run_dry
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import PathSource, Plan
from factory_cdk.plan.stage import find_stage
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.watch.session import Subject, Watch

EXAMPLES = """\b
Examples:
  factory-cdk build --plan factory-plan.yml --stage test
  factory-cdk build --plan factory-plan.yml --stage test --dry-run --format json
  factory-cdk build --plan factory-plan.yml --stage test --foreground
  factory-cdk build --plan factory-plan.yml --stage test --watch
"""


@click.command(epilog=EXAMPLES, short_help="Install and start the bots of a stage on this machine.")
@plan_option
@stage_option
@click.option("--yes", is_flag=True, help="Ask nothing. A stage of local sectors alone never asks.")
@click.option("--foreground", is_flag=True, help="Stay, print what the bots print, and stop the factory on Ctrl-C.")
@click.option(
    "--watch", is_flag=True, help="As --foreground; reload, warm, the bots whose code is in a folder and was changed."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what would be done; fetch and start nothing. Exit code 1: a bot_path leads nowhere.",
)
@format_option
@locked_option
@region_option
@quiet_option
def command(
    plan_file: str,
    stage: str,
    yes: bool,
    foreground: bool,
    watch: bool,
    dry_run: bool,
    format_: str,
    locked: bool,
    region: str | None,
    quiet: bool,
) -> int:
    """Install and start the bots of a stage; returns when every one of them is loaded and takes jobs.

    If one cannot be installed or loaded, everything is taken down again, unless the plan says
    `debug: {demolish_on_failure: false}`. The runner lives on in the background: see ps, logs, stop, demolish.

    With --watch, what is saved is packed, installed and loaded beside what runs, and then takes over: jobs in hand are
    finished by the code from before. What cannot be loaded is shown, and changes nothing. Bots' arguments in the plan
    are reloaded too; new bots, queues and workflows need a new build. Ctrl-C ends the factory and keeps its jobs: with
    --watch again it goes on with them.
    """
    if watch and dry_run:
        raise click.UsageError("--watch and --dry-run do not go together")
    plan = read_plan(plan_file)
    home = find_home()
    words = no_word if quiet else say
    if dry_run:
        found = _dry_run(plan, stage, region, locked=locked)
        _print_dry_run(found, format_)
        for problem in found["problems"]:
            print_error(FactoryError(f"bot {problem['bot']}: {problem['message']}", problem["remedy"]))
        return 1 if found["problems"] else 0
    refuse_what_cannot_run(stage, find_stage(plan, stage).sectors)
    again = watch and ended_spec(stage_folder(home, plan.name, stage)) is not None
    if not again:
        refuse_built(stage_folder(home, plan.name, stage))
    make_private(home)
    options = BuildOptions(home, plan_file)
    stop = threading.Event()
    watching = (
        Watch(Subject(plan_file, stage, pack_cache(), region, locked), plan, options, stop, words, print_error)
        if watch
        else None
    )
    design = _packed(plan, stage, region, locked=locked, quiet=quiet)
    if not quiet:
        for one in design.diagnostics:
            click.echo(as_text(one, None, to_stderr=True), err=True)
    launch = build(design, options, words, foreground=foreground or watch, again=again)
    if not quiet:
        click.echo(f"{design.factory}/{design.stage} is built: {_size(design)}")
    if launch is None:
        return 0
    state = stage_folder(home, design.factory, design.stage)
    if watching is None:
        print_log(launch, state)
    else:
        print_log_and_reload(launch, state, watching, {bot.name: bot.bundle for bot in _bots(design)}, stop)
    return how_it_ended(launch, state)


def _bots(design: StageDesign) -> list[BotDesign]:
    return [bot for sector in design.sectors for bot in sector.bots]


def _size(design: StageDesign) -> str:
    bots = _bots(design)
    processes = sum(bot.arguments.processes for bot in bots)
    return (
        f"{len(bots)} {'bot' if len(bots) == 1 else 'bots'}, {processes} {'process' if processes == 1 else 'processes'}"
    )


def _dry_run(plan: Plan, stage: str, region: str | None, *, locked: bool) -> dict[str, Any]:
    cache = pack_cache()
    design = compile_at_hand(plan, stage, cache=cache, region=region, locked=locked)
    folders = {
        bot.name: bot.source.folder / (bot.source.subdirectory or "")
        for bot in stage_bots(plan, stage)
        if isinstance(bot.source, PathSource)
    }
    return run_dry(design, folders, find_home())


def _packed(plan: Plan, stage: str, region: str | None, *, locked: bool, quiet: bool) -> StageDesign:
    """The design of the stage, its bots packed: with bars on a terminal, and what is to be known on stderr."""
    lock = stage_lock(plan, stage, locked=locked)
    report = packed(plan, stage_bots(plan, stage), lock=lock, quiet=quiet)
    for made in report.bots if not quiet else ():
        if (line := summary_line(made)) is not None:
            say(f"{made.bot}: {line}")
        for note in made.notes:
            say(f"warning: {made.bot}: {note}")
    report.refuse_failures()
    return compile_stage(plan, stage, bundles=report.bundles, lock=lock, region=region)


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
