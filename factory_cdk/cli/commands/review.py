"""`factory-cdk review`: what a change of a plan will do, offline."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click

from factory_cdk.cli.options import plan_option, region_option
from factory_cdk.cli.output.destination import output_option, write_output
from factory_cdk.cli.shared_options import aws_profile_option, use_profile
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import pack_cache
from factory_cdk.review.fail_on import REASONS, FailOn, parse_fail_on
from factory_cdk.review.model import DEPLOYED, Report
from factory_cdk.review.sides.side import PlanSide

DIFFERS = 2
"""The exit code when the two versions differ and nothing of it is among `--fail-on`."""

EXAMPLES = """\b
Examples:
  factory-cdk review --plan factory-plan.yml --against main
  factory-cdk review --plan factory-plan.yml --stage prod --against-assembly cdk.out
  factory-cdk review --plan new.yml --against-plan old.yml --format markdown -o review.md
  factory-cdk review --plan factory-plan.yml --against main --fail-on replace,delete,iam,cost=100
"""

_FAIL_ON = "; ".join(f"{'cost=N' if name == 'cost' else name}: {text}" for name, text in REASONS.items())


@click.command(epilog=EXAMPLES, short_help="Show what a change of a plan will do, offline.")
@plan_option
@click.option("--stage", "stages", metavar="NAME", multiple=True, help="A stage of the plan [default: every stage].")
@click.option(
    "--against",
    metavar="GITREF",
    help="Compare with the plan as this commit, branch or tag has it, or (`deployed`) with what AWS has.",
)
@click.option("--against-plan", metavar="FILE", help="Compare with another plan.")
@click.option(
    "--against-assembly",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Compare with a cloud assembly, of `factory-cdk synth` or `cdk synth`.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "json", "github"]),
    default="text",
    show_default=True,
    help="Output format; `github` annotates the lines of the plan in a GitHub Actions job.",
)
@click.option(
    "--fail-on",
    metavar="REASON,…",
    default="",
    help=f"Exit with code 1 when one of these changes is found. {_FAIL_ON}.".replace("`", ""),
)
@click.option(
    "--limit",
    metavar="CHARACTERS",
    type=click.IntRange(min=1000),
    help="Cut the Markdown to so many characters (65536 in a comment on GitHub).",
)
@click.option("--full-report", metavar="URL", help="Where the whole report is, for a Markdown that is cut.")
@output_option
@region_option
@aws_profile_option
def command(
    plan_file: str,
    stages: tuple[str, ...],
    against: str | None,
    against_plan: str | None,
    against_assembly: Path | None,
    format_: str,
    fail_on: str,
    limit: int | None,
    full_report: str | None,
    output: Path | None,
    region: str | None,
    aws_profile: str | None,
) -> int:
    """Show what a change of a plan will do: what is replaced, restarted or removed and why, which jobs are touched, and
    what changes in code, permissions, security and cost.

    The other version is a git commit (read from git's objects: nothing is checked out or fetched), another plan, or a
    cloud assembly. No account, credentials or network are needed, but for --against deployed, which asks AWS for the
    templates and releases that the stages have now.

    Exit code 0: deploying it changes nothing; 2: something differs; 1: an error, or something of --fail-on.
    """
    if sum(option is not None for option in (against, against_plan, against_assembly)) != 1:
        raise click.UsageError("give one of --against, --against-plan and --against-assembly")
    use_profile(aws_profile)
    wanted = parse_fail_on(fail_on)
    with _cache() as cache:
        report = _report(plan_file, stages, against, against_plan, against_assembly, wanted, cache, region)
    _print(report, format_, output, limit, full_report)
    if report.violations:
        for found in report.violations:
            click.echo(f"{found.reason}: stage {found.stage}: {found.text}", err=True)
        return 1
    return DIFFERS if report.differs else 0


@contextlib.contextmanager
def _cache() -> Iterator[Path]:
    """The cache of bundles; one that lasts as long as this review where there is no folder for it."""
    try:
        folder = pack_cache()
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except (FactoryError, OSError):
        writable = False
    if writable:
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="factory-cdk-cache-") as instead:
            yield Path(instead)


def _report(
    plan_file: str,
    stages: tuple[str, ...],
    against: str | None,
    against_plan: str | None,
    against_assembly: Path | None,
    fail_on: FailOn,
    cache: Path,
    region: str | None,
) -> Report:
    from factory_cdk.review.history import history_here  # noqa: PLC0415 - with the plan's modules
    from factory_cdk.review.reviewing import reviewed  # noqa: PLC0415
    from factory_cdk.review.sides.of_assembly import side_of_assembly  # noqa: PLC0415
    from factory_cdk.review.sides.of_git import repository_of, side_of_commit  # noqa: PLC0415
    from factory_cdk.review.sides.of_plan import side_of_plan  # noqa: PLC0415

    deployed = against == DEPLOYED
    repository = repository_of(plan_file) if against is not None and not deployed else None
    after = side_of_plan(plan_file, cache=cache, region=region, inside=repository.top if repository else None)

    def held_against(before: PlanSide) -> Report:
        history = history_here(plan_file)
        return reviewed(plan_file, before, after, stages=stages, history=history, fail_on=fail_on)

    if deployed:
        from factory_cdk.review.sides.of_deployed import side_of_deployed  # noqa: PLC0415 - asks AWS

        with side_of_deployed(after.factory or "", partial(click.echo, err=True)) as before:
            return held_against(before)
    if repository is not None and against is not None:
        with side_of_commit(repository, against, cache=cache, region=region) as before:
            return held_against(before)
    if against_assembly is not None:
        return held_against(side_of_assembly(against_assembly))
    return held_against(side_of_plan(against_plan or "", cache=cache, region=region))


def _print(report: Report, format_: str, output: Path | None, limit: int | None, full_report: str | None) -> None:
    if format_ == "json":
        import json  # noqa: PLC0415

        from factory_cdk.review.formats.json_report import as_json  # noqa: PLC0415 - one of them is used

        text = json.dumps(as_json(report), indent=2) + "\n"
    elif format_ == "markdown":
        from factory_cdk.review.formats.markdown import as_markdown  # noqa: PLC0415

        text = as_markdown(report, limit=limit, full_report_url=full_report)
    elif format_ == "github":
        from factory_cdk.review.formats.github import as_github  # noqa: PLC0415

        text = as_github(report)
    else:
        from factory_cdk.review.formats.text import as_text  # noqa: PLC0415

        on_terminal = output is None and sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if on_terminal else None
        text = as_text(report, width=width, colour=on_terminal and "NO_COLOR" not in os.environ)
    write_output(text, output)
