"""`factory-cdk secrets`: the values of the secrets that a deployed stage's templates created empty."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from factory_cdk.cli.options import plan_option, quiet_option, region_option, stage_option
from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import aws_profile_option, format_option, say, say_unless, use_profile
from factory_cdk.diagnostics import FactoryError
from factory_cdk.views.plain import as_json

EXAMPLES = """\b
Examples:
  factory-cdk secrets put --plan factory-plan.yml --stage prod
  factory-cdk secrets check --plan factory-plan.yml --stage prod
"""
PUT_EXAMPLES = """\b
Examples:
  factory-cdk secrets put --plan factory-plan.yml --stage prod
  factory-cdk secrets put --plan factory-plan.yml --stage prod --sector ec2_box --bot weld
  vault kv get -format=json -field=data weld | factory-cdk secrets put --plan p.yml --stage prod --bot weld --from-stdin
"""
CHECK_EXAMPLES = """\b
Examples:
  factory-cdk secrets check --plan factory-plan.yml --stage prod
  factory-cdk secrets check --plan factory-plan.yml --stage prod --format json | jq '.[] | select(.lacking != [])'
"""

MOST = 1 << 20
"""Characters that are read from stdin."""


@click.group(epilog=EXAMPLES, no_args_is_help=True, short_help="Write and check the secrets of a stage on AWS.")
def command() -> None:
    """Write and check the values of the secrets that the bots of a stage read on AWS."""


def _selection(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*, aws_profile: str | None, **options: Any) -> Any:
        use_profile(aws_profile)
        return function(**options)

    for option in (
        format_option,
        aws_profile_option,
        region_option,
        click.option("--bot", metavar="NAME", help="Only secrets of this bot."),
        click.option("--sector", metavar="NAME", help="Only secrets of this sector."),
        stage_option,
        plan_option,
    ):
        called = option(called)
    return called


@command.command(epilog=PUT_EXAMPLES, short_help="Write values into the secrets that the templates created.")
@_selection
@click.option("--from-stdin", is_flag=True, help="Take all values from one JSON object on stdin.")
@quiet_option
def put(
    plan_file: str,
    stage: str,
    sector: str | None,
    bot: str | None,
    region: str | None,
    from_stdin: bool,
    format_: str,
    quiet: bool,
) -> int:
    """Write the values of secrets into Secrets Manager, where they differ from what is there.

    Values come from where the plan says: variables, or profiles of ~/.bots and ~/.qalx. No value is ever printed.
    Secrets that the plan refers to (`secret:`) are left alone. Needs secretsmanager:DescribeSecret, GetSecretValue
    and PutSecretValue. Exit code 1: a value is missing (then nothing is written), or a secret is not there yet.
    """
    from factory_cdk.lifecycle.secrets import put_secrets  # noqa: PLC0415 - imports Jinja2
    from factory_cdk.plan.load import read_plan  # noqa: PLC0415

    tell = say_unless(quiet)
    rows = put_secrets(
        read_plan(plan_file),
        stage,
        sector,
        bot,
        region=region,
        values=_stdin() if from_stdin else None,
        written=lambda row: tell(f"{row.secret} ({row.region}): {row.state}"),
    )
    if format_ == "json":
        print_json([as_json(row) for row in rows])
    elif not rows:
        say("the templates create no secret for these bots")
    return _verdict(rows, "deploy its stack, then write it: factory-cdk secrets put")


@command.command(epilog=CHECK_EXAMPLES, short_help="Tell which secrets have values.")
@_selection
def check(plan_file: str, stage: str, sector: str | None, bot: str | None, region: str | None, format_: str) -> int:
    """Tell of each secret whether it is missing, deleted, empty, incomplete (and which keys lack a value) or filled.

    A secret that the plan refers to `exists`, or is missing, empty or incomplete. No value is printed. Needs
    secretsmanager:DescribeSecret and GetSecretValue. Exit code 0: all have values; 1: one has not, or AWS refuses.
    """
    from factory_cdk.lifecycle.secrets import check_secrets  # noqa: PLC0415 - imports Jinja2
    from factory_cdk.plan.load import read_plan  # noqa: PLC0415

    rows = check_secrets(read_plan(plan_file), stage, sector, bot, region=region)
    if format_ == "json":
        print_json([as_json(row) for row in rows])
    elif rows:
        print_table(
            ("sector", "bots", "secret", "region", "state", "no value for"),
            [
                (row.sector, ", ".join(row.bots), row.secret, row.region, row.state, ", ".join(row.lacking) or "-")
                for row in rows
            ],
            folds=("bots", "no value for"),
            whole=("secret",),
        )
    else:
        say("no bot of these has secrets")
    for row in rows:
        if not row.readable:
            say(f"warning: {row.secret}: these credentials may not read it, so whether it has a value was not checked")
    return _verdict(rows, "write them: factory-cdk secrets put")


def _stdin() -> str:
    if sys.stdin.isatty():
        raise FactoryError("stdin is a terminal, which would show the values", "pipe the JSON into this command")
    text = None
    try:
        text = sys.stdin.read(MOST + 1)
    except UnicodeDecodeError:  # it holds what was read
        text = None
    if text is None or len(text) > MOST:
        raise FactoryError("what is on stdin is not UTF-8, or longer than 1 MiB", "write one JSON object")
    return text


def _verdict(rows: list[Any], remedy: str) -> int:
    without = [row for row in rows if not row.has_values]
    if without:
        say(f"{len(without)} of {len(rows)} secrets have no value for every key")
        say(f"help: {remedy}")
    return int(bool(without))
