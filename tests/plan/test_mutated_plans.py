"""One mutation of a valid plan is valid, or refused where it is; never a traceback, and what is valid synthesizes."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from compiled_stages import compiled
from generated_plans import examples
from hypothesis import given, note
from hypothesis import strategies as st
from mutated_plans import Plan, mutations
from reported_places import misplaced
from written_plans import written_plans

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Severity
from factory_cdk.plan.load import load_plan
from factory_cdk.plan.yaml.text import split_lines

MUTATIONS, SYNTHESIZED = 25, 2
"""How many mutations of each plan are tried, and how many of the valid ones are synthesized."""


@pytest.mark.slow
@examples(30)
@given(written_plans(), st.integers(0, 2**32))
def test_a_mutated_plan_synthesizes_or_is_refused_where_it_was_mutated(
    case: tuple[dict[str, Any], str], seed: int
) -> None:
    plan = Plan(case[1].removeprefix("\ufeff"))
    valid = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "factory-plan.yml"
        for number, mutation in enumerate(islice(mutations(plan, seed), MUTATIONS)):
            file.write_bytes(mutation.text.encode())
            loaded = load_plan(file)
            lines = split_lines(mutation.text)
            errors = [one for one in loaded.diagnostics if one.severity is Severity.ERROR]
            for one in loaded.diagnostics:
                assert one.code in CODES and one.message and "\n" not in one.message
                assert 1 <= one.line <= len(lines) and 1 <= one.column <= len(lines[one.line - 1]) + 1, one
            astray = [one for one in errors if misplaced(plan, mutation, one)]
            assert not astray, f"{astray} after {mutation.what} at line {mutation.lines[0]} of\n{mutation.text}"
            assert (loaded.plan is None) == bool(errors)
            if loaded.plan is not None and valid < SYNTHESIZED:
                valid += 1
                note(mutation.text)
                for stage_number, stage in enumerate(loaded.plan.stages):
                    compiled(loaded.plan, stage, folder / f"cdk.out{number}-{stage_number}")
