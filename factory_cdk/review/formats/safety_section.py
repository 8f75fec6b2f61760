"""Who may do what, what is open, and how near the limits are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factory_cdk.review.formats.blocks import Block, Bullets, Details, Line, Said, Sign, Value
from factory_cdk.review.formats.grouping import alike
from factory_cdk.review.formats.head import is_near, is_told
from factory_cdk.review.formats.job_section import capped, opened
from factory_cdk.review.formats.values import names
from factory_cdk.review.model import LimitReport, SecurityReport, StageReport


def security_blocks(stage: StageReport) -> Iterator[Block]:
    """What becomes less or better protected, the former first."""
    found = sorted(stage.security, key=lambda one: not one.worse)
    lines = [_security(same) for same in alike(found, lambda one: (one.kind, one.text, one.worse))]
    yield from opened(lines, "Security", "more line")


def _security(same: list[SecurityReport]) -> Line:
    sign = Sign("🔓", "less protected") if same[0].worse else Sign("🔒", "changed")
    return (sign, ": ", *names([one.subject for one in same], "sector"), ": ", Said(same[0].text))


def limit_blocks(stage: StageReport) -> Iterator[Block]:
    """Limits that are near or of which much more or less is used."""
    found = sorted((one for one in stage.limits if is_told(one)), key=lambda one: -one.share)
    yield from opened([_limit(one) for one in found], "Limits", "more limit")


def _limit(found: LimitReport) -> Line:
    was = f", {found.before:,} before" if found.before is not None and found.before != found.used else ""
    used = f": {found.used:,} of {found.limit:,} "
    sign = Sign("📏", "near" if is_near(found) else "changed")
    return (sign, ": ", Value(found.subject), used, Said(found.unit), f" ({found.share:.0%}{was})")


def access_blocks(stage: StageReport) -> Iterator[Block]:
    """What the roles of sectors may do and may no longer."""
    gained = ((one.sector, text) for one in stage.access for text in one.gains)
    lost = ((one.sector, text) for one in stage.access for text in one.loses)
    gains = _access(gained, Sign("➕", "gained"), " may: ")
    loses = _access(lost, Sign("➖", "lost"), " may no longer: ")
    lines = (*gains, *loses)
    if lines:
        yield Details("Access gained and lost", (Bullets(capped(lines, "more line")),))


def _access(found: Iterable[tuple[str, str]], sign: Sign, may: str) -> tuple[Line, ...]:
    return tuple(
        (sign, ": ", *names([sector for sector, _ in same], "sector"), may, Said(same[0][1]))
        for same in alike(found, lambda one: one[1])
    )
