"""Jobs and their statistics as tables, JSON and CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from factory_cdk.cli.report import coloured, print_json, printable
from factory_cdk.cli.table import print_table

FORMATS = ("text", "json", "csv")

_JOB_COLUMNS = (
    "id", "parent", "run", "bot", "queue", "state", "attempts", "tags", "enqueued", "first_started", "started",
    "finished", "waiting", "processing", "payload", "result",
)  # fmt: skip
_COUNTS = ("bot", "count", "success", "dead", "cancelled", "live", "attempts", "failures")
_SPREADS = tuple((name, part) for name in ("waiting", "processing") for part in ("p50", "p95", "max"))
LONGEST_ERROR = 100


def print_jobs(rows: Sequence[Mapping[str, Any]], format_: str) -> None:
    """Jobs as `jobs.job_as_json` makes them. CSV has the last failure, tags and values as JSON; JSON has it all."""
    if format_ == "json":
        print_json(list(rows))
    elif format_ == "csv":
        header = (*_JOB_COLUMNS, "error_type", "error_message")
        _print_csv(header, [(*(_cell(row[column]) for column in _JOB_COLUMNS), *_last_error(row)) for row in rows])
    elif rows:
        columns = ("id", "bot", "state", "attempts", "enqueued")
        print_table(
            (*columns, "waiting", "processing", "error"),
            [
                (
                    *(row[column] for column in columns),
                    _seconds(row["waiting"]),
                    _seconds(row["processing"]),
                    _error_in_short(row) if row["state"] != "success" else None,
                )
                for row in rows
            ],
        )
    else:
        click.echo("no such jobs", err=True)


def print_job(row: Mapping[str, Any], format_: str) -> None:
    """One job with everything: a line for each of its parts, then its failures."""
    if format_ == "json":
        print_json(dict(row))
        return
    width = max(map(len, row))
    for name, value in row.items():
        if name != "failures":
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            click.echo(f"{coloured(name.ljust(width), fg='cyan')}  {printable(text)}")
    for failure in row["failures"]:
        click.echo(coloured(f"\nattempt {failure['attempt']} failed", bold=True))
        click.echo(printable(failure["traceback"].rstrip() or f"{failure['type']}: {failure['message']}"))


def print_statistics(rows: Sequence[Mapping[str, Any]], format_: str) -> None:
    """Statistics as `jobs.statistics_as_json` makes them; seconds, also in CSV."""
    if format_ == "json":
        print_json(list(rows))
        return
    if format_ == "csv":
        header = (*_COUNTS, *(f"{name}_{part}" for name, part in _SPREADS))
        _print_csv(header, [(*(row[name] for name in _COUNTS), *_spreads(row)) for row in rows])
    elif rows:
        header = (*_COUNTS, *(f"{name} {part}" for name, part in _SPREADS))
        print_table(header, [(*(row[name] for name in _COUNTS), *map(_seconds, _spreads(row))) for row in rows])
    else:
        click.echo("no such jobs", err=True)


def _spreads(row: Mapping[str, Any]) -> list[float | None]:
    return [row[name][part] if row[name] else None for name, part in _SPREADS]


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}s"


def _last_error(row: Mapping[str, Any]) -> tuple[str, str]:
    if not row["failures"]:
        return "", ""
    last = row["failures"][-1]
    return last["type"], last["message"]


def _error_in_short(row: Mapping[str, Any]) -> str | None:
    kind, message = _last_error(row)
    if not kind:
        return None
    text = " ".join(f"{kind}: {message}".split())
    return text if len(text) <= LONGEST_ERROR else text[:LONGEST_ERROR] + "…"


def _cell(value: Any) -> Any:
    return value if isinstance(value, (str, int, float)) or value is None else json.dumps(value, ensure_ascii=False)


def _print_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
