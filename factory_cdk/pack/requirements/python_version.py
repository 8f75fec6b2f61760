"""The Python version that a bot's requirements are locked for."""

from __future__ import annotations

import re

from factory_cdk.plan.model import Bot, Plan

DEFAULT_PYTHON = "3.11"
"""The lowest Python that requirements are locked for where neither plan nor project names one: never the one
that happens to pack, so that every machine locks alike."""


def lowest_python(plan: Plan, bot: Bot) -> str | None:
    """The lowest Python version (`3.12`) that a plan names for a bot on any stage, or None."""
    named = [
        sector_bot.arguments.python or sector.python
        for stage in plan.stages.values()
        for sector in stage.sectors
        for sector_bot in sector.bots
        if sector_bot.name == bot.name
    ]
    found = (re.search(r"(?<![\d.])3\.(\d+)", str(version)) for version in named if version is not None)
    return min((f"3.{match[1]}" for match in found if match), key=_minor, default=None)


def default_python(floor: str | None) -> str:
    """The Python to lock for where the plan names none: DEFAULT_PYTHON, or the project's own `floor` if higher."""
    return max(DEFAULT_PYTHON, floor or DEFAULT_PYTHON, key=_minor)


def _minor(version: str) -> int:
    return int(version.partition(".")[2])
