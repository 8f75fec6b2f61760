"""Plans that nobody means well with: every input gets an answer, in time that grows with its size alone."""

from __future__ import annotations

import copy
import gc
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_texts import AWS, LOCAL, load

from factory_cdk.cli.output.report import as_github, as_text, lines_to_show
from factory_cdk.design.designing import design_stage
from factory_cdk.diagnostics import PlanError, Severity
from factory_cdk.plan.load import Loaded, load_plan
from factory_cdk.plan.stage import resolve_stage
from factory_cdk.plan.yaml.text import split_lines

REFERENCE = (Path(__file__).parents[2] / "plans" / "reference" / "factory-plan.yml").read_text(encoding="utf-8")

EVERYTHING = """\
x-common: &common {processes: 2, batch: 5}
factory:
  name: demo
  config: {LEVEL: info, SIZE: 3}
  secrets: [TOKEN]
  bots:
    a:
      source: {url: 'https://h/r', branch: main, depth: 1, subdirectory: x}
      bot_path: w.x:f
      requirements_path: r.txt
      config: {LEVEL: debug}
    b: {source: {path: .}, command: [./run, it], secrets: {KEY: {secret: prod/key, key: K}}}
    c: {source: {pypi: 'tool[fast]', version: '>=1'}, bot_path: 'w:g'}
  stages:
    prod:
      workflow: flow
      home_region: eu-west-1
      protect: true
      config: {LEVEL: warning}
      box: &box
        type: aws
        platform: windows
        python: 3.12
        region_name: eu-west-2
        alarm: idle
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro
          Tags: [{Key: a, Value: b}]
          NetworkInterfaces: [{DeviceIndex: 0, GroupSet: [sg-01234567]}]
        secrets: {OTHER: {env: MINE}}
        bots:
          a: {<<: *common, queue-name: jobs}
          b: {p: 3, workflow: [c]}
      box2: {<<: *box, region_name: eu-west-1}
      here: {type: local, bots: {c: {timeout: 60, max-attempts: 2, meta: {x: 1}}}}
  workflows:
    flow: [{a: [b, {c: }]}]
  alarms:
    idle: &alarm
      MetricName: CPUUtilization
      Namespace: AWS/EC2
      Statistic: Average
      Period: 60
      EvaluationPeriods: 10
      ComparisonOperator: LessThanThreshold
      Threshold: '5'
      AlarmActions: [terminate]
  meta: {owner: me, list: [1, {two: 2}]}
  tags: {team: cfd}
  debug: {demolish_on_failure: false}
"""
PLANS = [REFERENCE, EVERYTHING, LOCAL, AWS]

FOLDER = tempfile.TemporaryDirectory(prefix="plans-")


def hold_what_is_promised(text: str) -> Loaded:
    """Load `text` as a plan and check everything that holds for every plan."""
    file = Path(FOLDER.name, "plan.yml")
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    loaded = load_plan(file)
    lines = split_lines(text)
    for found in loaded.diagnostics:
        assert 1 <= found.line <= len(lines), found
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1, found
        assert found.message and len(found.message) < 2000 and "\n" not in found.message
        assert json.loads(json.dumps(found.as_json())) == found.as_json()
        shown = as_text(found, lines_to_show(loaded.text, loaded.diagnostics) if loaded.text else None)
        assert all(line.isprintable() for line in shown.split("\n"))
        assert as_github(found).isprintable()
    refused = any(found.severity is Severity.ERROR for found in loaded.diagnostics)
    assert refused == (loaded.plan is None)
    for name in loaded.plan.stages if loaded.plan else ():
        _design(loaded, name)
    return loaded


def _design(loaded: Loaded, name: str) -> None:
    assert loaded.plan is not None
    try:
        design = design_stage(resolve_stage(loaded.plan, name, region="eu-west-2"))
    except PlanError as error:  # limits that only a stage can meet
        assert all(found.code in ("F506", "F511", "F602", "F603", "F604", "F401") for found in error.diagnostics)
    else:
        assert design.stage == name
        json.dumps([resource.properties for stack in design.stacks for resource in stack.resources])


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 50),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["a", "b", "my_bot_1", "flow_1", "local", "aws", "eu-west-2", "", "no", "${Token[X.1]}", "x" * 100]
    ),
    st.sampled_from(["\x1b[31m", "a\nb", "{{resolve:ssm:/a}}", "-x", "ext::sh", "..", "/", "a:b", "*", "\u202e", "\0"]),
)
KNOWN_KEYS = """\
bots stages source url path pypi version branch type parameters workflow alarm config secrets tags meta processes -p
--queue-name q command bot_path python workflows alarms name region_name home_region debug Tags Metrics Dimensions env
AlarmActions NetworkInterfaces timeout my_bot_1 my_bot_2 a b factory x-y Ref <<
"""
KEYS = st.one_of(st.sampled_from(KNOWN_KEYS.split()), st.text(max_size=10))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def nodes(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything below `data`."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield (*at, key)
        yield from nodes(value, (*at, key))


def mutated(data: Any, draw: st.DrawFn) -> Any:
    """`data` with one node deleted, replaced, renamed, moved or given a neighbour."""
    data = copy.deepcopy(data)
    paths = list(nodes(data))
    if not paths:
        return draw(VALUES)
    *above, key = draw(st.sampled_from(paths))
    parent = data
    for step in above:
        parent = parent[step]
    how = draw(st.sampled_from(["delete", "replace", "rename", "copy", "add"]))
    if how == "delete":
        del parent[key]
    elif how == "replace":
        parent[key] = draw(VALUES)
    elif how == "copy":
        source = data
        for step in draw(st.sampled_from(paths)):
            source = source[step] if not isinstance(source, str) else source
        parent[key] = copy.deepcopy(source)
    elif isinstance(parent, dict):
        parent[draw(KEYS)] = parent.pop(key) if how == "rename" else draw(VALUES)
    else:
        parent.insert(key, draw(VALUES))
    return data


@st.composite
def mutated_plans(draw: st.DrawFn) -> str:
    """The text of a good plan with one to four nodes changed."""
    data = yaml.safe_load(draw(st.sampled_from(PLANS)))
    for _ in range(draw(st.integers(1, 4))):
        data = mutated(data, draw)
    return yaml.dump(
        data, allow_unicode=draw(st.booleans()), default_flow_style=draw(st.sampled_from([None, False, True]))
    )


@st.composite
def damaged_texts(draw: st.DrawFn) -> str:
    """The text of a good plan with pieces cut out, doubled or put in."""
    text = draw(st.sampled_from(PLANS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        piece = draw(
            st.one_of(
                st.sampled_from(
                    ["", "  ", "\t", "\n", ": ", "- ", "*box", "&box ", "<<: *common", "{", "]", "'", '"', "|\n"]
                ),
                st.sampled_from(
                    ["!!python/name:os.system ", "? ", "#", "---\n", "...\n", "%YAML 1.1\n", "\r", "\x85", "\u2028"]
                ),
                st.just(text[start:end] * 2),
                st.text(max_size=6),
            )
        )
        text = text[:start] + piece + text[end:]
    return text


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(mutated_plans())
def test_a_plan_with_changed_nodes_is_answered(text: str) -> None:
    hold_what_is_promised(text)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(damaged_texts())
def test_a_plan_with_damaged_text_is_answered(text: str) -> None:
    hold_what_is_promised(text)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.text(), st.builds(lambda value: yaml.dump({"factory": value}, allow_unicode=True), VALUES)))
def test_any_text_is_answered(text: str) -> None:
    hold_what_is_promised(text)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    file = Path(FOLDER.name, "bytes.yml")
    file.write_bytes(data)
    assert load_plan(file).plan is None


@pytest.mark.parametrize("text", PLANS)
def test_the_plans_that_are_changed_are_good(text: str) -> None:
    assert hold_what_is_promised(text).plan is not None


def sectors(count: int) -> str:
    """A plan with `count` sectors of an instance with two bots each, all on one stage."""
    more = "".join(
        f"      box-{i}:\n        type: aws\n        region_name: eu-west-2\n"
        "        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}\n"
        f"        bots:\n          a: {{queue-name: a-{i}, config: {{A: b}}}}\n          b: {{queue-name: b-{i}}}\n"
        for i in range(count)
    )
    return f"""\
factory:
  name: demo
  bots: {{a: &b {{source: {{path: .}}, bot_path: 'w:f'}}, b: *b}}
  stages:
    prod:
      workflow: flow
{more}  workflows: {{flow: {{a: b}}}}
"""


def edges(count: int) -> str:
    """A plan whose workflow has `count` edges, a fan and a chain, with every bot on the stage."""
    half = count // 2
    names = [f"c{i}" for i in range(half + 1)]
    return f"""\
factory:
  name: demo
  bots: {{c0: &b {{source: {{path: .}}, bot_path: 'w:f'}}, {", ".join(f"{name}: *b" for name in names[1:])}}}
  stages: {{prod: {{workflow: flow, here: {{type: local, bots: {{{", ".join(f"{name}: " for name in names)}}}}}}}}}
  workflows:
    flow:
      - c0: [{", ".join(names[1:])}]
      - {{{", ".join(f"{one}: {two}" for one, two in pairwise(names[1:]))}}}
"""


def outside(count: int) -> str:
    """A plan whose workflow has `count` edges to bots that nothing defines."""
    return LOCAL + "".join(f"      x{i}: [y{i}, second]\n" for i in range(count // 2))


def misspelled(count: int) -> str:
    """A plan with `count` keys that nobody knows, in several places."""
    many = ", ".join(f"procses{i}: 1" for i in range(count // 2))
    return LOCAL.replace("          first:\n", f"          first: {{{many}}}\n").replace(
        "type: local", f"type: local\n        x: {{{many}}}"
    )


def bad_sectors(count: int) -> str:
    """A plan with `count` sectors without anything."""
    return LOCAL.replace("  workflows:", "".join(f"      s{i}: {{}}\n" for i in range(count)) + "  workflows:")


def on_one_line(count: int) -> str:
    """A plan on a single line with `count` unknown keys."""
    return "{factory: {" + ", ".join(f"k{i}: 1" for i in range(count)) + "}}"


def stages(count: int) -> str:
    """A plan with `count` stages that share a workflow."""
    more = "".join(
        f"    t{i}: {{workflow: flow, x: {{type: local, bots: {{first: , second: }}}}}}\n" for i in range(count)
    )
    return LOCAL.replace("  workflows:", more + "  workflows:")


def cpu_seconds(text: str, folder: Path) -> float:
    """The processor time that loading takes, the best of three."""
    taken = []
    for _ in range(3):
        gc.collect()
        start = time.process_time()
        load(text, folder)
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "count"),
    [
        (sectors, 250),
        (edges, 2500),
        (outside, 2500),
        (misspelled, 1000),
        (bad_sectors, 500),
        (on_one_line, 1000),
        (stages, 500),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_time_grows_with_the_size_of_a_plan_and_not_faster(make: Any, count: int, tmp_path: Path) -> None:
    """Processor time of two sizes, not seconds: a plan four times as large may take ten times as long, which
    leaves room for noise; what is quadratic takes sixteen.
    """
    small, large = cpu_seconds(make(count), tmp_path), cpu_seconds(make(4 * count), tmp_path)
    assert large < 10 * small


def test_a_thousand_sectors_are_loaded_and_resolved(tmp_path: Path) -> None:
    loaded = load(sectors(1000), tmp_path)
    assert loaded.plan is not None
    stage = resolve_stage(loaded.plan, "prod")
    assert len(stage.sectors) == 1000
    assert all(bot.successors[0].sector == bot.sector for bot in stage.stage_bots if bot.bot.name == "a")


def dense(bots: int) -> str:
    """A plan whose workflow feeds every bot from every bot before it."""
    names = [f"c{number}" for number in range(bots)]
    fans = "".join(f"      {name}: [{', '.join(names[at + 1 :])}]\n" for at, name in enumerate(names[:-1]))
    return f"""\
factory:
  name: demo
  bots: {{c0: &b {{source: {{path: .}}, bot_path: 'w:f'}}, {", ".join(f"{name}: *b" for name in names[1:])}}}
  stages: {{prod: {{workflow: flow, here: {{type: local, bots: {{{", ".join(f"{name}: " for name in names)}}}}}}}}}
  workflows:
    flow:
{fans}"""


@pytest.mark.slow
def test_a_workflow_of_100_000_edges_is_loaded_and_resolved(tmp_path: Path) -> None:
    loaded = load(dense(448), tmp_path)
    assert loaded.plan is not None
    stage = resolve_stage(loaded.plan, "prod")
    assert len(loaded.plan.workflows["flow"].edges) == sum(len(bot.successors) for bot in stage.stage_bots) == 100_128
    assert stage.demolish_order == tuple(f"c{number}" for number in range(448))


@pytest.mark.parametrize(
    "bot", ['bot_path: "w:f", config: {A: "a\\0b"}', 'command: [tr, "a\\0b"]', 'command: "tr a\\0b"']
)
def test_a_nul_where_the_system_takes_none_is_refused_at_its_place(bot: str, tmp_path: Path) -> None:
    text = LOCAL.replace("  bots:\n", f"  bots:\n    nul: {{source: {{path: .}}, {bot}}}\n", 1)
    (found,) = [one for one in load(text, tmp_path).diagnostics if one.severity is Severity.ERROR]
    assert found.code == "F114"
    assert "U+0000" in found.message
