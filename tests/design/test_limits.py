"""What AWS would refuse is refused before, naming the sector and the number."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from design_works import aws_sector, design_of, of_type, plan_of, refused, with_config, with_parameters

from factory_cdk.design.designing import design_stage
from factory_cdk.design.policy import POLICY_LIMIT
from factory_cdk.design.stacks import MAX_RESOURCES, MAX_TEMPLATE_BYTES
from factory_cdk.plan.model import PathSource

ALARM = {
    "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 60,
    "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Threshold": 5,
}  # fmt: skip


def test_user_data_over_ec2s_limit_names_the_sector_and_the_number(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"box": aws_sector("a")})
    found = refused(replace(plan, factory="f" * 6000))
    assert [one.code for one in found if one.code == "F601"]
    (message,) = [one.message for one in found if one.code == "F601"]
    assert "'box'" in message
    assert "16,384" in message


def test_a_sector_with_more_resources_than_a_stack_takes_is_refused(tmp_path: Path) -> None:
    bots = {f"b{number}": {"config": {"A": number}} for number in range(MAX_RESOURCES)}
    (found,) = refused(plan_of(tmp_path, {"box": aws_sector(bots=bots)}))[:1]
    codes = {one.code for one in refused(plan_of(tmp_path, {"box": aws_sector(bots=bots)}))}
    assert codes == {"F602", "F603"}
    assert "`box`" in found.message


def test_a_sector_with_a_larger_template_than_a_stack_takes_is_refused(tmp_path: Path) -> None:
    config = {"A": "x" * 300_000}
    sector = aws_sector(bots={f"b{number}": {"config": config} for number in range(4)})
    (found,) = refused(plan_of(tmp_path, {"box": sector}))
    assert found.code == "F602"
    assert "`box` needs 305 resources" in found.message
    assert f"{MAX_TEMPLATE_BYTES:,}" in (found.hint or "")


def test_meta_that_leaves_no_room_is_named_as_the_cause(tmp_path: Path) -> None:
    found = refused(plan_of(tmp_path, {"box": aws_sector("a")}, meta={"notes": "x" * 1_000_000}))
    assert [one.code for one in found] == ["F602"]
    assert "`meta`" in (found[0].hint or "")


def test_a_policy_that_iam_refuses_names_the_sector_its_size_and_its_queues(tmp_path: Path) -> None:
    many = {f"b{number}": {} for number in range(110)}
    (found,) = refused(plan_of(tmp_path, {"box": aws_sector(bots=many)}))
    assert found.code == "F603"
    assert "`box`" in found.message
    assert "110 bots" in found.message
    assert "10,240" in (found.hint or "")


def test_a_policy_is_measured_as_iam_counts_it_with_the_arns_of_secrets(tmp_path: Path) -> None:
    """A reference to a secret is shorter than its ARN."""
    bots = {f"bot_{number}": {"secrets": {"T": {"env": f"T{number}"}}} for number in range(36)}
    (found,) = refused(plan_of(tmp_path, {"box": aws_sector(bots=bots)}))
    assert found.code == "F603"
    del bots["bot_35"]
    design = design_of(tmp_path, {"box": aws_sector(bots=bots)})
    (role,) = of_type(design.stacks, "IAM::Role")
    arn = f"arn:aws:secretsmanager:eu-west-2:{'0' * 12}:secret:factory-cdk/works/dev/box/12345678-abcdef"
    text = json.dumps(role.properties["Policies"][0]["PolicyDocument"], separators=(",", ":"))
    text = re.sub(r'\{"Ref":"BoxSecret[0-9a-f]{8}"\}', f'"{arn}"', text)
    text = re.sub(r'\{"Fn::Sub":("[^"]*")\}', r"\1", text)
    for name, value in (("Partition", "aws"), ("Region", "eu-west-2"), ("AccountId", "0" * 12)):
        text = text.replace(f"${{AWS::{name}}}", value)
    assert "{" in text and "Fn::" not in text and "Ref" not in text.replace("Reference", "")
    assert POLICY_LIMIT - 300 < len(text) <= POLICY_LIMIT


def test_a_config_that_takes_too_many_parameters_names_the_bot_the_sector_and_the_size(tmp_path: Path) -> None:
    (found,) = refused(plan_of(tmp_path, {"box": aws_sector("a", config={"A": "x" * 500_000})}))
    assert found.code == "F604"
    assert "`a` on the sector `box` has 500,008 bytes" in found.message


def test_sectors_that_fill_several_stacks_are_a_warning_until_they_are_pinned(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {f"box{number}": aws_sector(f"b{number}") for number in range(70)})
    design = design_stage(plan)
    assert [found.code for found in design.diagnostics if found.code == "F605"] == ["F605"]
    where = {sector.name: sector.stack for sector in design.sectors if sector.stack}
    assert set(where.values()) == {"works-dev-eu-west-2", "works-dev-eu-west-2-2"}
    pinned = design_stage(plan, pinned=where)
    assert "F605" not in {found.code for found in pinned.diagnostics}
    assert [sector.stack for sector in pinned.sectors] == [sector.stack for sector in design.sectors]


def test_a_new_sector_in_front_moves_no_pinned_one(tmp_path: Path) -> None:
    sectors = {f"box{number}": aws_sector(f"b{number}") for number in range(70)}
    where = {one.name: one.stack for one in design_of(tmp_path, sectors).sectors if one.stack}
    more = {f"new{number}": aws_sector(f"n{number}") for number in range(20)}
    after = design_stage(plan_of(tmp_path, {**more, **dict(reversed(sectors.items()))}), pinned=where)
    assert {one.name: one.stack for one in after.sectors if one.name in where} == where


def test_queues_stay_in_their_stacks_when_they_are_pinned(tmp_path: Path) -> None:
    sectors = {f"box{number}": aws_sector(f"b{number}") for number in range(260)}

    def where(design: Any) -> dict[str, str]:
        kept = [stack for stack in design.stacks if "-queues" in stack.name]
        return {queue["name"]: stack.name for stack in kept for queue in stack.metadata["factory-cdk"]["queues"]}

    before = where(design_of(tmp_path, sectors))
    assert set(before.values()) == {"works-dev-queues", "works-dev-queues-2"}
    plan = plan_of(tmp_path, {"new": aws_sector("n"), **dict(reversed(sectors.items()))})
    after = where(design_stage(plan, pinned_queues=before))
    assert {name: stack for name, stack in after.items() if name != "n"} == before


@pytest.mark.parametrize("text", ["${Token[AWS.AccountId.0]}", "x ${Token[TOKEN.7]} y", "#{Token[TOKEN.7]}"])
def test_text_that_cdk_would_evaluate_is_refused_wherever_it_would_reach_cdk(text: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"box": aws_sector("a", alarm="idle")}, alarms={"idle": ALARM})
    (box,) = plan.sectors
    assert box.alarm
    watched = replace(box, alarm=replace(box.alarm, properties={**ALARM, "AlarmDescription": text}))
    (bot,) = box.bots
    sourced = replace(bot, bot=replace(bot.bot, source=PathSource(text, tmp_path)))
    places = {
        "the parameters of the sector `box`": with_parameters(plan, Tags=[{"Key": "k", "Value": text}]),
        "the alarm `idle`": replace(plan, sectors=(watched,)),
        "the source of `a`": replace(plan, sectors=(replace(box, bots=(sourced,)),)),
        "`meta`": replace(plan, meta={"deep": [{"in": text}]}),
    }
    for place, changed in places.items():
        (found,) = refused(changed)
        assert found.code == "F108"
        assert place in found.message
    for meta in ({text: 1}, {"__proto__": {}}):
        assert [one.code for one in refused(replace(plan, meta=meta))] == ["F108"]


def test_config_may_hold_any_text(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"box": aws_sector("a")})
    design_stage(with_config(plan, {"A": "${Token[AWS.AccountId.0]} {{resolve:ssm:x}}"}))


def test_a_number_in_meta_that_json_readers_would_round_is_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"box": aws_sector("a")})
    for number in (12345678901234567890, -1.8881545897087505e289):
        assert [one.code for one in refused(replace(plan, meta={"deep": [number]}))] == ["F019"]
    design_stage(replace(plan, meta={"account": 123456789012, "yes": True, "half": 0.5}))


def test_one_alarm_name_for_two_instances_of_a_region_is_refused(tmp_path: Path) -> None:
    alarms = {"idle": {**ALARM, "AlarmName": "mine"}}
    two = {"one": aws_sector("a", alarm="idle"), "two": aws_sector("b", alarm="idle")}
    (found,) = refused(plan_of(tmp_path, two, alarms=alarms))
    assert found.code == "F511"
    assert "`one` and `two`" in found.message
    apart = {**two, "two": aws_sector("b", alarm="idle", region_name="eu-west-1")}
    design_of(tmp_path, apart, alarms=alarms)


def test_logical_ids_that_meet_are_refused_with_the_names_that_made_them(tmp_path: Path) -> None:
    config = {"config": {"T": 1}}
    sectors = {"box": aws_sector(bots={"x_config_y": config}), "box_config_x": aws_sector(bots={"y": config})}
    (found,) = refused(plan_of(tmp_path, sectors))
    assert found.code == "F511"
    assert "`box` and `box_config_x`" in found.message
