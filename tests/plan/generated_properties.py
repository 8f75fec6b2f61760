"""Random CloudFormation properties as a plan may write them: of instances and of alarms, coerced types included."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from hypothesis import strategies as st

from factory_cdk.plan.facts import partitions

Properties = st.SearchStrategy[dict[str, Any]]


def optional(**strategies: st.SearchStrategy[Any]) -> Properties:
    """A mapping with any of these keys (`__` stands for `-`)."""
    keys = {key.replace("__", "-"): value for key, value in strategies.items()}
    return st.fixed_dictionaries({}, optional=keys)


def merged(*strategies: Properties) -> Properties:
    """One mapping of several."""
    return st.tuples(*strategies).map(lambda parts: {key: value for part in parts for key, value in part.items()})


def just(**values: Any) -> Properties:
    return st.just(values)


def required(**strategies: st.SearchStrategy[Any]) -> Properties:
    return st.fixed_dictionaries(strategies)


def whole(least: int, most: int) -> st.SearchStrategy[Any]:
    """A whole number as CloudFormation takes it: 8, '8' and 8.0."""
    spellings: list[Callable[[int], Any]] = [int, str, float]
    return st.builds(lambda number, spell: spell(number), st.integers(least, most), st.sampled_from(spellings))


FLAG = st.sampled_from([True, False, "true", "False"])
HEX = st.sampled_from("0123456789abcdef")


def identifier(kind: str) -> st.SearchStrategy[str]:
    """An id of AWS, of 8 or 17 digits."""
    digits = st.sampled_from([8, 17]).flatmap(lambda length: st.text(HEX, min_size=length, max_size=length))
    return digits.map(lambda text: f"{kind}-{text}")


ADDRESS = st.integers(0x0A000001, 0x0AFFFFFE).map(lambda number: str(ipaddress.IPv4Address(number)))
GROUPS = st.lists(identifier("sg"), min_size=1, max_size=3, unique=True)
LETTERS = st.text(st.sampled_from("abcXYZ éß日09._-"), max_size=8)


def _tags(value: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    key = st.text(st.sampled_from("abcXYZé.:/=+@-_ 0"), min_size=1, max_size=9)
    tags = st.lists(required(Key=key, Value=value), max_size=3, unique_by=lambda tag: tag["Key"].casefold())
    return tags.map(lambda tags: [tag for tag in tags if not tag["Key"].casefold().startswith("aws:")])


_ADDRESSED = st.one_of(
    optional(PrivateIpAddress=ADDRESS),
    optional(Ipv6AddressCount=whole(0, 3)),
    optional(SecondaryPrivateIpAddressCount=whole(1, 3)),
    required(
        Ipv6Addresses=st.integers(1, 0xFFFF).map(lambda number: [{"Ipv6Address": f"2001:db8::{number:x}"}]),
    ),
    required(PrivateIpAddresses=ADDRESS.map(lambda one: [{"Primary": True, "PrivateIpAddress": one}])),
)
_NEW_INTERFACE = merged(
    optional(
        AssociatePublicIpAddress=FLAG,
        DeleteOnTermination=FLAG,
        Description=LETTERS,
        GroupSet=GROUPS,
        SubnetId=identifier("subnet"),
    ),
    _ADDRESSED,
)
_OLD_INTERFACE = required(NetworkInterfaceId=identifier("eni"))


@st.composite
def interfaces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Network interfaces: a public address goes with a single one."""
    if draw(st.booleans()):
        return [{"DeviceIndex": draw(st.sampled_from([0, "0"])), **draw(_NEW_INTERFACE)}]
    found = draw(st.lists(_NEW_INTERFACE | _OLD_INTERFACE, max_size=3))
    spell = draw(st.sampled_from([int, str]))
    return [
        {"DeviceIndex": spell(index), **{key: value for key, value in one.items() if key != "AssociatePublicIpAddress"}}
        for index, one in enumerate(found)
    ]


_EBS = merged(
    st.one_of(
        merged(
            st.sampled_from([{}, {"VolumeType": "gp2"}, {"VolumeType": "standard"}]), optional(VolumeSize=whole(8, 500))
        ),
        merged(just(VolumeType="gp3"), optional(VolumeSize=whole(8, 500), Iops=whole(3000, 3500))),
        required(VolumeType=st.sampled_from(["io1", "io2"]), VolumeSize=whole(100, 500), Iops=whole(100, 3000)),
        required(VolumeType=st.sampled_from(["st1", "sc1"]), VolumeSize=whole(125, 500)),
        required(SnapshotId=identifier("snap")),
    ),
    optional(DeleteOnTermination=FLAG),
    st.one_of(
        optional(Encrypted=FLAG),
        required(
            Encrypted=st.just(True),
            KmsKeyId=st.sampled_from(["alias/mine", "arn:aws:kms:eu-west-2:111111111111:key/12345678-ab"]),
        ),
    ),
)
_VOLUMES = st.lists(
    merged(
        required(DeviceName=st.sampled_from(["/dev/sda1", "/dev/xvda", "/dev/sdb", "xvdc"])),
        st.one_of(
            _EBS.map(lambda ebs: {"Ebs": ebs}),
            just(VirtualName="ephemeral0"),
            just(NoDevice={}),
        ),
    ),
    max_size=3,
    unique_by=lambda one: one["DeviceName"],
)
_PLACED = st.one_of(
    st.just({}),
    required(NetworkInterfaces=interfaces()),
    merged(
        required(SubnetId=identifier("subnet"), SecurityGroupIds=GROUPS),
        optional(PrivateIpAddress=ADDRESS) | optional(Ipv6AddressCount=whole(0, 2)),
    ),
    required(SecurityGroups=st.lists(st.sampled_from(["default", "mine"]), min_size=1, max_size=2, unique=True)),
)
INSTANCE = merged(
    required(ImageId=identifier("ami"), InstanceType=st.sampled_from(["t3.micro", "t3.large", "m5.xlarge"])),
    _PLACED,
    optional(
        KeyName=st.sampled_from(["key", 5, True, "my key 1"]),
        Monitoring=FLAG,
        BlockDeviceMappings=_VOLUMES,
        MetadataOptions=optional(
            HttpTokens=st.sampled_from(["required", "optional"]),
            HttpPutResponseHopLimit=whole(1, 64),
            InstanceMetadataTags=st.just("enabled"),
        ),
        Tags=_tags(LETTERS | st.booleans()),
        Tenancy=st.sampled_from(["default", "dedicated"]),
        LaunchTemplate=merged(
            required(LaunchTemplateId=identifier("lt")) | just(LaunchTemplateName="mine"),
            required(Version=st.sampled_from([3, "3"])),
        ),
        DisableApiTermination=FLAG,
        EbsOptimized=FLAG,
        SourceDestCheck=FLAG,
        InstanceInitiatedShutdownBehavior=st.sampled_from(["stop", "terminate"]),
        PlacementGroupName=st.sampled_from(["mine", 7]),
        PropagateTagsToVolumeOnCreation=FLAG,
        AdditionalInfo=LETTERS,
        PrivateDnsNameOptions=optional(
            EnableResourceNameDnsARecord=FLAG, HostnameType=st.sampled_from(["ip-name", "resource-name"])
        ),
        Volumes=required(Device=st.just("/dev/sdh"), VolumeId=identifier("vol")).map(lambda one: [one]),
        SsmAssociations=just(
            DocumentName="doc", AssociationParameters=[{"Key": "a", "Value": ["b", 5]}],
        ).map(lambda one: [one]),
        LicenseSpecifications=st.just(
            [{"LicenseConfigurationArn": "arn:aws:license-manager:eu-west-2:111111111111:license-configuration:lic-1"}]
        ),
    ),
    st.one_of(
        st.just({}),
        required(CpuOptions=required(CoreCount=whole(1, 2), ThreadsPerCore=whole(1, 2))),
        required(CreditSpecification=required(CPUCredits=st.sampled_from(["standard", "unlimited"]))),
        required(EnclaveOptions=required(Enabled=FLAG)),
        required(HibernationOptions=required(Configured=FLAG)),
    ),
)  # fmt: skip
"""Properties of AWS::EC2::Instance."""

ARN = st.sampled_from(
    [
        "arn:aws:sns:eu-west-1:123456789012:topic",
        "arn:aws:automate:eu-west-2:ec2:reboot",
        "arn:aws:lambda:eu-west-2:123456789012:function:mine",
        "arn:aws:ssm:eu-west-2:123456789012:opsitem:3",
    ]
)
ACTIONS = st.lists(
    st.sampled_from(["terminate", "stop", "reboot", "recover"]) | ARN, min_size=1, max_size=3, unique=True
)
PERIODS = st.sampled_from(
    [{"Period": 60, "EvaluationPeriods": 10}, {"Period": "30", "EvaluationPeriods": "1"}]
) | required(Period=st.sampled_from([60, 300, "3600"]), EvaluationPeriods=whole(1, 24))
_THRESHOLD = required(Threshold=st.sampled_from(["5", 0.5, 80, -1, "1e3"]))
_COMPARISON = required(
    ComparisonOperator=st.sampled_from(["LessThanThreshold", "GreaterThanThreshold", "GreaterThanOrEqualToThreshold"])
)
_METRICS = st.sampled_from(
    [
        [
            {"Id": "cpu", "ReturnData": False, "MetricStat": {
                "Stat": "Average", "Period": 60,
                "Metric": {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization",
                           "Dimensions": [{"Name": "InstanceId", "Value": "i-0123456789abcdef0"}]}}},
            {"Id": "e1", "Expression": "cpu * 2", "Label": "double"},
        ],
    ]
)  # fmt: skip
ALARM = merged(
    st.one_of(
        merged(
            required(
                MetricName=st.sampled_from(["CPUUtilization", "NetworkIn", "StatusCheckFailed_System"]),
                Namespace=st.sampled_from(["AWS/EC2", "Mine/日 x"]),
            ),
            st.sampled_from([{"Statistic": "Average"}, {"ExtendedStatistic": "p99"}, {"Statistic": "Maximum"}]),
            PERIODS,
            _THRESHOLD,
            optional(Unit=st.sampled_from(["Percent", "Bytes"])),
        ),
        merged(required(Metrics=_METRICS, EvaluationPeriods=whole(1, 5)), _THRESHOLD),
    ),
    _COMPARISON,
    optional(
        AlarmActions=ACTIONS,
        OKActions=ACTIONS,
        InsufficientDataActions=ACTIONS,
        ActionsEnabled=FLAG,
        AlarmDescription=LETTERS | st.just("a $ { } # : text"),
        TreatMissingData=st.sampled_from(["missing", "breaching", "notBreaching", "ignore"]),
        DatapointsToAlarm=st.sampled_from([1, "1"]),
        Tags=_tags(st.sampled_from(["a", "ß 日", 5])),
    ),
)
"""Properties of AWS::CloudWatch::Alarm."""

_REGIONAL = re.compile(r"arn:aws:([a-z-]+):[a-z0-9-]+:")
_OF_AWS = re.compile(r"(ami|eni|lt|sg|snap|subnet|vol)-([0-9a-f]+)")


def at_home(factory: dict[str, Any]) -> None:
    """Make every ARN of a plan one of the region that uses it (an alarm may be in several: there it has none), every
    id and IPv6 address one of its own, and no alarm on an expression act on its instance.
    """
    alarms = factory.get("alarms", {})
    watched: dict[str, set[str | None]] = {name: set() for name in alarms}
    fresh = count(1)
    for stage in factory["stages"].values():
        for sector in (one for one in stage.values() if isinstance(one, dict) and one.get("type") == "aws"):
            region = sector.get("region_name")
            sector["parameters"] = _moved(sector["parameters"], region, fresh)
            if "alarm" in sector:
                watched[sector["alarm"]].add(region)
    for name, alarm in alarms.items():
        regions = watched[name]
        region = next(iter(regions)) if len(regions) == 1 else None
        for key in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            actions = [_moved(action, region, fresh) for action in alarm.get(key, ())]
            kept = [one for one in actions if "Metrics" not in alarm or (":" in one and ":ec2:" not in one)]
            if key in alarm:
                alarm[key] = list(dict.fromkeys(kept))


def _moved(value: Any, region: str | None, fresh: Iterator[int]) -> Any:
    match value:
        case dict():
            return {key: item if key == "Tags" else _moved(item, region, fresh) for key, item in value.items()}
        case list():
            return [_moved(item, region, fresh) for item in value]
        case str() if value.startswith("2001:db8::"):
            return f"2001:db8::{next(fresh):x}"
        case str() if found := _OF_AWS.fullmatch(value):
            return f"{found[1]}-{next(fresh):0{len(found[2])}x}"
        case str() if value.startswith("arn:aws:kms:") and region is None:  # the ARN of a key names a region
            return "alias/mine"
        case str():
            partition = partitions()[region] if region else "aws"
            return _REGIONAL.sub(rf"arn:{partition}:\1:{region or ''}:", value)
    return value
