"""Plan and StagePlan: what a plan says with everything inherited filled in, and limits that only a stage meets."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from plan_texts import AWS, LOCAL, load

from factory_cdk.design.designing import design_stage
from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError, Severity
from factory_cdk.plan.load import load_plan, read_plan
from factory_cdk.plan.model import Plan, Platform, SecretReference, SectorType, StagePlan
from factory_cdk.plan.stage import find_stage, needs_region, resolve_stage

STAGE_CODES = {"F113", "F401", "F512", "F602", "F603", "F604", "F605", "F606"}
"""Codes that the tests below cause."""


def plan_of(text: str, folder: Path) -> Plan:
    loaded = load(text, folder)
    assert loaded.plan is not None, loaded.diagnostics
    return loaded.plan


def stage_of(text: str, folder: Path, name: str = "test", region: str | None = None) -> StagePlan:
    return resolve_stage(plan_of(text, folder), name, region=region)


def refusal(plan: Plan, stage: str, region: str | None = None) -> Diagnostic:
    """The first error with which resolving or designing the stage is refused."""
    with pytest.raises(PlanError) as refused:
        design_stage(resolve_stage(plan, stage, region=region))
    return next(found for found in refused.value.diagnostics if found.severity is Severity.ERROR)


def settings(config: str, at: str) -> str:
    """LOCAL with `config: {…}` at a level."""
    indent, anchor = {
        "factory": (2, "  bots:\n    first:"),
        "stage": (6, "      workflow: flow\n"),
        "sector": (8, "        type: local\n"),
        "bot": (6, "      bot_path: works:second\n"),
        "sector's bot": (12, "            processes: 2\n"),
    }[at]
    return f"{' ' * indent}{config}\n", anchor


LEVELS = ["factory", "stage", "sector", "bot", "sector's bot"]


def with_levels(levels: dict[str, str]) -> str:
    """LOCAL with settings at several levels."""
    text = LOCAL
    for level, config in levels.items():
        line, anchor = settings(config, level)
        assert text.count(anchor) == 1
        text = text.replace(anchor, line + anchor)
    return text


@pytest.mark.parametrize(("farther", "nearer"), combinations(range(5), 2))
def test_the_nearer_level_wins(farther: int, nearer: int, tmp_path: Path) -> None:
    """Factory, stage, sector, bot, and the sector's bot: what is about one bot is nearer to it than what a stage
    or a sector says to all of theirs, and what a sector says of one bot is nearest.
    """
    text = with_levels({LEVELS[farther]: "config: {A: far, B: far}", LEVELS[nearer]: "config: {A: near}"})
    first, second = stage_of(text, tmp_path).stage_bots
    assert second.config == {"A": "near", "B": "far"}
    assert first.config == {
        **({"A": "far", "B": "far"} if farther < 3 else {}),
        **({"A": "near"} if nearer < 3 else {}),
    }


def test_a_nearer_secret_replaces_a_config_value_and_the_other_way_round(tmp_path: Path) -> None:
    text = with_levels(
        {"factory": "config: {A: x}\n  secrets: {B: {env: MINE}}", "bot": "config: {B: y}\n      secrets: [A]"}
    )
    first, second = stage_of(text, tmp_path).stage_bots
    assert (first.config, first.secrets) == ({"A": "x"}, {"B": SecretReference(env="MINE")})
    assert (second.config, second.secrets) == ({"B": "y"}, {"A": SecretReference()})


def test_secrets_are_references_never_values(tmp_path: Path) -> None:
    arn = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:prod/token-AbCdEf"
    secrets = f"secrets: {{A: , B: {{env: MINE}}, C: {{profile: default, key: T}}, D: {{secret: '{arn}', key: T}}}}"
    plan = plan_of(with_levels({"factory": secrets}), tmp_path)
    assert plan.settings.secrets == {
        "A": SecretReference(),
        "B": SecretReference(env="MINE"),
        "C": SecretReference(profile="default", key="T"),
        "D": SecretReference(secret=arn, key="T"),
    }


def test_bot_arguments_are_taken_however_they_are_spelled(tmp_path: Path) -> None:
    text = LOCAL.replace(
        "            processes: 2\n",
        "            --processes: 3\n            -q: jobs\n            --skip-ini: true\n            stop: yes\n"
        "            timeout: 1.5\n            python: 3.10\n            max-attempts: 5\n            batch: 10\n"
        "            visibility-timeout: 30\n            launcher: qalx\n            entity-class: a.b:C\n"
        "            meta: {owner: me}\n            workflow: []\n",
    ).replace("      workflow: flow\n", "")
    arguments = plan_of(text, tmp_path).stages["test"].sectors[0].bots[1].arguments
    assert (arguments.processes, arguments.queue_name, arguments.skip_ini, arguments.stop) == (3, "jobs", True, True)
    assert (arguments.timeout, arguments.python, arguments.max_attempts, arguments.batch) == (1.5, "3.10", 5, 10)
    assert (arguments.visibility_timeout, arguments.launcher, arguments.entity_class) == (30, "qalx", "a.b:C")
    assert (arguments.meta, arguments.workflow) == ({"owner": "me"}, ())


def test_a_sectors_python_holds_for_its_bots_unless_they_name_one(tmp_path: Path) -> None:
    text = LOCAL.replace("type: local", "type: local\n        python: 3.10").replace("processes: 2", "python: 3.12.4")
    assert [bot.python for bot in stage_of(text, tmp_path).stage_bots] == ["3.10", "3.12.4"]


def test_a_command_is_a_list_or_a_line_that_no_shell_sees(tmp_path: Path) -> None:
    text = LOCAL.replace("bot_path: works:first", "command: ./solve 'a b' '$HOME;' id").replace(
        "bot_path: works:second", "command: [./solve, '$(id)', '']"
    )
    bots = plan_of(text, tmp_path).bots
    assert bots["first"].command == ("./solve", "a b", "$HOME;", "id")
    assert bots["second"].command == ("./solve", "$(id)", "")


def test_an_instance_gets_the_sectors_region_else_the_default(tmp_path: Path) -> None:
    silent = AWS.replace("        region_name: eu-west-2\n", "")
    assert stage_of(AWS, tmp_path, "prod", "us-east-1").sectors[0].region == "eu-west-2"
    assert stage_of(silent, tmp_path, "prod", "us-east-1").sectors[0].region == "us-east-1"
    assert not needs_region(find_stage(plan_of(AWS, tmp_path), "prod"))
    assert needs_region(find_stage(plan_of(silent, tmp_path), "prod"))


def test_no_region_at_all_is_refused_at_the_sector(tmp_path: Path) -> None:
    found = refusal(plan_of(AWS.replace("        region_name: eu-west-2\n", ""), tmp_path), "prod")
    assert (found.code, found.line, found.column) == ("F512", 9, 7)
    assert "`box`" in found.message and found.hint and "region_name" in found.hint


def test_a_default_region_that_does_not_exist_is_named(tmp_path: Path) -> None:
    plan = plan_of(AWS.replace("        region_name: eu-west-2\n", ""), tmp_path)
    with pytest.raises(FactoryError, match="unknown default region `eu-west-9`") as refused:
        resolve_stage(plan, "prod", region="eu-west-9")
    assert refused.value.remedy


def test_a_default_region_is_not_looked_at_where_none_is_needed(tmp_path: Path) -> None:
    assert stage_of(AWS, tmp_path, "prod", "nowhere").sectors[0].region == "eu-west-2"
    assert stage_of(LOCAL, tmp_path, "test", "nowhere").home_region is None


def test_a_default_region_in_another_partition_is_refused(tmp_path: Path) -> None:
    other = (
        "      far:\n        type: aws\n        parameters: {ImageId: a, InstanceType: a.b}\n        bots: {first: }\n"
    )
    found = refusal(plan_of(AWS.replace("  alarms:", other + "  alarms:"), tmp_path), "prod", "cn-north-1")
    assert found.code == "F506" and "`eu-west-2`" in found.message and "`cn-north-1`" in found.message


@pytest.mark.parametrize("home", ["eu-west-9", "xx-nowhere-1", "cn-north-1"])
def test_a_home_region_of_a_lock_that_the_stage_cannot_have_is_refused(home: str, tmp_path: Path) -> None:
    plan = plan_of(AWS, tmp_path)
    with pytest.raises(FactoryError, match=f"plan.lock keeps the queues of stage `prod` in `{home}`") as refused:
        resolve_stage(plan, "prod", home_region=home)
    assert refused.value.remedy
    assert resolve_stage(plan, "prod", home_region="us-east-1").home_region == "us-east-1"


def test_an_unknown_stage_is_refused_where_the_stages_are(tmp_path: Path) -> None:
    found = refusal(plan_of(LOCAL, tmp_path), "tset")
    assert (found.code, found.line, found.column) == ("F113", 10, 3)
    assert "`tset`" in found.message and found.hint == "did you mean `test`?"


def test_a_refused_plan_is_raised_with_everything_that_was_found(tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(LOCAL.replace("name: demo", "name: 1demo").replace("processes: 2", "processes: 0"))
    with pytest.raises(PlanError) as refused:
        read_plan(file)
    assert refused.value.diagnostics == load_plan(file).diagnostics
    assert str(refused.value).startswith(f"{file}:2: F106 ") and str(refused.value).endswith("(and 1 more)")


def test_an_unpacked_bot_is_a_warning_at_the_bot(tmp_path: Path) -> None:
    (found,) = design_stage(stage_of(AWS, tmp_path, "prod")).diagnostics
    assert (found.code, found.line, found.column) == ("F401", 4, 5)
    assert "`first`" in found.message and found.hint and "factory-cdk pack" in found.hint


def boxes(count: int) -> str:
    """AWS with `count` more sectors."""
    sectors = "".join(
        f"      box{i}: {{type: aws, region_name: eu-west-2, parameters: *p, bots: {{first: {{q: q{i}}}}}}}\n"
        for i in range(count)
    )
    return AWS.replace("parameters:", "parameters: &p").replace("  alarms:", sectors + "  alarms:")


def test_sectors_that_fill_several_stacks_are_a_warning_without_a_lock(tmp_path: Path) -> None:
    design = design_stage(stage_of(boxes(70), tmp_path, "prod"))
    found = next(one for one in design.diagnostics if one.code == "F605")
    assert "eu-west-2" in found.message and "stacks" in found.message and found.hint and "lock" in found.hint
    assert found.line == 9


@pytest.mark.slow
@pytest.mark.parametrize(("code", "says"), [("F602", "resources"), ("F603", "characters for")])
def test_a_sector_that_is_over_a_limit_is_refused_at_the_sector(code: str, says: str, tmp_path: Path) -> None:
    bots = "".join(
        f"    b{i}: {{source: {{path: .}}, bot_path: 'w:f', config: {{A: b}}, secrets: [T{i}]}}\n" for i in range(300)
    )
    here = "".join(f"          b{i}: {{queue-name: {'q' * 70}{i}}}\n" for i in range(300))
    text = AWS.replace("  stages:\n", bots + "  stages:\n").replace(
        "        bots:\n          first:\n", "        bots:\n          first:\n" + here
    )
    with pytest.raises(PlanError) as refused:
        design_stage(stage_of(text, tmp_path, "prod"))
    found = next(one for one in refused.value.diagnostics if one.code == code)
    assert "`box`" in found.message and says in found.message and found.hint
    assert found.line == 9 + 300


def test_a_config_that_is_over_a_limit_is_refused_at_the_sector(tmp_path: Path) -> None:
    plan = plan_of(AWS.replace("  stages:\n", f"  config: {{A: {'x' * 500_000}}}\n  stages:\n"), tmp_path)
    found = refusal(plan, "prod")
    assert (found.code, found.line) == ("F604", 10)
    assert "`first`" in found.message and found.hint


def test_stages_that_expand_to_too_much_are_refused_before_they_are_resolved(tmp_path: Path) -> None:
    bots = ", ".join(f"b{i}: " for i in range(2000))
    text = LOCAL.replace(
        "  stages:\n",
        f"  config: {{A: {'x' * 100_000}}}\n  stages:\n    big: {{x: {{type: local, bots: {{{bots}}}}}}}\n",
    )
    found = [one for one in load(text, tmp_path).diagnostics if one.code == "F606"]
    assert [(one.line, one.column) for one in found] == [(12, 5)]
    assert (
        "`big`" in found[0].message and "entries" in found[0].message and found[0].hint and "5,000,000" in found[0].hint
    )


def test_successors_go_to_the_same_sector_then_type_then_the_first_in_the_plan(tmp_path: Path) -> None:
    text = """\
factory:
  name: demo
  bots: {a: &b {source: {path: .}, bot_path: 'w:f'}, b: *b, c: *b}
  stages:
    prod:
      workflow: flow
      cloud: {type: aws, region_name: eu-west-2, parameters: &p {ImageId: x, InstanceType: a.b}, bots: {b: {q: cloud}}}
      here: {type: local, bots: {a: , b: {q: here}}}
      there: {type: local, bots: {a: {q: a}, c: }}
      far: {type: aws, region_name: eu-west-1, parameters: *p, bots: {a: {q: a2}, b: {q: far}}}
      other: {type: aws, region_name: eu-west-1, parameters: *p, bots: {a: {q: a2}}}
  workflows: {flow: {a: [b, c]}}
"""
    stage = stage_of(text, tmp_path, "prod")
    went = {
        (bot.sector): [(one.bot, one.queue, one.sector) for one in bot.successors]
        for bot in stage.stage_bots
        if bot.bot.name == "a"
    }
    assert went == {
        "here": [("b", "here", "here"), ("c", "c", "there")],
        "there": [("b", "here", "here"), ("c", "c", "there")],
        "far": [("b", "far", "far"), ("c", "c", "there")],
        "other": [("b", "cloud", "cloud"), ("c", "c", "there")],
    }


@pytest.mark.parametrize(
    ("workflow", "order"),
    [
        ("{a: {b: {c: d}}}", "abcd"),
        ("{a: [b, c], b: d, c: d}", "abcd"),
        ("{d: {c: {b: a}}}", "dcba"),
        ("{a: [d, b], b: d}", "abdc"),
        ("{a: c, b: c}", "abcd"),
        ("{c: d}", "cdab"),
    ],
)
def test_bots_are_taken_down_breadth_first_and_those_outside_the_workflow_last(
    workflow: str, order: str, tmp_path: Path
) -> None:
    bots = "{a: &b {source: {path: .}, bot_path: 'w:f'}, b: *b, c: *b, d: *b}"
    text = f"""\
factory:
  name: demo
  bots: {bots}
  stages: {{test: {{workflow: flow, x: {{type: local, bots: {{a: , b: , c: , d: }}}}}}}}
  workflows: {{flow: {workflow}}}
"""
    assert "".join(stage_of(text, tmp_path).demolish_order) == order


def test_the_rest_of_a_plan_is_kept_in_its_order(tmp_path: Path) -> None:
    text = LOCAL.replace(
        "  stages:\n",
        "  meta: {z: 1, a: [x, {b: null}]}\n  tags: {z: 1, a: b}\n  debug: {demolish_on_failure: false}\n  stages:\n",
    ).replace("      workflow: flow\n", "      workflow: flow\n      protect: true\n")
    plan = plan_of("x-mine: [anything]\n" + text, tmp_path)
    assert (list(plan.meta), list(plan.tags), plan.demolish_on_failure) == (["z", "a"], ["z", "a"], False)
    assert (plan.name, plan.folder, plan.file) == ("demo", tmp_path, str(tmp_path / "plan.yml"))
    assert (list(plan.bots), plan.bots["second"].position.line) == (["first", "second"], 8)
    stage = resolve_stage(plan, "test")
    assert (stage.protect, stage.demolish_on_failure, stage.meta["a"]) == (True, False, ["x", {"b": None}])
    assert (stage.sectors[0].type, stage.sectors[0].platform) == (SectorType.LOCAL, Platform.LINUX)


def test_a_windows_instance_is_one(tmp_path: Path) -> None:
    text = AWS.replace("        region_name:", "        platform: windows\n        region_name:")
    assert stage_of(text, tmp_path, "prod").sectors[0].platform is Platform.WINDOWS
