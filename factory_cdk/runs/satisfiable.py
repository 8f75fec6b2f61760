"""Whether what a step needs can ever hold, given what the steps that it names need themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from factory_cdk.runs.conditions import Any, Atom, Condition, Wanted

MOST = 20_000
"""Attempts after which a condition counts as one that can hold: no plan that a person writes comes near it."""

SUCCEEDED, FAILED, SKIPPED = "succeeded", "failed", "skipped"

_ENDS = {
    Wanted.READY: (SUCCEEDED, FAILED),
    Wanted.ACTIVE: (SUCCEEDED, FAILED),
    Wanted.SUCCEEDED: (SUCCEEDED,),
    Wanted.FAILED: (FAILED,),
    Wanted.COMPLETED: (SUCCEEDED, FAILED, SKIPPED),
    Wanted.SKIPPED: (SKIPPED,),
}
"""The ends of a step with which it can have come to what is wanted. (One that was ready may be skipped by a failure
elsewhere: whatever follows from that can follow without it, too.)
"""

Ends = Mapping[str, str]


def can_hold(condition: Condition, needs: Mapping[str, Condition | None]) -> bool:
    """Whether some ends of the steps let `condition` hold, each step that starts having what it `needs`."""
    budget = [MOST]
    return any(True for _ in _ways((condition,), {}, needs, budget)) or budget[0] <= 0


def _ways(
    wanted: tuple[Condition, ...], ends: Ends, needs: Mapping[str, Condition | None], budget: list[int]
) -> Iterator[Ends]:
    """Ends of steps with which all that is `wanted` holds, those in `ends` kept."""
    budget[0] -= 1
    if budget[0] <= 0:
        return
    if not wanted:
        yield ends
        return
    first, rest = wanted[0], wanted[1:]
    if isinstance(first, Atom):
        for end in _ENDS[first.wanted]:
            if ends.get(first.step, end) != end:
                continue
            if first.step in ends:
                yield from _ways(rest, ends, needs, budget)
                continue
            own = needs.get(first.step)
            more = (own,) if own is not None and end != SKIPPED else ()
            yield from _ways((*more, *rest), {**ends, first.step: end}, needs, budget)
    elif isinstance(first, Any):
        for part in first.parts:
            yield from _ways((part, *rest), ends, needs, budget)
    else:
        yield from _ways((*first.parts, *rest), ends, needs, budget)
