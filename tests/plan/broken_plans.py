"""One plan with something of everything, broken in one to three places as plain data."""

from __future__ import annotations

import copy
from typing import Any

from generated_plans import JSON
from hypothesis import strategies as st


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything below `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in ((*path, key), *_places(item, (*path, key)))]


_BOTS: dict[str, Any] = {
    "reader": {
        "source": {"url": "https://host/repo.git", "branch": 1.1, "depth": 1, "quiet": True, "subdirectory": "a/b"},
        "bot_path": "a.b:c",
        "requirements_path": "requirements.txt",
        "config": {"LEVEL": {"deep": [1, "two"]}},
        "secrets": ["TOKEN"],
    },
    "solver": {"source": {"path": "bots"}, "command": ["./solve", "-x"]},
    "writer": {"source": {"pypi": "many-bots[fast]", "version": "1.5.9"}, "bot_path": "a:b"},
}
_DESK: dict[str, Any] = {"type": "local", "bots": {"reader": None, "solver": {"-p": 2}}, "python": 3.11}
_BOX: dict[str, Any] = {
    "type": "aws",
    "region_name": "eu-west-2",
    "platform": "linux",
    "alarm": "idle",
    "parameters": {
        "ImageId": "ami-0123456789abcdef0",
        "InstanceType": "t3.micro",
        "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True, "GroupSet": ["sg-12345678"]}],
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": "8", "VolumeType": "gp3"}}],
        "Monitoring": "true",
        "Ipv6AddressCount": 1,
        "Tags": [{"Key": "a", "Value": 5}],
        "LaunchTemplate": {"LaunchTemplateId": "lt-12345678", "Version": 3},
    },
    "bots": {
        "writer": {
            "queue-name": "written",
            "--max-attempts": 5,
            "timeout": 2.5,
            "launcher": "qalx",
            "entity-class": "a.b:C",
            "workflow": ["solver"],
            "python": "3.12",
            "meta": {"a": [1]},
            "secrets": {"KEY": {"env": "MINE"}, "OTHER": {"profile": "default", "key": "TOKEN"}, "THIRD": None},
        }
    },
}
_ALARM: dict[str, Any] = {
    "MetricName": "CPUUtilization",
    "Namespace": "AWS/EC2",
    "ComparisonOperator": "LessThanThreshold",
    "Statistic": "Average",
    "Threshold": "5",
    "Period": 60,
    "EvaluationPeriods": "10",
    "AlarmActions": ["terminate", "arn:aws:sns:eu-west-1:123456789012:topic"],
}
_FLOW: dict[str, Any] = {"reader": ["solver", {"writer": None}]}
_STAGE: dict[str, Any] = {"workflow": "flow", "home_region": "eu-west-2", "protect": True}
WHOLE: dict[str, Any] = {
    "factory": {
        "name": "whole",
        "bots": _BOTS,
        "stages": {"dev": {**_STAGE, "desk": _DESK, "box": _BOX, "config": {"A": 1}, "secrets": {"B": None}}},
        "workflows": {"flow": _FLOW, "other": ["reader", {"solver": "writer"}]},
        "alarms": {"idle": _ALARM},
        "meta": {"key": {"a": "b"}},
        "tags": {"cost": 5, "team": "cfd"},
        "debug": {"demolish_on_failure": False},
    },
    "x-mine": [1],
}
"""A plan with something of everything."""


@st.composite
def broken_plans(draw: st.DrawFn) -> dict[str, Any]:
    """`WHOLE` with one to three mutations: a value replaced, a key removed, renamed or added, a value of elsewhere."""
    plan: Any = WHOLE
    for _ in range(draw(st.integers(1, 3))):
        plan = _mutated(draw, plan)
    return plan  # type: ignore[no-any-return]


def _mutated(draw: st.DrawFn, plan: Any) -> Any:
    plan = copy.deepcopy(plan)
    places = _places(plan)
    if not places:
        return plan
    *parents, last = draw(st.sampled_from(places))
    owner = plan
    for step in parents:
        owner = owner[step]
    match draw(st.sampled_from(["replace", "replace", "remove", "rename", "add", "move"])):
        case "replace":
            owner[last] = draw(JSON)
        case "remove":
            del owner[last]
        case "rename" if isinstance(owner, dict):
            owner[draw(_KEYS)] = owner.pop(last)
        case "add" if isinstance(owner, dict):
            owner[draw(_KEYS)] = draw(JSON)
        case _:
            other: Any = plan
            for step in draw(st.sampled_from(places)):
                other = other[step]
            owner[last] = copy.deepcopy(other)
    return plan


_KEYS = st.one_of(
    st.sampled_from(["a", "B2", "my_bot-1", "Zed", "x" * 40, "end"]),
    st.sampled_from(
        ["alarm", "parameters", "platform", "Dimensions", "UserData", "InstanceId", "--processes", "-p", "version",
         "url", "pypi", "bot_path", "command", "key", "env", "type", "bots", "workflow", "FACTORY_X", "aws:x", "Ref",
         "Metrics", "SubnetId", "upload-pack", "Threshold", ""]
    ),
)  # fmt: skip
