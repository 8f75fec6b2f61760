"""What docs/review.md shows is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from factory_cdk.review.fail_on import REASONS
from factory_cdk.review.formats.json_report import as_json
from factory_cdk.review.model import Verdict

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "review.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab-review.yml").read_text(encoding="utf-8"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_workflow_is_one_and_uses_inputs_that_there_are() -> None:
    workflow = yaml.safe_load(blocks("yaml")[0])
    (*_, step) = workflow["jobs"]["review"]["steps"]
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert len(blocks("yaml")[0].splitlines()) == 10


def test_every_input_and_reason_and_verdict_has_a_row() -> None:
    for name in (*ACTION["inputs"], *(name for name in REASONS if name != "cost"), "cost=N"):
        assert f"| `{name}` |" in PAGE
    for name, text in REASONS.items():
        assert name == "cost" or f"| `{name}` | {text} |" in PAGE
    for verdict in Verdict:
        assert verdict is Verdict.UNCHANGED or f" {verdict} |" in PAGE


def test_the_job_of_gitlab_and_the_hooks_are_named_rightly() -> None:
    job = yaml.safe_load(blocks("yaml")[2])["factory-cdk-review"]
    assert set(job["variables"]) <= set(GITLAB["factory-cdk-review"]["variables"])
    (repository,) = yaml.safe_load(blocks("yaml")[3])["repos"]
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in hooks]


def test_the_json_has_keys_that_a_report_has() -> None:
    from reports import mixed

    shown = json.loads(blocks("json")[0])
    report = as_json(mixed())
    assert set(shown) <= set(report)
    assert set(shown["stages"][0]) <= set(report["stages"][1])
    sector = shown["stages"][0]["sectors"][0]
    assert set(sector) <= set(report["stages"][1]["sectors"][0])
    assert set(sector["why"][0]) == set(report["stages"][1]["sectors"][0]["why"][0])
