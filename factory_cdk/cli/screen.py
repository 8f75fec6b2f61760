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
        parts.append(_table(stage, size.width))
        lines = list(failures(stage))[:share]
        parts += [Text(f"  {printable(line)}", style="red", no_wrap=True, overflow="ellipsis") for line in lines]
        parts.append(Text())
    parts[-1] = Text("q ends", style="dim")
    return Group(*parts)


def _table(stage: StageView, width: int) -> Table:
    """The bots of a stage. The last column gives way first when there is no room for all."""
    rows = [[printable(str(cell)) for cell in cells(bot)] for bot in stage.bots]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)][:-1]
    fits = sum(widths) + 2 * len(widths) + len(COLUMNS[-1]) <= width
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column, needed in zip(COLUMNS, (*widths, 1), strict=True):
        table.add_column(
            column,
            justify="left" if column in _TEXT else "right",
            no_wrap=True,
            overflow="ellipsis",
            min_width=needed if fits else 1,
        )
    for bot, row in zip(stage.bots, rows, strict=True):
        texts = [Text(cell) for cell in row]
        texts[COLUMNS.index("state")].stylize(_STATES.get(bot.state, ""))
        for column in ("dead", "failed"):
            if getattr(bot, column):
                texts[COLUMNS.index(column)].stylize("red")
        table.add_row(*texts)
    return table
