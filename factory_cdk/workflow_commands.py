"""Workflow commands of GitHub Actions: lines of a job's output that GitHub shows at a file's line.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from factory_cdk.plain_text import printable


def annotation(
    level: str,
    message: str,
    *,
    title: str,
    file: str | None = None,
    line: int | None = None,
    column: int | None = None,
) -> str:
    """One annotation on one line; `level` is error, warning or notice, lines and columns count from 1."""
    places = {"file": file, "line": line, "col": column, "title": title}
    shown = ",".join(f"{key}={_property(printable(str(value)))}" for key, value in places.items() if value is not None)
    return f"::{level} {shown}::{_data(printable(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
