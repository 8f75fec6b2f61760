"""What a run is made of when it is begun, and what a recovery is told, before any of it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.runs import _only, definition_of, value_of
from factory_cdk.runs.conditions import parse
from factory_cdk.runs.definition import Definition, from_json, to_json
from factory_cdk.runs.graph import Graph, OnFailure, Recovery, Replay, Step
from factory_cdk.runs.state import Key
from factory_cdk.runs.store import StepRecord
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json, spec_from_json

INNER = Step("each", items=0, max_parallel=2, on_failure=OnFailure.CONTINUE)
GRAPH = Graph((Step("box", parse("first.failed or first"), (INNER,), repeat=2), Step("first", delay=1.5)), 3)


def spec(items: Any, given: Any = None, graph: Graph = GRAPH) -> RunnerSpec:
    leaves = [path for path, placed in graph.placed.items() if not placed.step.steps]
    work = {path: {"bot": "b", "queue": "q", "given": given} for path in leaves}
    definition = json.loads(to_json(Definition(graph, work, {"box/each": items})))
    return RunnerSpec("works", "test", (), (), workflows={"flow": definition}, pools={"licence": 2})


def test_items_are_those_of_the_plan_or_what_the_run_is_given() -> None:
    assert definition_of(spec(["a", "b"]), "flow", None).graph.placed["box/each"].step.items == 2
    found = definition_of(spec("$input.tables"), "flow", {"tables": [1, 2, 3]})
    assert (found.graph.placed["box/each"].step.items, found.items) == (3, {"box/each": [1, 2, 3]})


@pytest.mark.parametrize(
    ("items", "given", "got", "message"),
    [
        ("$input.tables", None, None, "`for-each` of the step box/each is \\$input.tables, which the run is not given"),
        ("$input.tables", None, {"tables": 3}, "is no list"),
        (["a"], {"x": "$input.day"}, {}, "refers to \\$input.day, which is not there"),
        ([{"t": 1}, {}], {"x": "$item.t"}, None, "refers to \\$item.t, which is not there"),
    ],
)
def test_what_is_not_there_is_refused_before_the_run_begins(
    items: Any, given: Any, got: Mapping[str, Any] | None, message: str
) -> None:
    graph = Graph((Step("box", None, (INNER,)),))
    with pytest.raises(FactoryError, match=message):
        definition_of(spec(items, given, graph), "flow", got)


def test_a_definition_is_the_same_after_it_was_text() -> None:
    full = Step(
        "full",
        parse("first and (first.ready or first.skipped)"),
        acquire=(("a", 1), ("b", 2)),
        release=(),
        recovery=Recovery(succeeded=Replay.RERUN, failed=Replay.SKIP),
    )
    definition = Definition(
        Graph((*GRAPH.steps, full), None, OnFailure.CONTINUE), {"first": {"bot": "b"}}, {"box/each": []}
    )
    again = from_json(to_json(definition))
    assert to_json(again) == to_json(definition)
    assert [str(one.step.needs) for one in again.graph.placed.values()] == [
        str(one.step.needs) for one in definition.graph.placed.values()
    ]


def test_a_spec_keeps_its_workflows_and_one_without_is_read_too() -> None:
    written = spec_as_json(spec(["a"]))
    again = spec_from_json(json.loads(json.dumps(written)))
    assert (again.workflows, again.pools) == (spec(["a"]).workflows, {"licence": 2})
    del written["workflows"], written["pools"]
    assert spec_from_json(json.loads(json.dumps(written))).workflows == {}


def record(path: str, iteration: str, status: str) -> StepRecord:
    return StepRecord(path, iteration, status, "", 1, None, None, None)


STEPS = [
    record("box", "1", "failed"),
    record("box/each", "1.1.1", "failed"),
    record("box/each", "1.1.2", "succeeded"),
    record("box/each", "1.2.1", "failed"),
    record("first", "1", "failed"),
]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("box/each",), {("box/each", "1.1.1"), ("box/each", "1.2.1")}),
        (("box/each:1.2.1",), {("box/each", "1.2.1")}),
        (("failed",), {("box/each", "1.1.1"), ("box/each", "1.2.1"), ("first", "1")}),
        (("first", "box/each:1.1.1"), {("first", "1"), ("box/each", "1.1.1")}),
    ],
)
def test_only_names_steps_items_or_all_that_failed(words: tuple[str, ...], named: set[tuple[str, str]]) -> None:
    assert _only(GRAPH, STEPS, words) == {Key(*one) for one in named}


@pytest.mark.parametrize("word", ["box/each:1.1.2", "other", "box"])
def test_only_refuses_what_has_not_failed(word: str) -> None:
    with pytest.raises(FactoryError):
        _only(GRAPH, STEPS, (word,))


def test_a_value_is_json_where_it_is_that() -> None:
    assert [value_of(text) for text in ("3", '"3"', "people", "[1]")] == [3, "3", "people", [1]]
