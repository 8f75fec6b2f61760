"""SARIF 2.1.0: the parts that every reader needs, held against the specification's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic
from factory_cdk.lint.sarif import as_sarif

FOUND = tuple(
    Diagnostic(code, CODES[code].severity, f"about {code}", hint, file, line, column)
    for code, hint, file, line, column in (
        ("F705", "write `Encrypted: true`", "plans/my plan.yml", 12, 5),
        ("F720", None, "works-dev.template.json", 1, 1),
        ("F704", None, "plans/my plan.yml", 14, 7),
        ("F705", None, "plans/my plan.yml", 20, 5),
    )
)


def check_log(log: dict[str, Any]) -> dict[str, Any]:
    """Hold a log against what SARIF 2.1.0 requires of it; returns its run."""
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
