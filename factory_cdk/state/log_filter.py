"""Which lines of a stage's stream are wanted: by job, time and level."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from factory_cdk.state.logs import stamp

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
"""The levels of Python's logging, by their names."""

TRACEBACK = "Traceback (most recent call last):"
"""How Python begins one."""

_OTHER_NAMES = {"WARN": 30, "FATAL": 50}
_LEVEL = re.compile(rf"\b({'|'.join([*LEVELS, *_OTHER_NAMES])})\b")
_WHERE = 80
"""Characters at the start of a line in which its level stands, behind whatever time and name a bot puts there."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Lines of the job `job`, printed at or after `since` and before `until` (seconds since the epoch), at least as
    severe as `level` (a name in LEVELS); None means any.
    """

    job: str | None = None
    since: float | None = None
    until: float | None = None
    level: str | None = None


def matcher(wanted: LogFilter) -> Callable[[str], bool]:
    """Whether a line is `wanted`; to be asked of every line of the stream in order.

    A line's level is the first that it names near its start. A line without one, or in a traceback, goes on with what
    the same process said before; where that named none either, it is INFO.
    """
    since = stamp(wanted.since) if wanted.since is not None else None
    until = stamp(wanted.until) if wanted.until is not None else None
    least = LEVELS[wanted.level] if wanted.level is not None else None
    last: dict[tuple[str, str], int] = {}
    in_traceback: set[tuple[str, str]] = set()

    def is_wanted(line: str) -> bool:
        moment, label, job, text = _parts(line)
        if least is not None:
            who = label, job
            named = None if who in in_traceback else _LEVEL.search(text[:_WHERE])
            if named:
                last[who] = LEVELS.get(named[1]) or _OTHER_NAMES[named[1]]
            if text.startswith(TRACEBACK):
                in_traceback.add(who)
            elif not text.startswith(" "):  # the exception, below the lines of code
                in_traceback.discard(who)
            if last.get(who, LEVELS["INFO"]) < least:
                return False
        if wanted.job not in (None, job):
            return False
        return (since is None or moment >= since) and (until is None or moment < until)

    return is_wanted


def _parts(line: str) -> tuple[str, str, str, str]:
    """The time, label, job and text of a line `<time> <label> <job> | <text>`."""
    moment, _, rest = line.partition(" ")
    label, _, rest = rest.partition(" ")
    job, _, text = rest.partition(" | ")
    return moment, label, job, text
