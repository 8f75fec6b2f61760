"""`top` on a screen: a table for every stage, then the last failures, cut to what there is room for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import ConsoleDimensions, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from factory_cdk.cli.output.top_rows import COLUMNS, LEAST_WANTED, cells, failures, title
from factory_cdk.columns import GAP, columns_of, fitting
from factory_cdk.plain_text import printable
from factory_cdk.views.overview import BotView, StageView

_STATES = {
    "busy": "green", "ready": "cyan", "starting": "yellow", "waiting": "yellow", "stopping": "yellow",
    "stopped": "dim", "ended": "dim", "gone": "red", "broken": "bold red",
}  # fmt: skip
_STAGE_STATES = {"running": "bold green", "killed": "bold red", "unfinished": "bold red"}
_TEXT = ("sector", "bot", "state", "status")


def draw(stages: Sequence[StageView], size: ConsoleDimensions) -> RenderableType:
    """Everything as one renderable, at most as high as the screen. User text is never read as markup."""
    if not stages:
        return Text("nothing is built here; q ends")
    rows = max(1, size.height // len(stages) - 4)  # of a stage, when there are too many
    room = size.height - 1 - sum(min(rows, len(stage.bots)) + 4 for stage in stages)
    failed = sum(bool(stage.failures) for stage in stages)
    share = max(0, room // failed) if failed else 0
    parts: list[RenderableType] = []
    for stage in stages:
        parts.append(Text(printable(title(stage)), style=_STAGE_STATES.get(stage.state, "bold yellow"), no_wrap=True))
        parts.append(_table(stage.bots[:rows], size.width))
        if len(stage.bots) > rows:
            parts.append(Text(f"  … {len(stage.bots) - rows} more bots: --once prints all", style="dim", no_wrap=True))
        lines = list(failures(stage))[:share]
        parts += [Text(f"  {printable(line)}", style="red", no_wrap=True, overflow="ellipsis") for line in lines]
        parts.append(Text())
    parts[-1] = Text("q ends", style="dim")
    return Group(*parts)


def _table(bots: Sequence[BotView], width: int) -> Table:
    """Bots, in the columns that there is room for; names are cut only when all others are out."""
    columns = columns_of(COLUMNS, map(cells, bots))
    shown = fitting(
        columns, width, shrinks=("status",), least=len("status"), spare=LEAST_WANTED, last=("bot",), least_of_last=1
    )
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for column in shown:
        justify: JustifyMethod = "left" if column.name in _TEXT else "right"
        table.add_column(column.name, justify=justify, no_wrap=True, overflow="ellipsis", width=column.width)
    for number, bot in enumerate(bots):
        table.add_row(*(_cell(column.name, bot, column.cells[number]) for column in shown))
    return table


def _cell(column: str, bot: BotView, text: str) -> Text:
    if column == "state":
        return Text(text, style=_STATES.get(bot.state, ""))
    return Text(text, style="red" if column in ("dead", "failed") and text != "0" else "")
