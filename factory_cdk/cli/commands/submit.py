"""`factory-cdk submit`: jobs for a bot, and, with --wait, what became of them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.shared_options import (
    StageSearch,
    bot_names,
    built_stage_option,
    name_option,
    say_problems,
    say_unless,
    search_options,
)
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs
from factory_cdk.views.jobs import outcome_row
from factory_cdk.views.plain import as_json
from factory_cdk.worker.depth import check_depth

EXAMPLES = """\b
Examples:
  factory-cdk submit --name works --stage test --bot greet --payload '{"name": "Ada"}'
  factory-cdk submit --name works --stage test --bot greet --lines people.jsonl --tag source=people --wait 60
  echo '[1, 2]' | factory-cdk submit --name works --stage test --bot add --file - --wait 10 | jq .result

\b
Exit codes: 0 done; 1 refused, or (with --wait) a job is dead; 2 wrong usage;
3 timed out; 4 the runner does not run.
"""


@click.command(epilog=EXAMPLES)
@name_option
@built_stage_option
@click.option("--bot", metavar="NAME", required=True, shell_complete=bot_names, help="The bot that gets the jobs.")
@click.option("--payload", metavar="JSON", help="One job with this payload.")
@click.option(
    "--file",
    "file_",
    metavar="FILE",
    type=click.File(encoding="utf-8"),
    help="One job with the payload in this JSON file.",
)
@click.option(
    "--lines", metavar="FILE", type=click.File(encoding="utf-8"), help="One job per line of this JSON Lines file."
)
@click.option(
    "--tag",
    "tags",
    metavar="KEY=VALUE",
    multiple=True,
    help="A tag of the jobs and of all that follow from them; repeatable.",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="Wait for the jobs and all jobs that follow from them.",
)
@search_options
@quiet_option
def command(
    name: str,
    stage: str | None,
    bot: str,
    payload: str | None,
    file_: TextIO | None,
    lines: TextIO | None,
    tags: tuple[str, ...],
    wait: float | None,
    search: StageSearch,
    quiet: bool,
) -> int:
    """Put jobs on a bot's queue. Returns when they are on disk, and prints the id of their run.

    With --wait, stdout has one JSON object per finished job instead: id, parent, bot, outcome (success, dead or
    cancelled), attempts, result, error.
    """
    given = [one for one in (payload, file_, lines) if one is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --payload, --file and --lines")
    home, backends = find_home(), search.backends(name, stage)
    found = verbs.find(home, name, stage, backends=backends)
    jobs = list(_payloads(payload, file_, lines))
    submission = verbs.submit(home, name, found.stage, bot, jobs, _tags(tags), backends=backends)
    count = len(submission.ids)
    tell = say_unless(quiet)
    tell(f"run {submission.run}: {count} {'job' if count == 1 else 'jobs'} for {bot} on disk")
    if wait is None:
        click.echo(submission.run)
        if not quiet:
            say_problems([found])
        return 0
    outcomes: Counter[str] = Counter()
    try:
        for record in verbs.wait(home, name, found.stage, submission.run, wait, backends=backends):
            outcomes[str(record.outcome)] += 1
            if sys.stderr.isatty() and not sys.stdout.isatty() and not quiet:
                click.echo(f"\r{_counts(outcomes)} ", err=True, nl=False)
            click.echo(_line(as_json(outcome_row(record))))
    finally:
        tell(f"run {submission.run}: " + (_counts(outcomes) or "nothing done"))
    return int(outcomes["dead"] > 0)


def _line(record: dict[str, Any]) -> bytes:
    """A job as one line of JSON, in UTF-8 whatever the locale; escaped where that, or a terminal, cannot hold it."""
    text = json.dumps(record, ensure_ascii=False)
    return (text if text.isprintable() else json.dumps(record).replace("\x7f", "\\u007f")).encode()


def _payloads(payload: str | None, file_: TextIO | None, lines: TextIO | None) -> Iterator[Any]:
    if payload is not None:
        yield _json(payload, "--payload")
    if file_ is not None:
        yield _json(_read(file_), file_.name)
    if lines is not None:
        for number, line in enumerate(_read(lines).splitlines(), 1):
            if line.strip():
                yield _json(line, f"{lines.name}:{number}")


def _read(file: TextIO) -> str:
    try:
        return file.read().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise FactoryError(f"{file.name} is not UTF-8: {error}") from None


def _json(text: str, where: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        remedy = "nothing was submitted"
        if where == "--payload":
            remedy += """; text is JSON in double quotes, and a shell takes these in single ones: '"some text"'"""
        raise FactoryError(f"{where}: not JSON: {error}", remedy) from None
    try:
        check_depth(value, text)
    except ValueError as error:
        raise FactoryError(f"{where}: {error}", "nothing was submitted") from None
    return value


def _tags(given: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise click.UsageError(f"--tag {one!r} is not KEY=VALUE")
        tags[key] = value
    return tags


def _counts(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), reverse=True))
