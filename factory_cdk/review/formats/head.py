"""What a reader has to know first: for every stage, the worst of it in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from factory_cdk.review.formats.blocks import Block, Bullets, Heading, Line, Mark, Paragraph, Piece, Said, Sign, Value
from factory_cdk.review.formats.grouping import alike, severity
from factory_cdk.review.formats.values import counted, money_change, names
from factory_cdk.review.model import LimitReport, Report, SectorReport, StageReport, Verdict, Violation

REFUSED = Sign("⛔", "refused")
PROBLEM = Sign("❗", "problem")

MOST_VIOLATIONS = 2
"""Violations of one reason in one stage that are named."""

NEAR = 0.8
"""The part of a limit from which on it is near."""

MUCH = 0.1
"""The part of a limit by which its use changes much."""

_NOTICED = (Verdict.REMOVED, Verdict.REPLACED, Verdict.RESTARTED, Verdict.ADDED, Verdict.CHANGED)


def nothing_changes(report: Report) -> bool:
    """Whether one line says all of it."""
    said = (report.problems, report.notes, report.violations)
    of_stages = ((stage.problems, stage.hazards) for stage in report.stages)
    return not report.differs and not any(said) and not any(any(part) for part in of_stages)


def unchanged(report: Report) -> Paragraph:
    """That one line."""
    found: list[Piece] = [Mark(Verdict.UNCHANGED, "nothing changes"), ": factory ", Value(report.factory), " in "]
    found += [Value(report.plan), ", ", Value(report.before), " → ", Value(report.after)]
    if report.stages:
        found += [", ", *names([stage.name for stage in report.stages], "stage")]
    return Paragraph(tuple(found))


def head(report: Report) -> Iterator[Block]:
    """The report's title, what was compared, violations, and a line for each stage."""
    yield Heading(1, _title(report))
    yield Paragraph(("Plan ", Value(report.plan), ": ", Value(report.before), " → ", Value(report.after)))
    lines = [_refused(same) for same in alike(report.violations, lambda one: (one.reason, one.stage))]
    lines += [(PROBLEM, ": ", Said(problem)) for problem in report.problems]
    lines += [_stage(stage) for stage in most_severe_first(report.stages) if stage.differs]
    same = [stage.name for stage in report.stages if not stage.differs]
    if same:
        lines.append((Mark(Verdict.UNCHANGED, "unchanged"), ": ", *names(same, "stage")))
    if lines:
        yield Bullets(tuple(lines))


def _refused(same: Sequence[Violation]) -> Line:
    """The violations of one reason in one stage: four hundred sectors that are replaced are one line."""
    first = same[0]
    line: list[Piece] = [REFUSED, ": ", Value(f"--fail-on {first.reason}"), ", stage ", Value(first.stage), ": "]
    for number, one in enumerate(same[:MOST_VIOLATIONS]):
        line += ["; ", Said(one.text)] if number else [Said(one.text)]
    if len(same) > MOST_VIOLATIONS:
        line.append(f"; and {len(same) - MOST_VIOLATIONS:,} more")
    return tuple(line)


def most_severe_first(stages: Iterable[StageReport]) -> list[StageReport]:
    """The stages by their verdicts, those with the same one in the plan's order."""
    return sorted(stages, key=lambda stage: severity(stage.verdict))


def _title(report: Report) -> Line:
    """The factory, and what is worst in all stages."""
    sectors = [sector for stage in report.stages for sector in stage.sectors]
    worst = min((stage.verdict for stage in report.stages), key=severity, default=Verdict.UNCHANGED)
    counts = _counts(sectors)
    title: list[Piece] = ["Factory ", Value(report.factory), ": "]
    if counts:
        first = counts[0]
        title += [Mark(first.verdict, f"{_number(sectors, first)} {first.words}")]
    elif report.differs:
        title += [Mark(worst, str(worst)), ", but no sector"]
    else:
        title += [Mark(Verdict.UNCHANGED, "nothing changes")]
    if any(_losing(stage) for stage in report.stages):
        title.append(", jobs are lost")
    return tuple(title)


def _number(sectors: list[SectorReport], mark: Mark) -> str:
    found = sum(_words(one) == (mark.verdict, mark.words) for one in sectors)
    return counted(found, "sector")


def _stage(stage: StageReport) -> Line:
    """A stage in one line, what matters most first."""
    line: list[Piece] = ["stage ", Value(stage.name), ": "]
    for number, part in enumerate(_points(stage)):
        line += [" · ", *part] if number else part
    return tuple(line)


def _points(stage: StageReport) -> Iterator[Line]:
    if stage.problems:
        yield (Sign("❗", "not compared whole"),)
    counts = _counts(stage.sectors)
    for mark in counts:
        found = sum(_words(one) == (mark.verdict, mark.words) for one in stage.sectors)
        yield (Mark(mark.verdict, f"{counted(found, 'sector')} {mark.words}"),)
    if not counts:
        yield (Mark(stage.verdict, str(stage.verdict)),)
    yield from _queues(stage)
    losing = _losing(stage)
    yield (Sign("⚠️", f"jobs in {counted(losing, 'queue')} are lost") if losing else "no jobs are lost",)
    if stage.cost is not None and abs(stage.cost.after - stage.cost.before) >= 0.005:
        yield (money_change(stage.cost.before, stage.cost.after),)
    if stage.cost is not None and stage.cost.unknown:
        yield (f"no price known for {counted(len(stage.cost.unknown), 'sector')}",)
    if worse := sum(one.worse for one in stage.security):
        yield (Sign("🔓", f"less protected in {counted(worse, 'place')}"),)
    gained, lost = sum(len(one.gains) for one in stage.access), sum(len(one.loses) for one in stage.access)
    if gained or lost:
        yield (f"access: {gained:,} gained, {lost:,} lost",)
    if near := sum(is_near(one) for one in stage.limits):
        yield (Sign("📏", f"near {counted(near, 'limit')}"),)


def _queues(stage: StageReport) -> Iterator[Line]:
    found = Counter(queue.verdict for queue in stage.queues)
    for verdict in (Verdict.REMOVED, Verdict.REPLACED):
        if found[verdict]:
            yield (Mark(verdict, f"{counted(found[verdict], 'queue')} {verdict}"),)


def _losing(stage: StageReport) -> int:
    return sum(queue.loses_jobs for queue in stage.queues)


def is_near(limit: LimitReport) -> bool:
    """Whether so much of a limit is used that the next sectors may not fit."""
    return limit.share >= NEAR


def is_told(limit: LimitReport) -> bool:
    """Whether a limit is near, or its use changed much."""
    return is_near(limit) or (limit.before is not None and abs(limit.used - limit.before) >= MUCH * limit.limit)


def _words(sector: SectorReport) -> tuple[Verdict, str]:
    possible = sector.possible and sector.verdict is Verdict.REPLACED
    return (sector.verdict, "may be replaced" if possible else str(sector.verdict))


def _counts(sectors: tuple[SectorReport, ...] | list[SectorReport]) -> list[Mark]:
    """Every verdict that occurs, the most severe first."""
    found = {_words(one) for one in sectors if one.verdict in _NOTICED}
    return [Mark(*one) for one in sorted(found, key=lambda one: (severity(one[0]), one[1] != str(one[0])))]
