"""`top` on a screen: a table for every stage, then the last failures, cut to what there is room for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from factory_cdk.cli.report import printable
from factory_cdk.cli.toprows import COLUMNS, cells, failures, title
from factory_cdk.local.overview import StageView

_STATES = {
    "busy": "green", "ready": "cyan", "starting": "yellow", "waiting": "yellow", "stopping": "yellow",
    "stopped": "dim", "ended": "dim", "gone": "red", "broken": "bold red",
}  # fmt: skip
_STANDINGS = {"running": "bold green", "killed": "bold red", "unfinished": "bold red"}
_TEXT = ("sector", "bot", "state", "status")


def draw(stages: Sequence[StageView], size: ConsoleDimensions) -> RenderableType:
    """Everything as one renderable, at most as high as the screen. User text is never read as markup."""
    if not stages:
        return Text("nothing is built here; q ends")
    room = size.height - 1 - sum(len(stage.bots) + 3 for stage in stages)
    failed = sum(bool(stage.failures) for stage in stages)
    share = max(0, room // failed) if failed else 0
    parts: list[RenderableType] = []
    for stage in stages:
        parts.append(Text(printable(title(stage)), style=_STANDINGS.get(stage.standing, "bold yellow"), no_wrap=True))
        parts.append(_table(stage))
        lines = list(failures(stage))[:share]
        parts += [Text(f"  {printable(line)}", style="red", no_wrap=True, overflow="ellipsis") for line in lines]
        parts.append(Text())
    parts[-1] = Text("q ends", style="dim")
    return Group(*parts)


def _table(stage: StageView) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    for column in COLUMNS:
        table.add_column(
            column, justify="left" if column in _TEXT else "right", no_wrap=True, overflow="ellipsis", min_width=1
        )
    for bot in stage.bots:
        row = [Text(printable(str(cell))) for cell in cells(bot)]
        row[COLUMNS.index("state")].stylize(_STATES.get(bot.state, ""))
        for column in ("dead", "failed"):
            if getattr(bot, column):
                row[COLUMNS.index(column)].stylize("red")
        table.add_row(*row)
    return table
