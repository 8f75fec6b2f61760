"""`top` on a screen: a table for every stage, then the last failures, cut to what there is room for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from factory_cdk.cli.output.report import printable
from factory_cdk.cli.output.top_rows import COLUMNS, LEAST_WANTED, cells, failures, title
from factory_cdk.views.overview import BotView, StageView

_STATES = {
    "busy": "green", "ready": "cyan", "starting": "yellow", "waiting": "yellow", "stopping": "yellow",
    "stopped": "dim", "ended": "dim", "gone": "red", "broken": "bold red",
}  # fmt: skip
_STANDINGS = {"running": "bold green", "killed": "bold red", "unfinished": "bold red"}
_TEXT = ("sector", "bot", "state", "status")

_GAP = 2


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
        parts.append(Text(printable(title(stage)), style=_STANDINGS.get(stage.state, "bold yellow"), no_wrap=True))
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
    rows = [[printable(str(cell)) for cell in cells(bot)] for bot in bots]
    texts = {name: [row[number] for row in rows] for number, name in enumerate(COLUMNS)}
    needed = {name: max(map(len, (name, *column))) for name, column in texts.items()}
    needed["status"] = len("status")
    for name in LEAST_WANTED:
        if sum(needed.values()) + _GAP * (len(needed) - 1) <= width:
            break
        del needed[name]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for name, least in needed.items():
        table.add_column(
            name,
            justify="left" if name in _TEXT else "right",
            no_wrap=True,
            overflow="ellipsis",
            min_width=1 if name == "bot" else least,
        )
    for number, bot in enumerate(bots):
        table.add_row(*(_cell(name, bot, texts[name][number]) for name in needed))
    return table


def _cell(column: str, bot: BotView, text: str) -> Text:
    if column == "state":
        return Text(text, style=_STATES.get(bot.state, ""))
    return Text(text, style="red" if column in ("dead", "failed") and text != "0" else "")
