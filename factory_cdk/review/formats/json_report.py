"""A report as JSON: all of it, in the order of the dataclasses. `report.schema.json` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from factory_cdk.review.formats.values import as_values
from factory_cdk.review.model import FORMAT, Difference, LimitReport, Report, StageReport, WorkflowReport


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain dicts, lists, strings, numbers and None."""
    plain: dict[str, Any] = {"format": FORMAT}
    plain.update(_plain(report))
    return plain


def _plain(value: Any) -> Any:
    if names := _names(value.__class__):
        return {**{name: _plain(getattr(value, name)) for name in names}, **_derived(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass; none of another type."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def _derived(value: Any) -> dict[str, Any]:
    """What follows from the fields and spares a reader from working it out."""
    match value:
        case Report() | StageReport():
            return {"differs": value.differs}
        case Difference():
            return {"text": sentence(value)}
        case LimitReport():
            return {"share": round(value.share, 4)}
        case WorkflowReport():
            return {"changed": value.changed}
        case _:
            return {}


def sentence(found: Difference) -> str:
    """A difference in one sentence, its values whole."""
    texts = as_values(found.before, found.after)
    before, after = (
        "none" if one is None else text for one, text in zip((found.before, found.after), texts, strict=True)
    )
    values = f": {before} → {after}" if found.before is not None or found.after is not None else ""
    return f"{found.what}{values} ({found.why or found.effect})"
