"""The JSON Schema of a report's JSON, made from the dataclasses, so that it says what there is.

`python -m factory_cdk.review.formats.schema` prints it; `factory_cdk/review/report.schema.json` is what it printed.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from factory_cdk.review import model
from factory_cdk.review.formats.schema_texts import DEFINED, DERIVED, PROPERTIES
from factory_cdk.review.model import FORMAT, Report

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_NUMBERS = {bool: "boolean", int: "integer", float: "number", str: "string"}


def report_schema() -> dict[str, Any]:
    """The schema. A key may be added to a report without a new `format`, so that further keys are allowed."""
    defined: dict[str, Any] = {}
    root = _object(Report, defined)
    number = {"const": FORMAT, "description": "The version of this format; it grows when a key changes or goes."}
    root["properties"] = {"format": number, **root["properties"]}
    root["required"] = ["format", *root["required"]]
    return {
        "$schema": DRAFT,
        "title": "A review of factory_cdk",
        **root,
        "$defs": dict(sorted(defined.items())),
    }


def _object(kind: Any, defined: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, vars(model))
    said = PROPERTIES[kind.__name__]
    found = {
        field.name: {**_schema(hints[field.name], defined), "description": said[field.name]} for field in fields(kind)
    }
    found.update(DERIVED.get(kind.__name__, {}))
    return {"type": "object", "description": DEFINED[kind.__name__], "properties": found, "required": [*found]}


def _schema(hint: Any, defined: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type among those that the dataclasses have."""
    if hint == get_type_hints(model.Difference, vars(model))["before"]:
        return {}  # any JSON
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (_schema(one, defined) for one in arguments if one is not type(None))
        return {"anyOf": [inner, {"type": "null"}]} if "$ref" in inner else {**inner, "type": [inner["type"], "null"]}
    if origin is tuple:
        return _array(arguments, defined)
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1], defined)}
    if hint in _NUMBERS:
        return {"type": _NUMBERS[hint]}
    name = hint.__name__
    if name not in defined:
        defined[name] = {}  # it may refer to itself
        if issubclass(hint, StrEnum):
            defined[name] = {"enum": [str(one) for one in hint], "description": DEFINED[name]}
        elif is_dataclass(hint):
            defined[name] = _object(hint, defined)
        else:
            raise TypeError(f"no JSON Schema for {hint!r}")
    return {"$ref": f"#/$defs/{name}"}


def _array(arguments: tuple[Any, ...], defined: dict[str, Any]) -> dict[str, Any]:
    if arguments[-1] is Ellipsis:
        return {"type": "array", "items": _schema(arguments[0], defined)}
    count = len(arguments)
    return {"type": "array", "items": _schema(arguments[0], defined), "minItems": count, "maxItems": count}


def written_schema() -> str:
    """The schema as the file has it."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(written_schema(), end="")
