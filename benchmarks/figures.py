"""Figures: what a benchmark measured, each beside its goal, as a table for a terminal or for the README."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured value. `unit` follows it (`s`, `x`, `ms`); `goal` is how large (or, for `at_least`, how small) it
    may be, None where there is no goal; `beside` says what a ratio is a ratio to, or what else a reader must know.
    """

    what: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    beside: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def shown(self) -> str:
        """The value as people read it."""
        return f"{_number(self.value)}{'' if self.unit in ('x', '%') else ' '}{self.unit}"

    @property
    def wanted(self) -> str:
        """The goal as people read it, and whether it is met."""
        if self.goal is None:
            return ""
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {_number(self.goal)}{'' if self.unit in ('x', '%') else ' '}{self.unit}, " + (
            "met" if self.met else "**missed**"
        )


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def machine() -> str:
    """The machine's size, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def as_text(figures: Iterable[Figure]) -> str:
    """A table for a terminal."""
    rows = [(figure.what, figure.shown, figure.wanted.replace("**", ""), figure.beside) for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{what:{widths[0]}}  {shown:>{widths[1]}}  {wanted:{widths[2]}}  {beside}".rstrip()
        for what, shown, wanted, beside in rows
    )


def as_markdown(figures: Iterable[Figure]) -> str:
    """A table for the README."""
    lines = ["| | measured | goal | |", "|---|---:|---|---|"]
    lines += [f"| {figure.what} | {figure.shown} | {figure.wanted} | {figure.beside} |" for figure in figures]
    return "\n".join(lines)


def write_json(path: Path, figures: Sequence[Figure]) -> None:
    """Keep `figures` in a file that `read_json` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> list[Figure]:
    """The figures that `write_json` kept."""
    return [Figure(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
