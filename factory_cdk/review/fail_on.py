"""`--fail-on`: which changes make a review fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.spelling import did_you_mean
from factory_cdk.review.model import Effect, Report, SectorReport, StageReport, Verdict, Violation

REASONS: Mapping[str, str] = {
    "replace": "a sector or queue is replaced, or may be",
    "delete": "a sector, queue or secret is removed",
    "iam": "a role may do more than before",
    "secret": "a secret is added, removed, comes from another place or becomes a config value",
    "public": "a public address, port, key pair or metadata option opens something",
    "cost": "a stage costs more than N dollars a month more, or how much more is not known",
}


EFFECTS = tuple(Effect)
"""The most severe first."""


@dataclass(frozen=True, slots=True)
class FailOn:
    """The reasons that were asked for; `cost` is in dollars a month (None: it was not)."""

    reasons: frozenset[str] = field(default_factory=frozenset)
    cost: float | None = None


def parse_fail_on(text: str) -> FailOn:
    """`replace,delete,cost=50` → FailOn. FactoryError for what is none of REASONS."""
    reasons: set[str] = set()
    cost: float | None = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if name not in REASONS or (name == "cost") != bool(equals):
            hint = did_you_mean(name, REASONS) if name not in REASONS else "write `cost=50`, and the others alone"
            known = ", ".join("cost=N" if one == "cost" else one for one in REASONS)
            raise FactoryError(f"unknown reason `{part}` in --fail-on", f"{f'{hint}; ' if hint else ''}known: {known}")
        if name == "cost":
            cost = _dollars(value)
        else:
            reasons.add(name)
    return FailOn(frozenset(reasons), cost)


def _dollars(value: str) -> float:
    try:
        dollars = float(value)
    except ValueError:
        dollars = float("nan")
    if not 0 <= dollars < 1e12:
        raise FactoryError(f"`cost={value}` in --fail-on is not an amount", "write dollars a month, e.g. `cost=50`")
    return dollars


def violations(report: Report, wanted: FailOn) -> tuple[Violation, ...]:
    """What of `report` is among the reasons that are `wanted`."""
    return tuple(found for stage in report.stages if stage.differs for found in _of_stage(stage, wanted))


def _of_stage(stage: StageReport, wanted: FailOn) -> Iterator[Violation]:
    if stage.problems:  # what is not known is not allowed either
        for reason in sorted({*wanted.reasons, *(("cost",) if wanted.cost is not None else ())}):
            yield Violation(reason, stage.name, "the stage could not be compared, so that this is not known")
        return
    lines = {one.name: _line(one) for one in stage.sectors}
    for reason, subject, text in _changes(stage):
        if reason in wanted.reasons:
            yield Violation(reason, stage.name, text, lines.get(subject))
    if wanted.cost is not None and stage.cost is not None:
        more = stage.cost.after - stage.cost.before
        if more > wanted.cost:
            yield Violation("cost", stage.name, f"{more:,.2f} USD a month more than before, {wanted.cost:,.2f} allowed")
        changed = {one.name for one in stage.sectors if one.verdict not in (Verdict.UNCHANGED, Verdict.REMOVED)}
        for name in sorted(changed & set(stage.cost.unknown)):
            yield Violation("cost", stage.name, f"no price is known of sector {name}", lines.get(name))


def _line(sector: SectorReport) -> int | None:
    """The line of what does most to a sector."""
    first = min(sector.why, key=lambda one: EFFECTS.index(one.effect), default=None)
    return first.line if first is not None and first.line is not None else sector.line


def _changes(stage: StageReport) -> Iterator[tuple[str, str, str]]:
    """Every change that is one of the reasons: the reason, what it is about, and a sentence."""
    for sector in stage.sectors:
        if sector.verdict is Verdict.REPLACED:
            yield "replace", sector.name, f"sector {sector.name} {'may be' if sector.possible else 'is'} replaced"
        if sector.verdict is Verdict.REMOVED:
            yield "delete", sector.name, f"sector {sector.name} is removed"
    for queue in stage.queues:
        if queue.verdict is Verdict.REPLACED:
            yield "replace", "", f"queue {queue.name} is replaced"
        if queue.verdict is Verdict.REMOVED or queue.loses_jobs:
            yield "delete", "", f"queue {queue.name} is removed" + (", with the jobs in it" if queue.loses_jobs else "")
    for change in stage.resources:
        if change.action == "Remove" and change.type == "AWS::SecretsManager::Secret" and not change.kept:
            yield "delete", change.sector or "", f"the secret {change.logical_id} of {change.stack} is deleted"
    for access in stage.access:
        if access.gains:
            more = f" and {len(access.gains) - 1} more" if len(access.gains) > 1 else ""
            yield "iam", access.sector, f"the role of sector {access.sector} may {access.gains[0]}{more}"
    for found in stage.security:
        if found.kind == "secret":
            yield "secret", found.subject, f"{found.subject}: {found.text}"
        elif found.worse and found.kind in ("public", "port", "metadata"):
            yield "public", found.subject, f"{found.subject}: {found.text}"
