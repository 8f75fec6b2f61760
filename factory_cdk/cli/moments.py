"""Moments as people type them: `10m` (ago), `2026-11-22`, `2026-11-22T03:04:05Z`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import click

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A moment in seconds since the epoch."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds since the epoch; a time without an offset is UTC, as all times are that we print."""
        if isinstance(value, float):
            return value
        text = str(value)
        if ago := _AGO.fullmatch(text):
            return time.time() - float(ago[1]) * _UNITS[ago[2]]
        try:
            found = datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is neither like 10m, 2h or 3d (ago) nor like 2026-11-22T03:04:05Z", param, ctx)


AS_TYPED = "10m, 2h, 3d (ago), or a time like 2026-11-22T03:04Z"

since_option = click.option("--since", metavar="WHEN", type=Moment(), help=f"From this time on: {AS_TYPED}.")

until_option = click.option("--until", metavar="WHEN", type=Moment(), help="Before this time; format as for --since.")
