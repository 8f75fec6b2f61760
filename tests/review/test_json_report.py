"""A report's JSON is what the published schema says, and the schema says all of it."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from reports import EXAMPLES, HOSTILE, filled_with

from factory_cdk.review import model
from factory_cdk.review.formats.json_report import as_json
from factory_cdk.review.formats.schema import report_schema, written_schema
from factory_cdk.review.formats.schema_texts import DEFINED, DERIVED, PROPERTIES
from factory_cdk.review.model import Report

FILE = Path(model.__file__).with_name("report.schema.json")


def closed(schema: Any) -> Any:
    """`schema` with no further keys allowed in any of its objects."""
    found = deepcopy(schema)
    for one in (found, *found["$defs"].values()):
        if "properties" in one:
            one["additionalProperties"] = False
    return found


def test_the_published_schema_is_the_one_that_the_dataclasses_give() -> None:
    assert FILE.read_text(encoding="utf-8") == written_schema(), (
        "run: python -m factory_cdk.review.formats.schema > factory_cdk/review/report.schema.json"
    )


def test_the_schema_is_one_and_every_property_of_it_is_described() -> None:
    schema = report_schema()
    Draft202012Validator.check_schema(schema)
    for one in (schema, *schema["$defs"].values()):
        assert one["description"]
        for name, found in one.get("properties", {}).items():
            assert found["description"].endswith("."), name


def test_there_is_no_text_for_what_there_is_not() -> None:
    for kind, texts in PROPERTIES.items():
        assert [field.name for field in fields(getattr(model, kind))] == [*texts]
    assert {*PROPERTIES, *DERIVED, "Verdict", "Effect"} == {*DEFINED}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_json_of_a_report_is_valid_and_has_no_further_key(name: str) -> None:
    written = json.loads(json.dumps(as_json(EXAMPLES[name]())))
    Draft202012Validator(closed(report_schema())).validate(written)


def test_a_report_with_a_wrong_or_missing_key_is_not_valid() -> None:
    validator = Draft202012Validator(report_schema())
    good = as_json(EXAMPLES["mixed"]())
    assert validator.is_valid(good)
    assert validator.is_valid({**good, "added later": 1})
    assert not validator.is_valid({**good, "format": 2})
    assert not validator.is_valid({key: value for key, value in good.items() if key != "differs"})
    good["stages"][0]["sectors"][0]["verdict"] = "perhaps"
    assert not validator.is_valid(good)


def test_the_keys_are_those_that_are_documented() -> None:
    found = as_json(EXAMPLES["one-line"]())
    first = ["format", "plan", "factory", "before", "after", "version", "stages"]
    assert [*found] == [*first, "problems", "notes", "violations", "differs"]
    prod = found["stages"][1]
    assert (prod["name"], prod["verdict"], prod["differs"]) == ("prod", "restarted", True)
    assert prod["sectors"][0]["why"] == [
        {
            "what": "InstanceType",
            "before": "t3.small",
            "after": "t3.large",
            "effect": "restart",
            "why": "the instance stops, is changed and starts again",
            "line": 31,
            "text": "InstanceType: t3.small → t3.large (the instance stops, is changed and starts again)",
        }
    ]


def test_json_holds_what_was_written_unchanged() -> None:
    found = as_json(filled_with(HOSTILE))
    assert found["factory"] == found["notes"][0] == HOSTILE
    assert json.loads(json.dumps(found)) == found


def test_no_value_of_the_json_is_a_class_of_ours() -> None:
    def walk(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None))
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    report: Report = EXAMPLES["mixed"]()
    walk(as_json(report))
