"""Finds cycles between bots: jobs in one would never end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 8
"""Bots of a cycle that a message names."""

REMOVE_REFERENCE = "a workflow must end: remove this reference"


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle: the edge that closes it (parent and child), and all of it for a message (`a -> b -> a`)."""

    edge: tuple[str, str]
    shown: str


def find_cycles(
    roots: Collection[str], edges: Mapping[tuple[str, str], Any] | Collection[tuple[str, str]]
) -> Iterator[Cycle]:
    """Every cycle that a depth-first search from `roots`, in order, finds in the graph of `edges`."""
    children: dict[str, list[str]] = defaultdict(list)
    for parent, child in edges:
        children[parent].append(child)
    done: set[str] = set()
    for start in (*roots, *list(children)):
        if start in done:
            continue
        path = [start]
        places = {start: 0}
        following = [iter(children[start])]
        while path:
            next_bot = next(following[-1], None)
            if next_bot is None:
                following.pop()
                bot = path.pop()
                del places[bot]
                done.add(bot)
            elif next_bot in places:
                yield Cycle((path[-1], next_bot), _shown(path, places[next_bot]))
            elif next_bot not in done:
                places[next_bot] = len(path)
                path.append(next_bot)
                following.append(iter(children[next_bot]))


def _shown(path: list[str], first: int) -> str:
    # Only what is shown is copied: a plan may have thousands of long cycles.
    length = len(path) - first
    if length < MAX_SHOWN:
        names = [*path[first:], path[first]]
    else:
        names = [*path[first : first + MAX_SHOWN - 3], "…", path[-1], path[first]]
    return " -> ".join(name if name == "…" else f"`{name}`" for name in names)
