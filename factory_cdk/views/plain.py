"""Rows as plain data, for JSON."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def as_json(row: Any) -> Any:
    """A row as JSON has it: a mapping of its fields, in their order, and of rows in it the same.

    What is JSON already, a payload for one, is passed on: `dataclasses.asdict` would copy it, level by level, and ends
    where a payload is nested deeper than Python recurses.
    """
    if is_dataclass(row):
        return {field.name: as_json(getattr(row, field.name)) for field in fields(row)}
    return [as_json(one) for one in row] if isinstance(row, tuple) else row
