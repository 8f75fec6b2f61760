"""What a plan may not say of instances, roles, capacity and jobs, each at its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory_cdk.plan.load import load_plan, read_plan
from factory_cdk.plan.model import InstanceOptions, JobStore

ARN = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::meshes/*"}
STOPS = {
    "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 300,
    "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Threshold": 5, "AlarmActions": ["stop"],
}  # fmt: skip
PARAMETERS = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"}


def written(folder: Path, sector: dict[str, Any], stage: dict[str, Any] | None = None) -> Path:
    box = {"type": "aws", "region_name": "eu-west-2", "parameters": PARAMETERS, "bots": {"a": None}, **sector}
    bots = {"a": {"source": {"pypi": "a", "version": "1"}, "bot_path": "a:b"}}
    factory = {"name": "works", "bots": bots, "stages": {"dev": {**(stage or {}), "box": box}}}
    if "alarm" in sector:
        factory["alarms"] = {"stops": STOPS}
    file = folder / "factory-plan.yml"
    file.write_text(json.dumps({"factory": factory}, indent=1))
    return file


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("F520", {"policies": ["AmazonS3ReadOnlyAccess"]}, "must be the ARN of a managed policy", "AmazonS3"),
    ("F520", {"policies": [{**STATEMENT, "Effect": "Permit"}]}, "must be `Allow` or `Deny`", "Permit"),
    ("F520", {"policies": [{**STATEMENT, "Principal": "*"}]}, "unknown key `Principal`", "Principal"),
    ("F520", {"policies": [{"Effect": "Allow", "Action": "s3:Get"}]}, "either `Resource` or `NotResource`", "{"),
    ("F520", {"policies": [{**STATEMENT, "Resource": [1]}]}, "text or a list of texts", "Resource"),
    ("F520", {"policies": [{**STATEMENT, "Sid": "a"}, {**STATEMENT, "Sid": "a"}]}, "duplicate Sid", "Sid"),
    ("F520", {"policies": [{**STATEMENT, "Condition": ["x"]}]}, "must be a mapping of operators", "Condition"),
    ("F520", {"policies": [f"{ARN}{n}" for n in range(11)]}, "11 managed policies", "policies"),
    ("F108", {"policies": [{**STATEMENT, "Condition": {"Fn::Sub": {"a": "b"}}}]}, "would evaluate", "Fn::Sub"),
    ("F520", {"permissions-boundary": "boundary"}, "invalid permissions boundary `boundary`", "permissions-boundary"),
    ("F104", {"log-retention": 31}, "must be `1` or `3`", "log-retention"),
    ("F521", {"availability": ["t3.micro", "eu-west-2a"]}, "neither a subnet nor an instance type", "eu-west-2a"),
    ("F521", {"availability": ["t3.micro", "t3.micro"]}, "duplicate `t3.micro`", "t3.micro"),
    (
        "F521",
        {
            "availability": ["subnet-0123456789abcdef0"],
            "parameters": {
                **PARAMETERS,
                "NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-0123456789abcdef0"}],
            },
        },
        "is in one already",
        "availability",
    ),
    ("F104", {"capacity": "cheap"}, "must be `on-demand` or `spot`", "cheap"),
    (
        "F522",
        {"capacity": "spot", "parameters": {**PARAMETERS, "HibernationOptions": {"Configured": True}}},
        "`HibernationOptions` cannot be used with `capacity: spot`",
        "HibernationOptions",
    ),
    ("F522", {"capacity": "spot", "alarm": "stops"}, "would stop the spot instance of `box`", "alarm"),
    (
        "F504",
        {"parameters": {**PARAMETERS, "MetadataOptions": {"HttpEndpoint": "disabled"}}},
        "no credentials",
        "disabled",
    ),
]


@pytest.mark.parametrize(("code", "sector", "message", "where"), REFUSED, ids=[one[2][:30] for one in REFUSED])
def test_what_aws_would_refuse_is_refused_at_its_line(
    code: str, sector: dict[str, Any], message: str, where: str, tmp_path: Path
) -> None:
    file = written(tmp_path, sector)
    errors = [found for found in load_plan(file).diagnostics if found.severity == "error"]
    assert [found.code for found in errors] == [code], errors
    assert message in errors[0].message
    assert where in file.read_text().splitlines()[errors[0].line - 1]
    assert errors[0].hint


@pytest.mark.parametrize("key", ["policies", "permissions-boundary", "session-manager", "log-retention", "capacity"])
def test_a_local_sector_has_none_of_it(key: str, tmp_path: Path) -> None:
    value = {"policies": [ARN], "permissions-boundary": ARN, "session-manager": True, "log-retention": 7}
    file = written(tmp_path, {})
    text = json.loads(file.read_text())
    local = {"type": "local", "bots": {"a": None}, key: value.get(key, "spot")}
    text["factory"]["stages"]["dev"]["desk"] = local
    file.write_text(json.dumps(text, indent=1))
    assert [found.code for found in load_plan(file).diagnostics if found.severity == "error"] == ["F513"]


@pytest.mark.parametrize("days", ["14", "0d", "3651d", "two weeks", "14D"])
def test_days_to_keep_jobs_are_written_as_days(days: str, tmp_path: Path) -> None:
    (found,) = [
        one for one in load_plan(written(tmp_path, {}, {"keep-jobs": days})).diagnostics if one.severity == "error"
    ]
    assert (found.code, "keep-jobs" in found.message) == ("F104", True)


def test_an_alarm_of_the_queues_tells_an_arn(tmp_path: Path) -> None:
    (found,) = [
        one
        for one in load_plan(written(tmp_path, {}, {"queue-alarms": ["operators"]})).diagnostics
        if one.severity == "error"
    ]
    assert found.code == "F507"


def test_what_is_said_is_read(tmp_path: Path) -> None:
    sector = {
        "policies": [ARN, STATEMENT],
        "permissions-boundary": ARN,
        "session-manager": True,
        "log-retention": 90,
        "availability": ["t3.micro", "m7i.large"],
        "capacity": "spot",
    }
    topic = "arn:aws:sns:eu-west-2:111111111111:operators"
    stage = read_plan(
        written(tmp_path, sector, {"history": False, "keep-jobs": "30d", "queue-alarms": [topic]})
    ).stages["dev"]
    assert stage.jobs == JobStore(history=False, days=30, queue_alarms=(topic,))
    assert stage.sectors[0].options == InstanceOptions(
        policies=(ARN, STATEMENT),
        permissions_boundary=ARN,
        session_manager=True,
        log_retention=90,
        availability=("t3.micro", "m7i.large"),
        spot=True,
    )
    assert read_plan(written(tmp_path, {})).stages["dev"].sectors[0].options == InstanceOptions()
