"""`factory-cdk lock`: which commits and versions a plan means, written down for every machine."""

from __future__ import annotations

import click

from factory_cdk.cli.options import plan_option, quiet_option, region_option
from factory_cdk.cli.output.pack_progress import packed, print_packed
from factory_cdk.cli.output.report import coloured
from factory_cdk.compile import pinned_anew
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import differences, lock_path, locked_anew, read_lock, write_lock
from factory_cdk.plain_text import printable
from factory_cdk.plan.load import read_plan

EXAMPLES = """\b
Examples:
  factory-cdk lock --plan factory-plan.yml
  factory-cdk lock --plan factory-plan.yml --upgrade
  factory-cdk lock --plan factory-plan.yml --upgrade my_bot_1 my_bot_2
"""


@click.command(epilog=EXAMPLES, short_help="Write plan.lock: commits, versions, hashes, regions.")
@plan_option
@click.option("--upgrade", is_flag=True, help="Update to current commits and newest versions: BOT, or all bots.")
@click.argument("bots", metavar="[BOT]...", nargs=-1)
@region_option
@quiet_option
def command(plan_file: str, upgrade: bool, bots: tuple[str, ...], region: str | None, quiet: bool) -> int:
    """Write plan.lock beside the plan: commits, and exact versions with hashes for every platform.

    It also pins the default region, the region of each stage's queues and the stack that each sector and each
    queue is in, so that a change of the plan moves none of them. What is locked already and still in the plan
    stays; new and changed bots are locked. Commit the file: with it every machine packs and
    synthesizes the same.
    """
    if bots and not upgrade:
        raise click.UsageError("bots are named with --upgrade")
    plan = read_plan(plan_file)
    if unknown := [name for name in bots if name not in plan.bots]:
        raise FactoryError(f"the plan has no bot {unknown[0]!r}", f"it has {', '.join(plan.bots)}")
    path = lock_path(plan)
    before = read_lock(path)
    everyone = tuple(plan.bots.values())
    new = [name for name in plan.bots if before is None or name not in before.bots]
    fresh = (bots or tuple(plan.bots)) if upgrade else ()
    report = packed(plan, everyone, lock=before, fresh=[*fresh, *new], quiet=quiet)
    print_packed(report, quiet=True)
    relocked = locked_anew(plan, report, before)
    after, unpinned = pinned_anew(plan, relocked, bundles=report.bundles, region=region)
    changed = write_lock(path, after)
    if not quiet:
        for stage in unpinned:
            text = f"stage {stage} is not pinned: an aws sector of it has no region (name one with --region)"
            click.echo(f"{coloured('warning', to_stderr=True, fg='yellow', bold=True)}: {printable(text)}", err=True)
        for change in differences(before, after):
            click.echo(printable(f"{change.bot}: {change.what}"))
        count = f"{len(after.bots)} {'bot' if len(after.bots) == 1 else 'bots'}"
        click.echo(f"{path.name} {'is written' if changed else 'holds already'}: {count}")
    return 0
