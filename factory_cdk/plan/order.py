"""The order in which bots are stopped and taken down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping


def breadth_first(next_bots: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Bots, of which each is given with those that get its results (which are among them, too), breadth-first: no bot
    comes before one that feeds it. Those that neither feed nor are fed come last, in the order in which they are given.
    """
    waiting = Counter(fed for several in next_bots.values() for fed in several)
    linked = {name for name, several in next_bots.items() if several or waiting[name]}
    order: list[str] = []
    level = [name for name in next_bots if name in linked and not waiting[name]]
    while level:
        order += level
        next_level: list[str] = []
        for fed in (fed for name in level for fed in next_bots[name]):
            waiting[fed] -= 1
            if not waiting[fed]:
                next_level.append(fed)
        level = next_level
    return tuple(order + [name for name in next_bots if name not in linked])
