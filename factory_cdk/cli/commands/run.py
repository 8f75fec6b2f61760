"""`factory-cdk run`: a run of a workflow of steps, and, with --wait, what became of it."""

from __future__ import annotations

import click

from factory_cdk.cli.json_option import parsed
from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.shared_options import built_stage_option, name_option, say_problems, say_unless
from factory_cdk.home import find_home
from factory_cdk.jobs import runs
from factory_cdk.lifecycle import verbs
from factory_cdk.lifecycle.local.preconditions import spec_of_built

EXAMPLES = """\b
Examples:
  factory-cdk run --name works --stage prod --workflow nightly
  factory-cdk run --name works --stage prod --workflow nightly --with '{"day": "2026-11-29"}' --id 2026-11-29
  factory-cdk run --name works --stage prod --workflow nightly --wait 3600 | jq '.steps[] | select(.status == "failed")'

\b
Exit codes: 0 done; 1 refused, or (with --wait) the run failed or was cancelled; 2 wrong usage;
3 not done in time; 4 the runner does not run.
"""


@click.command(epilog=EXAMPLES, short_help="Start a run of a workflow of steps.")
@name_option
@built_stage_option
@click.option("--workflow", metavar="NAME", required=True, help="The workflow, one with `steps`.")
@click.option("--with", "given", metavar="JSON", default="null", help="What steps get as `$input`.")
@click.option("--id", "run_id", metavar="ID", help="The id of the run; when there is one of that id, it is left alone.")
@click.option("--wait", metavar="SECONDS", type=click.FloatRange(min=0), help="Wait for the run to end.")
@click.option("--once", is_flag=True, help="Start none while one of this workflow is running; print the id of that.")
@quiet_option
def command(
    name: str,
    stage: str | None,
    workflow: str,
    given: str,
    run_id: str | None,
    wait: float | None,
    once: bool,
    quiet: bool,
) -> int:
    """Start a run of a workflow of steps. Returns when that is on disk, and prints the id of the run.

    With --wait, stdout has the run as JSON instead: run, state (succeeded, failed or cancelled), recovery, steps.
    """
    found = verbs.find(find_home(), name, stage)
    started = runs.begin(found.folder, spec_of_built(found), workflow, parsed(given, "--with"), run_id, once=once)
    if wait is None:
        click.echo(started)
        if not quiet:
            say_problems([found])
        return 0
    say_unless(quiet)(f"run {started}")
    report = runs.wait(found.folder, started, wait)
    print_json(runs.as_row(report))
    return int(report.state != "succeeded")
