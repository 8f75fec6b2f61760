"""F316 to F320 and their like: workflows of steps, refused at the place that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from plan_texts import AWS, LOCAL, Case, errors, load, prove

from factory_cdk.plan.load import read_plan
from factory_cdk.plan.schema.json_schema import json_schema
from factory_cdk.plan.stage import resolve_stage
from factory_cdk.runs.definition import from_plain
from factory_cdk.runs.graph import Recovery, Replay

STEPS = LOCAL.replace(
    "      first: second\n",
    "      steps:\n        read: {bot: first}\n        solve: {bot: second, needs: read}\n        last: {bot: first}\n",
)
"""A good plan with a workflow of steps."""

LAST = "last: {bot: first}"
SOLVE = "solve: {bot: second, needs: read}"


def case(title: str, code: str, change: str, named: str, hint: str = "", old: str = LAST) -> Case:
    return Case(title, code, old, change, (named,), hint, base=STEPS)


CASES = [
    case("an unknown key", "F316", "last: {bot: first, §need: read}", "unknown key `need` of the step `last`", "needs"),
    case("no bot", "F316", "§last: {with: 1}", "the step `last` has neither `bot` nor `steps`", "one of the two"),
    case(
        "a bot and steps", "F316", "§last: {bot: first, steps: {a: {bot: first}}}", "both `bot` and `steps`", "one of"
    ),
    case("no mapping", "F316", "§last: first", "must be a mapping, not the text `first`", "{bot: NAME}"),
    case("no steps in it", "F316", "last: {§steps: {}}", "`steps` of `last` is empty", "bot: NAME"),
    case("a bad name", "F316", "§or: {bot: first}", "invalid name `or` of a step"),
    case("a zero", "F316", "last: {bot: first, repeat: §0}", "`repeat` of `last` must be a whole number"),
    case("both", "F316", "last: {bot: first, for-each: [1], §repeat: 2}", "both `for-each` and `repeat`", "container"),
    case("alone", "F316", "last: {bot: first, §max-parallel: 2}", "has no effect without `for-each`", "remove it"),
    case("no list", "F316", "last: {bot: first, for-each: §a}", "must be a list or `$input.key`"),
    case("no time", "F316", "last: {bot: first, delay: §soon}", "`delay` of `last` must be a number", "units"),
    case("a policy", "F316", "last: {bot: first, on-failure: §go}", "must be `stop` or `continue`"),
    case("a replay", "F316", "last: {bot: first, recovery: {failed: §again}}", "must be `rerun` or `skip`"),
    case("a status", "F316", "last: {bot: first, recovery: {§done: skip}}", "unknown key `done` of `recovery`"),
    case("an amount", "F316", "last: {bot: first, acquire: {p: §-1}}", "`p` of `acquire` must be a whole number"),
    case("amounts", "F316", "last: {bot: first, acquire: §[p]}", "must be a mapping of pools", "{POOL: 1}"),
    case("no item", "F316", "last: {bot: first, with: {a: §$item}}", "`$item` refers to nothing", "for-each"),
    case("no such", "F316", "last: {bot: first, with: {a: §$x}}", "`$x` refers to nothing", "$$x"),
    case("of a container", "F316", "last: {§with: 1, steps: {a: {bot: first}}}", "it is a container", "steps in it"),
    case("a bot beside", "F316", f"{LAST}\n      §first: second", "and, beside it, the bot `first`", "split it"),
    case(
        "a key beside", "F316", f"{LAST}\n      §max: 2", "unknown key `max` of the workflow `flow`", "max-concurrent"
    ),
    case("an undefined bot", "F201", "last: {bot: §frist}", "undefined bot `frist` of the step `last`", "first"),
    case("a word", "F317", "last: {bot: first, needs: read §solve}", "`and` or `or` is missing before `solve`"),
    case("a word in quotes", "F317", "last: {bot: first, needs: 'read §& solve'}", "unexpected `&`"),
    case("an unknown status", "F317", "last: {bot: first, needs: read.§don}", "unknown status `don`"),
    case("a step", "F317", 'last: {bot: first, needs: "read or §solv.failed"}', "names `solv`", "solve"),
    case("in a list", "F317", "last: {bot: first, needs: [read, §1]}", "must be a condition, or a list of them"),
    case("a list of none", "F317", "last: {bot: first, needs: §[]}", "`needs` of `last` is empty", "remove"),
    case(
        "a cycle",
        "F302",
        "solve: {bot: second, needs: last}\n        last: {bot: first, needs: §solve}",
        "cycle in the steps of the workflow `flow`: `last` -> `solve` -> `last`",
        "not need",
        f"{SOLVE}\n        {LAST}",
    ),
    case("itself", "F302", "last: {bot: first, needs: §last}", "cycle in the steps", "not need"),
    case(
        "never", "F318", "last: {bot: first, needs: §solve and read.failed}", "can never hold: `solve and read.failed`"
    ),
    case(
        "never, as another",
        "F318",
        "other: {bot: first, needs: read.failed}\n        last: {bot: first, needs: §other and solve}",
        "what `last` needs can never hold",
        "",
    ),
    Case(
        "another sector",
        "F319",
        "workflow: flow",
        "workflow: §flow",
        ("it has no sector `box`, in which the step `last`",),
        "local sectors",
        base=STEPS.replace(LAST, "last: {bot: first, sector: box}"),
    ),
    Case(
        "no stage",
        "F319",
        "    flow:",
        "    §flow:",
        ("no stage can run the workflow `flow`: `test`: it has no sector `x`",),
        "local sectors",
        base=STEPS.replace(LAST, "last: {bot: first, sector: x}").replace("      workflow: flow\n", ""),
    ),
    case("no pool", "F320", "last: {bot: first, acquire: {§db: 1}}", "the stage `test` has none", "pools: {db: 1}"),
    Case(
        "a small pool",
        "F320",
        LAST,
        "last: {bot: first, acquire: {db: §3}}",
        ("which has 2 in the stage `test`",),
        "larger",
        base=STEPS.replace("      workflow: flow\n", "      workflow: flow\n      pools: {db: 2}\n"),
    ),
]


@pytest.mark.parametrize("one", CASES, ids=lambda one: f"{one.code}: {one.title}")
def test_a_workflow_of_steps_is_refused_at_what_is_wrong(one: Case, tmp_path: Path) -> None:
    prove(one, tmp_path)


def test_a_good_workflow_of_steps_says_nothing(tmp_path: Path) -> None:
    assert load(STEPS, tmp_path).diagnostics == ()


def test_a_stage_with_sectors_on_aws_cannot_run_steps(tmp_path: Path) -> None:
    plan = AWS.replace("  alarms:", "  workflows:\n    flow: {steps: {a: {bot: first}}}\n  alarms:", 1)
    found = errors(load(plan, tmp_path))
    assert [(one.code, "sectors on AWS" in one.message) for one in found] == [("F319", True)]


def test_a_bot_that_is_named_steps_is_one_of_a_workflow_as_before(tmp_path: Path) -> None:
    plan = LOCAL.replace("second:", "steps:").replace("first: second", "steps: first")
    loaded = load(plan, tmp_path)
    assert loaded.plan is not None
    assert loaded.plan.workflows["flow"].steps is None
    steps = plan.replace("      steps: first\n", "      steps: {a: {bot: first}}\n")
    assert any("a bot is named `steps`" in one.message for one in errors(load(steps, tmp_path)))


PROMISED = """\
factory:
  name: works
  bots:
    extract: {source: {path: .}, bot_path: b:f}
    load: {source: {path: .}, bot_path: b:f}
    render: {source: {path: .}, bot_path: b:f}
    send: {source: {path: .}, bot_path: b:f}
    mail: {source: {path: .}, bot_path: b:f}
    report: {source: {path: .}, bot_path: b:f}
  stages:
    prod:
      pools: {database: 2, licence: 5}
      box_1: {type: local, bots: {extract: , load: , render: , send: {queue-name: out}, mail: , report: }}
  workflows:
    nightly:
      max-concurrent: 8
      on-failure: stop
      steps:
        extract: {bot: extract, for-each: [a, b], max-parallel: 1, with: {table: $item}}
        load: {bot: load, needs: extract, acquire: {database: 2}}
        publish:
          needs: load
          repeat: 2
          steps:
            render: {bot: render, acquire: {licence: 1}, release: {}}
            send: {bot: send, needs: render, delay: 10m, sector: box_1}
        alert: {bot: mail, needs: "load.failed or extract.failed"}
        report: {bot: report, needs: "publish and alert.completed", recovery: {succeeded: rerun}}
"""


def test_all_that_can_be_said_of_steps_reaches_the_stage(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text(PROMISED)
    stage = resolve_stage(read_plan(tmp_path / "plan.yml"), "prod")
    assert stage.pools == {"database": 2, "licence": 5}
    definition = from_plain(stage.runs["nightly"])
    graph = definition.graph
    assert list(graph.placed) == ["extract", "load", "publish", "publish/render", "publish/send", "alert", "report"]
    assert (graph.max_concurrent, graph.on_failure.value) == (8, "stop")
    steps = {path: placed.step for path, placed in graph.placed.items()}
    assert (steps["extract"].items, steps["extract"].max_parallel) == (2, 1)
    assert (steps["publish"].repeat, str(steps["publish"].needs)) == (2, "load")
    assert (steps["publish/render"].acquire, steps["publish/render"].release) == ((("licence", 1),), ())
    assert steps["publish/send"].delay == 600
    assert str(steps["alert"].needs) == "load.failed or extract.failed"
    assert steps["report"].recovery == Recovery(succeeded=Replay.RERUN)
    assert definition.work["publish/send"] == {"bot": "send", "queue": "out", "given": None}
    assert (definition.items, definition.work["extract"]["given"]) == ({"extract": ["a", "b"]}, {"table": "$item"})


def test_the_json_schema_takes_the_promised_workflow_and_refuses_what_an_editor_can_see() -> None:
    validator = Draft202012Validator(json_schema())
    assert list(validator.iter_errors(yaml.safe_load(PROMISED))) == []
    seen = {case.title for case in CASES if list(validator.iter_errors(yaml.safe_load(case.marked.replace("§", ""))))}
    assert seen >= {"an unknown key", "a bad name", "a zero", "both", "no time", "a policy", "a replay", "an amount"}
    assert not seen & {"a word", "a step", "a cycle", "never", "no stage", "no pool", "a small pool"}
