"""The line of a plan's file that a difference comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from factory_cdk.plan.yaml.nodes import MappingNode, Node, Path, locate

LineOf = Callable[[str, str], int | None]
"""From a sector and what differs in it (`Difference.what`) to a line, from 1; None where no line says it."""

_SOURCE = {"code": "source", "bot-path": "bot_path", "command": "command", "python": "python"}
"""What differs in a bot's release, and the key of the bot that says it."""

_SECTOR = {"region": "region_name", "type": "type", "platform": "platform", "alarm": "alarm", "policies": "policies"}


def lines_of(root: Node, stage: str) -> LineOf:
    """The lines of the plan whose text is the tree `root`, for what differs in sectors of `stage`. What is reached by
    an alias or a merge key has the line at its anchor.
    """

    def line_of(sector: str, what: str) -> int | None:
        for path in _places(stage, sector, what):
            if _is_there(root, path):
                spot = locate(root, path)
                return (spot.key or spot.node).line
        return None

    return line_of


def _is_there(root: Node, path: Path) -> bool:
    node = root
    for step in path:
        if not isinstance(node, MappingNode) or step not in node.entries:
            return False
        node = node.entries[str(step)].node
    return True


def _places(stage: str, sector: str, what: str) -> Iterator[Path]:
    """Where a plan may say what differs, the nearest first."""
    box: Path = ("factory", "stages", stage, sector)
    kind, _, rest = what.partition(".")
    bot, _, name = rest.partition(".")
    match kind:
        case "bots" if bot:
            yield (*box, "bots", bot, name)
            yield (*box, "bots", bot, f"--{name}")
            yield (*box, "bots", bot, f"{name}-name")
            yield ("factory", "bots", bot, _SOURCE.get(name, ""))
            yield (*box, "bots", bot)
        case "config" | "secrets":
            key = re.split(r"[.\[]", name, maxsplit=1)[0]
            for owner in (
                (*box, "bots", bot), ("factory", "bots", bot), box, ("factory", "stages", stage), ("factory",)
            ):  # fmt: skip
                yield (*owner, kind, key)
                yield (*owner, kind)
        case "tags":
            yield (*box, "parameters", "Tags")
            yield ("factory", "tags", rest)
        case _:
            key = re.split(r"[.\[]", kind, maxsplit=1)[0]
            yield (*box, _SECTOR.get(key, ""))
            yield (*box, "parameters", key)
    yield box
