"""A build on AWS at the terminal: what it will do, the question, its progress, and how it ended."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial

import click

from factory_cdk.cli.output.pack_progress import packed
from factory_cdk.cli.shared_options import confirmed, say_unless
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import pack_cache
from factory_cdk.lifecycle import building
from factory_cdk.lifecycle.aws.deploying import Change, Deployed
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.plan.model import Plan

NOT_AGREED = 1


def build_on_aws(
    plan: Plan,
    file: str,
    stage: str,
    options: BuildOptions,
    *,
    region: str | None,
    locked: bool,
    yes: bool,
    quiet: bool,
) -> int:
    """Build `stage` of the plan in `file`; the exit code."""
    tell = say_unless(quiet)

    def agree(change: Change) -> bool:
        if not quiet:
            _show(change, file, region, tell)
        return yes or confirmed(f"{'Build' if change.is_new else 'Update'} {change.stage}?")

    deployed = building.deploy(
        plan,
        stage,
        options,
        agree,
        tell,
        region=region,
        locked=locked,
        pack=partial(packed, quiet=quiet),
    )
    if deployed is None:
        click.echo("nothing was changed", err=True)
        return NOT_AGREED
    if not quiet:
        click.echo(_ended(deployed))
    return 0


def _show(change: Change, file: str, region: str | None, say: Say) -> None:
    """What a build will do, on stderr: what of the plan differs from what is deployed, then stack by stack."""
    if not change.is_new:
        try:
            click.echo(_review(change, file, region, say), err=True)
        except FactoryError as error:  # it is told, not needed: the stacks say what is done
            say(f"warning: no review against what is deployed: {error.message}")
    rows = [(one.name, one.region, one.kind) for one in change.stacks]
    if change.local != "none":
        rows.append(("(local sectors)", "here", change.local))
    for name, where, kind in rows:
        click.echo(f"{kind:6}  {name} ({where})", err=True)
    for drifted in change.drift:
        say(f"drift: {drifted}")
    for why in change.drift_unknown:
        say(f"drift is not known of {why}")
    for one in change.gone:
        say(f"the instance {one.id} of sector {one.sector} ({one.region}) is gone: it is made again")


def _review(change: Change, file: str, region: str | None, say: Say) -> str:
    from factory_cdk.review.formats.text import as_text  # noqa: PLC0415
    from factory_cdk.review.reviewing import reviewed  # noqa: PLC0415
    from factory_cdk.review.sides.of_deployed import side_of_deployed  # noqa: PLC0415
    from factory_cdk.review.sides.of_plan import side_of_plan  # noqa: PLC0415

    after = side_of_plan(file, cache=pack_cache(), region=region)
    with side_of_deployed(change.design.factory, say) as before:
        report = reviewed(file, before, after, stages=[change.design.stage])
    on_terminal = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else None
    return as_text(report, width=width, colour=on_terminal and "NO_COLOR" not in os.environ, brief=True)


def _ended(deployed: Deployed) -> str:
    if not deployed.changed and not deployed.deleted:
        return f"{deployed.stage} is as its plan says: nothing was changed"
    parts = []
    if deployed.changed:
        parts.append(f"deployed: {', '.join(deployed.changed)}")
    if deployed.deleted:
        parts.append(f"deleted: {', '.join(deployed.deleted)}")
    return f"{deployed.stage} is built; {'; '.join(parts)}"
