"""A report as annotations that GitHub shows at the lines of the plan."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.review.formats.grouping import SectorGroup, alike, sector_groups
from factory_cdk.review.formats.values import as_value, counted, shortened
from factory_cdk.review.model import Difference, QueueReport, Report, Verdict
from factory_cdk.workflow_commands import annotation

_SEVERE = (Verdict.REMOVED, Verdict.REPLACED)

_LONGEST = 200
"""Characters of a value."""


def as_github(report: Report) -> str:
    """One workflow command on a line for each reason of `--fail-on` that holds (error), for sectors that are removed or
    replaced and queues that lose jobs (warning), and for sectors that may be replaced (notice). Sectors that are alike
    share one, for GitHub shows ten of each level.
    """
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    for violation in report.violations:
        text = f"--fail-on {violation.reason}, stage {violation.stage}: {violation.text}"
        yield annotation("error", text, file=report.plan, line=violation.line, title="factory-cdk review")
    for stage in report.stages:
        for same in alike((one for one in stage.queues if one.loses_jobs), lambda one: (one.verdict, one.jobs)):
            yield annotation("warning", _queues(stage.name, same), file=report.plan, title="jobs are lost")
        for group in sector_groups(stage.sectors):
            if group.verdict in _SEVERE:
                level = "notice" if group.possible else "warning"
                title = f"{counted(len(group.names), 'sector')} {group.words}"
                yield annotation(level, _sectors(stage.name, group), file=report.plan, line=_place(group), title=title)


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
    before, after = (
        "none" if one is None else shortened(as_value(one), _LONGEST) for one in (found.before, found.after)
    )
    values = f" {before} → {after}" if found.before is not None or found.after is not None else ""
    return f"{found.what}{values}{f' ({found.why})' if found.why else ''}"
