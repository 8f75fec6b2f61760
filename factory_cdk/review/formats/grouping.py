"""Sectors, workers and sentences that are alike, together: four hundred boxes changed alike are one row."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from factory_cdk.review.model import Difference, Effect, SectorReport, Verdict

T = TypeVar("T")

_SEVERITY = {verdict: number for number, verdict in enumerate(Verdict)}
_EFFECTS = {effect: number for number, effect in enumerate(Effect)}


@dataclass(frozen=True, slots=True)
class SectorGroup:
    """Sectors with the same verdict for the same reasons; the lines in `why` are those of the first of them."""

    names: tuple[str, ...]
    verdict: Verdict
    possible: bool
    why: tuple[Difference, ...]
    line: int | None

    @property
    def words(self) -> str:
        """The verdict in words."""
        return "may be replaced" if self.possible and self.verdict is Verdict.REPLACED else str(self.verdict)


def alike(found: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """`found` in lists of the same `key`, each where its first stood."""
    groups: dict[Hashable, list[T]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def sector_groups(sectors: Iterable[SectorReport]) -> list[SectorGroup]:
    """The sectors that change, the most severe first and in the plan's order otherwise."""
    groups = [
        SectorGroup(tuple(one.name for one in same), first.verdict, first.possible, _by_effect(first.why), first.line)
        for same in alike((one for one in sectors if one.verdict is not Verdict.UNCHANGED), _key)
        for first in same[:1]
    ]
    return sorted(groups, key=lambda group: (severity(group.verdict), group.possible))


def severity(verdict: Verdict) -> int:
    """0 for the most severe."""
    return _SEVERITY[verdict]


def _key(sector: SectorReport) -> Hashable:
    return (sector.verdict, sector.possible, sector.type, tuple(map(difference_key, sector.why)))


def difference_key(found: Difference) -> Hashable:
    """What is the same for the same difference, wherever it is in the plan."""
    return (found.what, _json(found.before), _json(found.after), found.effect, found.why)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _by_effect(why: Sequence[Difference]) -> tuple[Difference, ...]:
    return tuple(sorted(why, key=lambda one: _EFFECTS[one.effect]))
