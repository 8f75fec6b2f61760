"""What a sector's instance is given and may do."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from design_works import PARAMETERS, aws_sector, design_of, of_type, plan_of, statements

from factory_cdk.bootstrap import USER_DATA_LIMIT
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign

SECRET_ARN = "arn:aws:secretsmanager:eu-west-2:111111111111:secret:prod/token-AbCdEf"


def properties(design: StageDesign, kind: str, sector: str) -> list[dict[str, Any]]:
    return [dict(one.properties) for one in of_type(design.stacks, kind) if one.sector == sector]


def values(design: StageDesign, path: str) -> list[str]:
    found = [one.properties for one in of_type(design.stacks, "SSM::Parameter")]
    return [one["Value"] for one in found if one["Name"].startswith(f"/factory-cdk/works/dev/{path}")]


def release(design: StageDesign, sector: str) -> Any:
    (digest,) = [one.release for one in design.sectors if one.name == sector]
    (content,) = {asset.content for stack in design.stacks for asset in stack.assets if asset.sha256 == digest}
    return json.loads(content or "")


def ids(design: StageDesign, kind: str) -> set[str]:
    return {one.logical_id for one in of_type(design.stacks, kind)}


def test_every_statement_is_scoped_to_what_is_the_sectors_own(tmp_path: Path) -> None:
    sectors = {
        "first": aws_sector("a", secrets={"TOKEN": None}),
        "second": aws_sector("b", region_name="eu-west-1"),
    }
    design = design_of(tmp_path, sectors)
    own = (
        r"works-dev-[ab](-dlq)?$|/works/dev/(%s(/\*|:\*)?|gate|boot\.log:\*)$|table/works\.dev\.jobs(/index/\*)?$"
        r"|cdk-hnb659fds-assets-[^/*]*/[0-9a-f]{64}\.\w+$|s3:::factory-cdk-[0-9a-f]{8}-[^/*]*/\*$"
    )
    for sector in sectors:
        for statement in statements(design, sector).values():
            assert all("*" not in action for action in statement["Action"])
            if statement["Action"] == ["kms:Decrypt"]:
                continue  # of any key, under conditions: see below
            for resource in statement["Resource"]:
                text = resource.get("Fn::Sub") or f"<{resource['Ref']}>"
                assert re.search(own % sector, text) or re.fullmatch("<FirstSecret[0-9a-f]{8}>", text), text


def test_a_sector_that_is_called_like_the_gate_keeps_its_parameters_to_itself(tmp_path: Path) -> None:
    sectors = {"gate": aws_sector("a", config={"LEVEL": "info"}), "other": aws_sector("b")}
    design = design_of(tmp_path, sectors)
    of_gate = {one["Name"] for one in properties(design, "SSM::Parameter", "gate")}
    for statement in statements(design, "other").values():
        allowed = [resource["Fn::Sub"].partition(":parameter")[2] for resource in statement["Resource"]]
        for pattern in filter(None, allowed):
            assert not [name for name in of_gate if fnmatch.fnmatchcase(name, pattern)]
            # Whoever may ask for a path reads all that is below it.
            by_path = "ssm:GetParametersByPath" in statement["Action"]
            assert not (by_path and [name for name in of_gate if name.startswith(pattern.rstrip("*/") + "/")])


def test_queues_are_the_home_regions_wherever_the_sector_is(tmp_path: Path) -> None:
    sectors = {"here": aws_sector("a"), "there": aws_sector("b", region_name="us-east-1")}
    design = design_of(tmp_path, {"workflow": "flow", **sectors}, workflows={"flow": {"a": "b"}})
    arns = [
        resource["Fn::Sub"]
        for sector in sectors
        for sid in ("ReceiveJobs", "SendJobs")
        for resource in statements(design, sector).get(sid, {"Resource": []})["Resource"]
    ]
    assert {re.sub(r".*:sqs:([a-z0-9-]+):.*", r"\1", arn) for arn in arns} == {"eu-west-2"}
    assert {one.region for one in design.stacks} == {"eu-west-2", "us-east-1"}
    received, sent = (
        [resource["Fn::Sub"].rpartition(":")[2] for resource in statements(design, "here")[sid]["Resource"]]
        for sid in ("ReceiveJobs", "SendJobs")
    )
    assert (received, sent) == (["works-dev-a", "works-dev-a-dlq"], ["works-dev-b"])
    assert release(design, "there")["router"]["region"] == "eu-west-2"


def test_bots_with_the_same_secret_values_share_a_secret_that_is_made_empty(tmp_path: Path) -> None:
    sector = aws_sector("a", "b", "c", "d")
    sector["bots"] |= {
        "a": {"secrets": {"TOKEN": {"env": "QALX_TOKEN"}}},
        "b": {"secrets": {"TOKEN": {"env": "QALX_TOKEN"}}},
        "c": {"secrets": {"TOKEN": {"env": "OTHER"}}},
    }
    design = design_of(tmp_path, {"box": sector})
    secrets = properties(design, "SecretsManager::Secret", "box")
    assert len(secrets) == 2
    assert all(re.fullmatch("factory-cdk/works/dev/box/[0-9a-f]{8}", one["Name"]) for one in secrets)
    assert all(one.keys() == {"Name", "Description", "Tags"} for one in secrets)
    bots = release(design, "box")["bots"]
    assert bots["a"]["secrets"] == bots["b"]["secrets"] == {"TOKEN": {"secret": secrets[0]["Name"], "key": "TOKEN"}}
    assert bots["c"]["secrets"]["TOKEN"]["secret"] == secrets[1]["Name"]
    assert "secrets" not in bots["d"]
    own = [{"Ref": "BoxSecret" + one["Name"].rpartition("/")[2]} for one in secrets]
    assert statements(design, "box")["ReadSecrets"]["Resource"] == own


def test_secrets_that_exist_are_read_by_name_and_arn_and_not_made(tmp_path: Path) -> None:
    existing = {"ONE": {"secret": "prod/token", "key": "TOKEN"}, "TWO": {"secret": SECRET_ARN}}
    design = design_of(tmp_path, {"box": aws_sector("a", secrets=existing)})
    assert not of_type(design.stacks, "SecretsManager::Secret")
    named = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:prod/token-??????"
    assert statements(design, "box")["ReadSecrets"]["Resource"] == [{"Fn::Sub": named}, SECRET_ARN]
    assert release(design, "box")["bots"]["a"]["secrets"] == {
        "ONE": {"secret": "prod/token", "key": "TOKEN"},
        "TWO": {"secret": SECRET_ARN, "key": None},
    }


def test_config_over_four_kibibytes_is_split_and_names_of_its_parts_never_meet(tmp_path: Path) -> None:
    sector = aws_sector("bot1", "bot12", "none")
    config = {"TEXT": "é" * 3000, "REF": "{{resolve:ssm:secret}} {{{x}}}"}
    sector["bots"]["bot12"] = {"config": {"A": 1}}
    plan = plan_of(tmp_path, {"box": sector})
    (box,) = plan.sectors
    bots = tuple(replace(bot, config=config) if bot.bot.name == "bot1" else bot for bot in box.bots)
    design = design_stage(replace(plan, sectors=(replace(box, bots=bots),)))
    parts = values(design, "box/config/bot1/")
    assert len(parts) == 5
    assert all(len(part) <= 4096 and "{{" not in part for part in parts)
    assert json.loads("".join(parts)) == config
    assert values(design, "box/config/bot12/") == ['{"A":1}']
    assert not values(design, "box/config/none/")


def test_nothing_is_added_where_the_plan_speaks(tmp_path: Path) -> None:
    given = {
        "ImageId": "ami-0123456789abcdef0",
        "InstanceType": "t3.micro",
        "MetadataOptions": {"HttpPutResponseHopLimit": 2},
        "Tags": [{"Key": "Name", "Value": "mine"}],
    }
    design = design_of(tmp_path, {"box": aws_sector("a", parameters=given)}, tags={"team": "cfd"})
    (instance,) = properties(design, "EC2::Instance", "box")
    assert instance["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpEndpoint": "enabled",
        "HttpPutResponseHopLimit": 2,
    }
    tags = {one["Key"]: one["Value"] for one in instance["Tags"]}
    assert len(tags) == len(instance["Tags"])
    assert (tags["Name"], tags["team"], tags["factory-cdk:sector"]) == ("mine", "cfd", "box")
    optional = {**given, "MetadataOptions": {"HttpTokens": "optional"}}
    design = design_of(tmp_path, {"box": aws_sector("a", parameters=optional)})
    (instance,) = properties(design, "EC2::Instance", "box")
    assert instance["MetadataOptions"]["HttpTokens"] == "optional"


def test_alarm_verbs_become_actions_of_the_instances_region_and_the_rest_is_the_plans(tmp_path: Path) -> None:
    arn = "arn:aws:sns:eu-west-2:111111111111:topic"
    alarm = {
        "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 60,
        "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 10, "Threshold": "5",
        "AlarmActions": ["terminate", arn], "OKActions": ["recover"],
    }  # fmt: skip
    design = design_of(tmp_path, {"box": aws_sector("a", alarm="idle")}, alarms={"idle": alarm})
    (made,) = properties(design, "CloudWatch::Alarm", "box")
    verb = "arn:${AWS::Partition}:automate:${AWS::Region}:ec2:"
    assert made["AlarmActions"] == [{"Fn::Sub": f"{verb}terminate"}, arn]
    assert made["OKActions"] == [{"Fn::Sub": f"{verb}recover"}]
    assert made["Dimensions"] == [{"Name": "InstanceId", "Value": {"Ref": "BoxInstance"}}]
    untouched = {key: value for key, value in alarm.items() if not key.endswith("Actions")}
    assert made["ActionsEnabled"] is False, "until the instance turns them on"
    switch = statements(design, "box")["SwitchAlarm"]["Resource"]
    assert made["AlarmName"] == "works.dev.box" and switch[0]["Fn::Sub"].endswith(":alarm:works.dev.box")
    assert {key: made[key] for key in untouched} == untouched


CHANGES: list[tuple[str, dict[str, Any], bool]] = [
    ("the same", {}, False),
    ("another image", {"parameters": {"ImageId": "ami-0fedcba9876543210", "InstanceType": "t3.micro"}}, True),
    ("config", {"config": {"LEVEL": "info"}}, True),
    ("processes", {"bots": {"a": {"processes": 7}}}, True),
    ("a route", {"bots": {"a": {"workflow": ["b"]}}}, True),
    ("an alarm", {"alarm": "idle"}, True),  # the instance has to turn it on
    ("a tag", {"parameters": {**PARAMETERS, "Tags": [{"Key": "team", "Value": "cfd"}]}}, False),
    ("security groups", {"parameters": {**PARAMETERS, "SecurityGroupIds": ["sg-0123456789abcdef0"]}}, False),
    ("another policy", {"policies": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]}, False),
]


@pytest.mark.parametrize(("what", "change", "renamed"), CHANGES, ids=[name for name, _, _ in CHANGES])
def test_the_wait_condition_is_another_when_release_or_instance_change_and_only_then(
    what: str, change: dict[str, Any], renamed: bool, tmp_path: Path
) -> None:
    alarms = {
        "idle": {
            "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 60,
            "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Threshold": 5,
        }
    }  # fmt: skip
    rest = {"rest": aws_sector("b")}
    before = design_of(tmp_path, {"box": aws_sector("a"), **rest}, alarms=alarms)
    after = design_of(tmp_path, {"box": {**aws_sector("a"), **change}, **rest}, alarms=alarms)

    def marks(design: StageDesign, sector: str) -> set[str]:
        kinds = ("CloudFormation::WaitCondition", "CloudFormation::WaitConditionHandle")
        return {one.logical_id for kind in kinds for one in of_type(design.stacks, kind) if one.sector == sector}

    assert len(marks(before, "box")) == 4
    assert (marks(before, "box") != marks(after, "box")) is renamed, what
    assert marks(before, "rest") == marks(after, "rest")
    first, second = (properties(one, "EC2::Instance", "box")[0] for one in (before, after))
    assert first["UserData"] == second["UserData"]


def test_user_data_stays_far_under_the_limit_with_the_longest_names(tmp_path: Path) -> None:
    long = "a" + "_" * 38 + "z"
    for platform in ("linux", "windows"):
        design = design_of(tmp_path, {long: aws_sector("b", platform=platform)}, name=long)
        (instance,) = of_type(design.stacks, "EC2::Instance")
        own, _ = instance.properties["UserData"]["Fn::Base64"]["Fn::Join"][1]
        (mapping,) = [stack.mappings for stack in design.stacks if stack.mappings]
        assert len(own) + len(mapping["UserData"][platform]["shared"]) < USER_DATA_LIMIT


def test_names_on_aws_stay_within_their_limits_and_differ(tmp_path: Path) -> None:
    long = "a" * 39
    sectors = {f"{long}{end}": aws_sector(f"b{end}") for end in "xyz"}
    design = design_of(tmp_path, sectors, name=long)
    roles = [one.properties["RoleName"] for one in of_type(design.stacks, "IAM::Role")]
    assert len(set(roles)) == 3
    assert all(len(name) <= 64 for name in roles)
    queues = [one.properties["QueueName"] for one in of_type(design.stacks, "SQS::Queue")]
    assert len(set(queues)) == 6
    assert all(len(name) <= 80 for name in queues)
    assert all(len(stack.name) <= 128 and re.fullmatch("[a-zA-Z][a-zA-Z0-9-]*", stack.name) for stack in design.stacks)
