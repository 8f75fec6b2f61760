"""`factory-cdk jobs check` and `jobs rescue`: the queues of a stage after damage."""

from __future__ import annotations

from dataclasses import asdict

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.shared_options import built_stage_option, confirmed, format_option, name_option, say
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle.local import rescue as rescuing
from factory_cdk.plain_text import printable
from factory_cdk.queues.repair import Rescue
from factory_cdk.state.stages import find

CHECK_EXAMPLES = """\b
Examples:
  factory-cdk jobs check --name works --stage test
  factory-cdk jobs check --name works --format json | jq .rescue
"""
RESCUE_EXAMPLES = """\b
Examples:
  factory-cdk jobs rescue --name works --stage test
  factory-cdk jobs rescue --name works --stage test --yes && factory-cdk resume --name works
"""


@click.command(epilog=CHECK_EXAMPLES, short_help="Check the queue database of a stage for damage.")
@name_option
@built_stage_option
@format_option
def check(name: str, stage: str | None, format_: str) -> int:
    """Check the whole queue database of a stage: what is damaged, and how many jobs could be recovered.

    Nothing is changed. Exit code 1: the database is damaged.
    """
    factory = find(find_home(), name, stage)
    found = rescuing.examine(factory)
    if format_ == "json":
        print_json({"problems": list(found.problems), "rescue": asdict(found.rescue) if found.rescue else None})
    elif found.rescue is None:
        click.echo(f"{factory.folder.name}: nothing wrong")
    else:
        click.echo(printable("\n".join(found.problems)))
        click.echo(_words(found.rescue))
        verb = "jobs rescue" if found.rescue.saved else "demolish"
        say(f"  help: factory-cdk {verb} {factory.folder.options}")
    return 1 if found.problems else 0


@click.command(epilog=RESCUE_EXAMPLES, short_help="Replace a damaged queue database by what can be recovered of it.")
@name_option
@built_stage_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def rescue(name: str, stage: str | None, yes: bool) -> int:
    """Replace a damaged queue database by a new one with the jobs that can be recovered; the damaged one is kept.

    The runner must not run (`stop --cold` ends it). `resume` continues with the recovered jobs; those that were in
    hand are done again.
    """
    factory = find(find_home(), name, stage)

    def agree(found: Rescue) -> bool:
        if not found.saved:
            raise FactoryError(f"no job of {factory.folder.name} can be saved", "demolish it, then build it again")
        return yes or confirmed(f"{_words(found)}. Put them in place of the damaged database?")

    kept = rescuing.put_right(factory, agree)
    if kept is None:
        return 1
    click.echo(f"{factory.folder.name} has what could be saved; the damaged database is kept in {kept}")
    say(f"  factory-cdk resume {factory.folder.options}")
    return 0


def _words(found: Rescue) -> str:
    if not found.saved:
        return "nothing can be saved"
    lost = f"up to {found.lost} cannot be read" if found.lost else "none is seen to be lost"
    return f"{found.saved} {'job' if found.saved == 1 else 'jobs'} can be saved, {lost}"
