"""A report as annotations that GitHub shows at the lines of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from factory_cdk.review.formats.grouping import SectorGroup, alike, sector_groups
from factory_cdk.review.formats.values import as_values, counted, shortened
from factory_cdk.review.model import Difference, QueueReport, Report, Verdict
from factory_cdk.workflow_commands import annotation

MOST = 10
"""Annotations of a level that GitHub shows of a step."""

_LEVELS = ("error", "warning", "notice")

_SEVERE = (Verdict.REMOVED, Verdict.REPLACED)

_LONGEST = 200
"""Characters of a value."""

_Annotation: TypeAlias = tuple[str, str, str, int | None]
"""Level, title, text, line."""


def as_github(report: Report) -> str:
    """One workflow command on a line for each reason of `--fail-on` that holds (error), for sectors that are removed or
    replaced and queues that lose jobs (warning), and for sectors that may be replaced (notice). Sectors that are alike
    share one, and of more than GitHub shows the last says how many there are.
    """
    found = list(_annotations(report))
    lines = [line for level in _LEVELS for line in _shown(level, [one for one in found if one[0] == level], report)]
    return "".join(f"{line}\n" for line in lines)


def _shown(level: str, found: list[_Annotation], report: Report) -> Iterator[str]:
    fitting = found if len(found) <= MOST else found[: MOST - 1]
    for _, title, text, line in fitting:
        yield annotation(level, text, file=report.plan, line=line, title=title)
    if more := len(found) - len(fitting):
        text = f"{more} more of this kind are in the report"
        yield annotation(level, text, file=report.plan, title="factory-cdk review")


def _annotations(report: Report) -> Iterator[_Annotation]:
    for broken in alike(report.violations, lambda one: (one.reason, one.stage)):
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        text = f"--fail-on {broken[0].reason}, stage {broken[0].stage}: {broken[0].text}{more}"
        yield "error", "factory-cdk review", text, broken[0].line
    for stage in report.stages:
        for same in alike((one for one in stage.queues if one.loses_jobs), lambda one: (one.verdict, one.jobs)):
            yield "warning", "jobs are lost", _queues(stage.name, same), None
        for group in sector_groups(stage.sectors):
            if group.verdict in _SEVERE:
                title = f"{counted(len(group.names), 'sector')} {group.words}"
                yield "notice" if group.possible else "warning", title, _sectors(stage.name, group), _place(group)


def _place(group: SectorGroup) -> int | None:
    """The line of what decides, else that of the sector; one that is removed has none."""
    return next((one.line for one in group.why if one.line is not None), group.line)


def _sectors(stage: str, group: SectorGroup) -> str:
    reasons = "; ".join(map(_difference, group.why[:3]))
    more = f"; and {len(group.why) - 3} more" if len(group.why) > 3 else ""
    return f"stage {stage}: {_names(group.names)}: {group.words}{': ' if reasons else ''}{reasons}{more}"


def _queues(stage: str, same: list[QueueReport]) -> str:
    jobs = f": {same[0].jobs}" if same[0].jobs else ""
    return f"stage {stage}: queue {_names([one.name for one in same])}: {same[0].verdict}{jobs}"


def _names(found: tuple[str, ...] | list[str]) -> str:
    return ", ".join(found) if len(found) <= 3 else f"{found[0]} … {found[-1]} ({len(found)})"


def _difference(found: Difference) -> str:
    texts = as_values(found.before, found.after)
    before, after = (
        "none" if value is None else shortened(text, _LONGEST)
        for value, text in zip((found.before, found.after), texts, strict=True)
    )
    values = f" {before} → {after}" if found.before is not None or found.after is not None else ""
    return f"{found.what}{values}{f' ({found.why})' if found.why else ''}"
