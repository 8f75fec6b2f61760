"""What a plan may not say of instances, roles, capacity and jobs, each at its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory_cdk.plan.load import load_plan, read_plan
from factory_cdk.plan.model import InstanceOptions, JobStore, Offline, PythonBuild

ARN = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::meshes/*"}
STOPS = {
    "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 300,
    "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Threshold": 5, "AlarmActions": ["stop"],
}  # fmt: skip
BUILD = f"builds/python.tar.gz#sha256={'ab' * 32}"
OFFLINE = {"offline": True, "python": "3.12"}
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
    ("F523", {"offline": True}, "needs `python`", "offline"),
    ("F523", {"offline": True, "python": "3.10"}, "needs Python 3.11 to 3.14", "3.10"),
    ("F523", {"offline": True, "python": "3.15.1"}, "needs Python 3.11 to 3.14", "3.15.1"),
    ("F523", {"offline": True, "python": "3.12", "platform": "windows"}, "no agent runs on Windows", "offline"),
    ("F523", {"python-build": BUILD}, "is for offline sectors", "python-build"),
    ("F523", {**OFFLINE, "python-build": "python.tar.gz"}, "invalid Python build `python.tar.gz`", "python.tar.gz"),
    ("F523", {**OFFLINE, "python-build": f"http://a.b/{BUILD}"}, "invalid Python build", "http://a.b"),
    ("F523", {**OFFLINE, "python-build": BUILD.replace("gz", "zst")}, "invalid Python build", "zst"),
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


@pytest.mark.parametrize(
    ("type_", "architecture"),
    [
        ("t3.micro", "x86_64"), ("m7i-flex.large", "x86_64"), ("g5.xlarge", "x86_64"), ("g4dn.metal", "x86_64"),
        ("c5d.large", "x86_64"), ("x2iedn.large", "x86_64"), ("u-6tb1.metal", "x86_64"), ("gr6.4xlarge", "x86_64"),
        ("t4g.nano", "aarch64"), ("m7gd.large", "aarch64"), ("c6gn.large", "aarch64"), ("a1.medium", "aarch64"),
        ("im4gn.large", "aarch64"), ("is4gen.large", "aarch64"), ("x2gd.metal", "aarch64"), ("g5g.xlarge", "aarch64"),
        ("hpc7g.4xlarge", "aarch64"), ("i8ge.large", "aarch64"), ("p6e-gb200.36xlarge", "aarch64"),
    ],
)  # fmt: skip
def test_the_architecture_of_an_offline_instance_is_that_of_its_type(
    type_: str, architecture: str, tmp_path: Path
) -> None:
    sector = {**OFFLINE, "python-build": BUILD, "parameters": {**PARAMETERS, "InstanceType": type_}}
    (box,) = read_plan(written(tmp_path, sector)).stages["dev"].sectors
    build = PythonBuild("builds/python.tar.gz", "ab" * 32)
    assert box.options.offline == Offline(architecture, "3.12", build)
    listed = {**sector, "availability": ["subnet-0123456789abcdef0", "m7g.large", type_]}
    (box,) = read_plan(written(tmp_path, listed)).stages["dev"].sectors
    assert box.options.offline and box.options.offline.architecture == "aarch64", "the first of `availability` is used"


@pytest.mark.parametrize(
    "key",
    [
        "policies", "permissions-boundary", "session-manager", "log-retention", "capacity", "offline", "python-build"
    ],
)  # fmt: skip
def test_a_local_sector_has_none_of_it(key: str, tmp_path: Path) -> None:
    value = {"policies": [ARN], "permissions-boundary": ARN, "session-manager": True, "log-retention": 7}
    value |= {"offline": True, "python-build": BUILD}
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
