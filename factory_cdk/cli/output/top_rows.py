"""What `top` says of stages, bots and failures, as lines and rows."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.views.overview import BotView, StageView

COLUMNS = (
    "sector", "bot", "state", "busy", "workers", "waiting", "in hand", "dead", "done", "failed", "jobs/s", "failures/s",
    "restarts", "status",
)  # fmt: skip
LEAST_WANTED = ("failures/s", "restarts", "in hand", "sector", "workers", "jobs/s", "done", "status", "failed")
"""Columns in the order in which they are left out where the screen is too narrow."""


def title(stage: StageView) -> str:
    """A stage in one line."""
    runner = f", runner {stage.runner}" if stage.runner else ""
    trouble = f": {stage.trouble}" if stage.trouble else ""
    return f"{stage.factory}/{stage.stage} {stage.state}{runner}{trouble}"


def cells(bot: BotView) -> tuple[object, ...]:
    """A bot as a row under COLUMNS."""
    return (
        bot.sector, bot.bot, bot.state, bot.busy, bot.workers, bot.waiting, bot.leased, bot.dead, bot.done, bot.failed,
        f"{bot.rate:.1f}", f"{bot.failure_rate:.1f}", bot.restarts, "; ".join(bot.said),
    )  # fmt: skip


def failures(stage: StageView) -> Iterator[str]:
    """The last failed attempts, a line for each."""
    for failed in stage.failures:
        last = failed.failure
        end = "dead" if failed.dead else f"attempt {last.attempt}"
        yield " ".join(f"{failed.bot} {failed.job} {end}: {last}".split())
