"""Jobs and their statistics as tables, JSON and CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from factory_cdk.cli.output.report import coloured, one_line_json, print_json, print_json_rows
from factory_cdk.cli.output.table import print_table
from factory_cdk.plain_text import printable
from factory_cdk.queues.client import BotStatistics
from factory_cdk.views.jobs import JobDetail, JobRow
from factory_cdk.views.plain import as_json

FORMATS = ("text", "json", "csv")

_JOB_COLUMNS = (
    "id", "parent", "run", "bot", "queue", "state", "attempts", "tags", "enqueued", "first_started", "started",
    "finished", "waiting", "processing", "payload", "result",
)  # fmt: skip
_LISTED = ("id", "bot", "state", "attempts", "enqueued")
_COUNTS = ("bot", "count", "success", "dead", "cancelled", "live", "attempts", "failures")
_SPREADS = tuple((name, part) for name in ("waiting", "processing") for part in ("p50", "p95", "max"))
_JSON_COLUMNS = ("tags", "payload", "result")  # nothing in JSON begins like a formula, but for negative numbers
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
LONGEST_ERROR = 100


def print_jobs(rows: Iterable[JobRow], format_: str) -> None:
    """Jobs. JSON has everything; CSV has tags, payload and result as JSON (empty where
    they are null), and the last failure.
    """
    if format_ == "json":
        print_json_rows(map(as_json, rows))
    elif format_ == "csv":
        header = (*_JOB_COLUMNS, "error_type", "error_message")
        _print_csv(header, ((*_cells(row), *map(_text_cell, _last_error(row))) for row in rows))
    elif lines := [_line(row) for row in rows]:
        spare = ("processing", "waiting", "enqueued", "attempts")
        print_table((*_LISTED, "waiting", "processing", "error"), lines, folds=("error",), spare=spare, whole=("id",))
    else:
        click.echo("no such jobs", err=True)


def _line(row: JobRow) -> Sequence[object]:
    """A job as a row of a table; a failure that was made good again is not of interest there."""
    error = _error_in_short(row) if row.state != "success" else None
    return (*(getattr(row, column) for column in _LISTED), _seconds(row.waiting), _seconds(row.processing), error)


def print_job(row: JobDetail, format_: str) -> None:
    """One job with everything: a line for each of its parts, then its failures."""
    if format_ == "json":
        print_json(as_json(row))
        return
    shown = as_json(row)
    width = max(map(len, shown))
    for name, value in shown.items():
        if name != "failures":
            text = printable(value) if isinstance(value, str) and name not in _JSON_COLUMNS else one_line_json(value)
            click.echo(f"{coloured(name.ljust(width), fg='cyan')}  {text}")
    retries = before = 0
    for failure in row.failures:
        retries += failure.attempt <= before  # attempts are counted anew after `jobs retry`
        before = failure.attempt
        after = f" after retry {retries}" if retries else ""
        click.echo(coloured(f"\nattempt {failure.attempt}{after} failed", bold=True))
        said, trace = str(failure), failure.traceback.rstrip()
        click.echo(printable(trace if said in trace else f"{said}\n{trace}".rstrip()))


def print_statistics(rows: Sequence[BotStatistics], format_: str) -> None:
    """Statistics; seconds, also in CSV."""
    if format_ == "json":
        print_json([as_json(row) for row in rows])
        return
    if format_ == "csv":
        header = (*_COUNTS, *(f"{name}_{part}" for name, part in _SPREADS))
        _print_csv(header, [(*(getattr(row, name) for name in _COUNTS), *_spreads(row)) for row in rows])
    elif rows:
        header = (*_COUNTS, *(f"{name} {part}" for name, part in _SPREADS))
        lines = [(*(getattr(row, name) for name in _COUNTS), *map(_seconds, _spreads(row))) for row in rows]
        print_table(header, lines, spare=("cancelled", "live"), then="waiting p50")
    else:
        click.echo("no such jobs", err=True)


def _spreads(row: BotStatistics) -> list[float | None]:
    return [getattr(getattr(row, name), part, None) for name, part in _SPREADS]


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}s"


def _last_error(row: JobRow) -> tuple[str, str]:
    if not row.failures:
        return "", ""
    last = row.failures[-1]
    return last.type, last.message


def _error_in_short(row: JobRow) -> str | None:
    kind, message = _last_error(row)
    if not kind:
        return None
    text = " ".join(f"{kind}: {message}".split()).removesuffix(":")
    return text if len(text) <= LONGEST_ERROR else text[:LONGEST_ERROR] + "…"


def _cells(row: JobRow) -> Iterator[object]:
    for column in _JOB_COLUMNS:
        value = getattr(row, column)
        if column in _JSON_COLUMNS and value is not None:
            yield one_line_json(value)
        else:
            yield _text_cell(value) if isinstance(value, str) else value


def _text_cell(text: str) -> str:
    """Text of a bot's own, as a spreadsheet and a terminal may have it: neither a formula nor an escape sequence.

    What begins like a formula gets a quote in front: https://owasp.org/www-community/attacks/CSV_Injection.
    """
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _print_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
