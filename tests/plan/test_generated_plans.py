"""Every valid plan becomes stacks: it synthesizes with the real CDK as it was written, and passes cfn-lint.

`FACTORY_CDK_SOAK=20 pytest tests/plan/test_generated_plans.py` tries twenty times as many plans, other ones every time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from compiled_stages import as_written, compiled, lint_errors
from generated_plans import examples
from hypothesis import given, note
from written_plans import data_of, written, written_plans

from factory_cdk.diagnostics import Severity
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.load import load_plan
from factory_cdk.plan.yaml.compose import compose
from factory_cdk.plan.yaml.nodes import plain


@pytest.mark.slow
@examples(60)
@given(written_plans())
def test_a_plan_is_read_as_pyyaml_reads_it_however_it_is_spelled(case: tuple[dict[str, Any], str]) -> None:
    plan, text = case
    note(text)
    assert data_of(text) == plan
    findings = Findings("plan.yml")
    root = compose(text.removeprefix("\ufeff"), findings)
    assert root is not None, findings.diagnostics
    ours = {key: value for key, value in plain(root).items() if not key.startswith("x-anchor")}
    assert ours == plan and types(ours) == types(plan)


def types(value: Any) -> Any:
    """`value` with its scalars' types in their place: 1, 1.0 and true are equal, and not the same."""
    if isinstance(value, dict):
        return {key: types(value[key]) for key in sorted(value)}
    return [types(item) for item in value] if isinstance(value, list) else type(value)


@pytest.mark.slow
@examples(50)
@given(written_plans())
def test_every_valid_plan_synthesizes_as_it_was_written_and_passes_cfn_lint(case: tuple[dict[str, Any], str]) -> None:
    note(case[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "factory-plan.yml"
        file.write_bytes(case[1].encode())
        loaded = load_plan(file)
        assert [one for one in loaded.diagnostics if one.severity is Severity.ERROR] == []
        assert loaded.plan is not None
        for number, stage in enumerate(loaded.plan.stages):
            out = folder / f"cdk.out{number}"
            plan, design, templates = compiled(loaded.plan, stage, out)
            assert list(as_written(plan, templates)) == []
            assert list(lint_errors(design, out)) == []


@pytest.mark.slow
def test_an_anchor_that_is_asked_for_is_written_where_its_value_stood_before() -> None:
    bots = {name: {"source": {"path": "."}, "bot_path": "works:run"} for name in ("one", "two", "three")}
    plan: dict[str, Any] = {"factory": {"name": "demo", "bots": bots}}
    for seed in range(1000):
        assert data_of(written(plan, seed)) == plan, seed
