"""Random plans as plain data, valid and then broken in one place, for properties that hold for every plan."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

BOTS = ("reader", "solver", "writer")

NAMES = st.sampled_from(["a", "B2", "my_bot-1", "Zed", "x" * 40, "end"])
VARIABLES = st.sampled_from(["A", "B_2", "LEVEL", "PATH_OF_MINE", "Z"])
SCALARS = st.one_of(st.booleans(), st.integers(-5, 50_000), st.floats(-5, 5, width=16), st.text("ab:/-. é", max_size=6))
JSON = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


def optional(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with any of these keys (`_` stands for `-`)."""
    keys = {key.replace("__", "-"): value for key, value in strategies.items()}
    return st.fixed_dictionaries({}, optional=keys)


def merged(*strategies: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One mapping of several."""
    return st.tuples(*strategies).map(lambda parts: {key: value for part in parts for key, value in part.items()})


def just(**values: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.just(values)


SECRET = st.one_of(
    st.none(),
    just(env="TOKEN_OF_MINE"),
    just(profile="default", key="TOKEN"),
    just(secret="prod/token"),
    just(secret="arn:aws:secretsmanager:eu-west-2:123456789012:secret:prod/token-AbCdEf"),
)
SETTINGS = optional(
    config=st.dictionaries(VARIABLES, JSON, max_size=2),
    secrets=st.lists(VARIABLES.map("S_{}".format), max_size=2, unique=True)
    | st.dictionaries(VARIABLES.map("S_{}".format), SECRET, max_size=2),
)
GIT = optional(
    branch=st.sampled_from(["main", 1.1, 20]),
    depth=st.integers(1, 9),
    quiet=st.booleans(),
    single__branch=st.booleans(),
    filter=st.just("blob:none"),
    jobs=st.integers(1, 64),
)
SOURCES = st.one_of(
    merged(just(url="https://host/repo.git"), GIT, optional(subdirectory=st.just("bots/first"))),
    merged(just(path="bots"), optional(subdirectory=st.just("first"))),
    merged(just(pypi="many-bots[fast]"), optional(version=st.sampled_from(["1.5.9", ">=1,<2", 1.1, 3]))),
)
BOT = merged(
    st.fixed_dictionaries({"source": SOURCES}),
    st.sampled_from([{"bot_path": "a.b:c"}, {"command": "./solve --fast"}, {"command": ["./solve", "-x"]}]),
    optional(requirements_path=st.just("requirements.txt")),
    SETTINGS,
)
_PYTHON = st.sampled_from(["3.12", 3.11, "3.10.4"])
ARGUMENTS = st.none() | merged(
    st.one_of(
        optional(processes=st.integers(1, 20), max__attempts=st.integers(1, 9)),
        st.sampled_from([{"-p": 3}, {"p": 3, "--stop": True}, {"--processes": 2, "--batch": 5}]),
    ),
    optional(
        skip__ini=st.booleans(),
        timeout=st.integers(1, 43_200) | st.floats(0.5, 100, width=16),
        visibility__timeout=st.integers(10, 43_200),
        launcher=st.sampled_from(["python", "qalx"]),
        entity__class=st.just("package.module:Entity"),
        meta=st.dictionaries(NAMES, JSON, max_size=2),
        python=_PYTHON,
    ),
    SETTINGS,
)
ON_SECTOR = st.dictionaries(st.sampled_from(BOTS), ARGUMENTS, min_size=1)
_FLAG = st.sampled_from([True, False, "true", "False"])
_INTERFACE = merged(
    st.sampled_from([{"DeviceIndex": 0}, {"DeviceIndex": "1"}]),
    optional(AssociatePublicIpAddress=_FLAG, GroupSet=st.just(["sg-0123456789abcdef0"])),
)
_VOLUME = merged(
    just(DeviceName="/dev/sda1"),
    st.one_of(
        optional(VolumeSize=st.sampled_from([8, "8", 8.0]), VolumeType=st.sampled_from(["gp3", "io2"])).map(
            lambda ebs: {"Ebs": ebs}
        ),
        just(VirtualName="ephemeral0"),
        just(NoDevice={}),
    ),
)
PARAMETERS = merged(
    just(ImageId="ami-0123456789abcdef0", InstanceType="t3.micro"),
    st.one_of(optional(NetworkInterfaces=st.lists(_INTERFACE, max_size=2)), just(SubnetId="subnet-12345678")),
    optional(
        KeyName=st.sampled_from(["key", 5, True]),
        Monitoring=_FLAG,
        Ipv6AddressCount=st.sampled_from([0, "2", 1.0]),
        BlockDeviceMappings=st.lists(_VOLUME, max_size=2),
        MetadataOptions=just(HttpTokens="required", HttpPutResponseHopLimit=2),
        Tags=st.just([{"Key": "a", "Value": 5}]),
        Tenancy=st.just("default"),
        LaunchTemplate=just(LaunchTemplateId="lt-12345678", Version=3),
    ),
)
LOCAL = merged(st.fixed_dictionaries({"type": st.just("local"), "bots": ON_SECTOR}), optional(python=_PYTHON), SETTINGS)
AWS = merged(
    st.fixed_dictionaries({"type": st.just("aws"), "bots": ON_SECTOR, "parameters": PARAMETERS}),
    optional(
        region_name=st.sampled_from(["eu-west-1", "us-east-1"]),
        platform=st.sampled_from(["linux", "windows"]),
        alarm=st.sampled_from(["idle"]),
    ),
    SETTINGS,
)
STAGE = merged(
    optional(home_region=st.just("eu-west-2"), protect=st.booleans()),
    st.dictionaries(st.sampled_from(["desk", "box", "lab"]), LOCAL | AWS, min_size=1, max_size=3),
    SETTINGS,
)
WORKFLOW = st.sampled_from(
    [
        ["reader", "solver"],
        {"reader": None},
        {"reader": ["solver", {"writer": None}]},
        {"reader": {"solver": "writer"}},
        [{"reader": "solver"}, {"solver": ["writer", []]}],
    ]
)
ALARM = merged(
    just(MetricName="CPUUtilization", Namespace="AWS/EC2", ComparisonOperator="LessThanThreshold"),
    st.sampled_from([{"Statistic": "Average"}, {"ExtendedStatistic": "p99"}]),
    st.sampled_from([{"Threshold": "5"}, {"Threshold": 0.5}, {"ThresholdMetricId": "m1"}]),
    st.sampled_from([{"Period": 60, "EvaluationPeriods": 10}, {"Period": "30", "EvaluationPeriods": "1"}]),
    optional(AlarmActions=st.just(["terminate", "arn:aws:sns:eu-west-1:123456789012:topic"]), ActionsEnabled=_FLAG),
)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A plan that is valid, but for what relates two of its places (a workflow of which a stage lacks a bot)."""
    factory: dict[str, Any] = {
        "name": draw(NAMES),
        "bots": {bot: draw(BOT) for bot in BOTS},
        "stages": draw(st.dictionaries(st.sampled_from(["dev", "test"]), STAGE, min_size=1)),
        "workflows": draw(st.dictionaries(st.sampled_from(["flow", "other"]), WORKFLOW)),
        "alarms": {"idle": draw(ALARM)},
        **draw(
            optional(
                meta=st.dictionaries(NAMES, JSON, max_size=2),
                tags=st.dictionaries(NAMES, st.booleans() | st.integers(0, 9), max_size=2),
                debug=optional(demolish_on_failure=st.booleans()),
            )
        ),
        **draw(SETTINGS),
    }
    return {"factory": factory, **draw(optional(**{"x-mine": JSON}))}


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
    NAMES,
    st.sampled_from(
        ["alarm", "parameters", "platform", "Dimensions", "UserData", "InstanceId", "--processes", "-p", "version",
         "url", "pypi", "bot_path", "command", "key", "env", "type", "bots", "workflow", "FACTORY_X", "aws:x", "Ref",
         "Metrics", "SubnetId", "upload-pack", "Threshold", ""]
    ),
)  # fmt: skip
