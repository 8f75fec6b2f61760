"""The changes of a plan that the tests of agreement try, each with the verdict that a person gives on its sectors.

Every key of the plan language that reaches a template is in it, and every property of AWS::EC2::Instance and of
AWS::CloudWatch::Alarm that a plan may have. What a property does is written here by hand, from `Update requires` in
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-instance.html and
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from versions import Edit, Version, base, code, drop, edited, locked, pinned, put, rename, script, turn

ADDED, REMOVED, REPLACED, RESTARTED, CHANGED, UNCHANGED = (
    "added",
    "removed",
    "replaced",
    "restarted",
    "changed",
    "unchanged",
)


@dataclass(frozen=True)
class PlanChange:
    """Edits of the base plan. `verdicts` are the right ones, by sector; the others are unchanged. `first` are edits of
    both sides. Without `runs` the emulator cannot update to it, and only its change set is compared.
    `fast` ones are held against `cdk diff` in every run.
    """

    name: str
    verdicts: Mapping[str, str]
    edits: tuple[Edit, ...]
    first: tuple[Edit, ...] = ()
    runs: bool = True
    fast: bool = False

    def before(self, factory: str = "agree") -> Version:
        """The older version."""
        return edited(base(factory), self.first)

    def after(self, factory: str = "agree") -> Version:
        """The newer version."""
        return edited(self.before(factory), self.edits)


BOX, NET, FAR, DESK = (f"stages dev {sector}" for sector in ("box", "net", "far", "desk"))
AWS = ("box", "net", "far")
GROUPS = ["sg-0123456789abcdef0", "sg-0123456789abcdef1"]
_ARN = "arn:aws:license-manager:eu-west-2:111111111111:license-configuration:lic-0123456789abcdef0123456789abcdef"
_HOSTS = "arn:aws:resource-groups:eu-west-2:111111111111:group/hosts"
_METRICS = [
    {
        "Id": "cpu",
        "MetricStat": {
            "Metric": {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization"},
            "Period": 60,
            "Stat": "Average",
        },
    },
]

INSTANCE: Mapping[str, tuple[str, str, Any]] = {
    # property: the sector whose parameter it becomes, its verdict, a value
    "AdditionalInfo": (BOX, RESTARTED, "reserved"),
    "Affinity": (BOX, RESTARTED, "host"),
    "AvailabilityZone": (FAR, REPLACED, "eu-west-1a"),
    "BlockDeviceMappings": (FAR, REPLACED, [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30}}]),
    "CpuOptions": (BOX, REPLACED, {"CoreCount": 1, "ThreadsPerCore": 1}),
    "CreditSpecification": (BOX, CHANGED, {"CPUCredits": "standard"}),
    "DisableApiTermination": (BOX, CHANGED, True),
    "EbsOptimized": (BOX, RESTARTED, True),
    "ElasticGpuSpecifications": (BOX, REPLACED, [{"Type": "eg1.medium"}]),
    "ElasticInferenceAccelerators": (BOX, REPLACED, [{"Type": "eia1.medium", "Count": 1}]),
    "EnclaveOptions": (BOX, REPLACED, {"Enabled": True}),
    "HibernationOptions": (BOX, REPLACED, {"Configured": True}),
    "HostId": (BOX, RESTARTED, "h-0123456789abcdef0"),
    "HostResourceGroupArn": (BOX, REPLACED, _HOSTS),
    "ImageId": (BOX, REPLACED, "ami-0123456789abcdef1"),
    "InstanceInitiatedShutdownBehavior": (BOX, CHANGED, "stop"),
    "InstanceType": (BOX, RESTARTED, "t3.large"),
    "Ipv6AddressCount": (BOX, REPLACED, 1),
    "Ipv6Addresses": (BOX, REPLACED, [{"Ipv6Address": "2001:db8::1"}]),
    "KernelId": (BOX, RESTARTED, "aki-0123456789abcdef0"),
    "KeyName": (BOX, REPLACED, "ann"),
    "LaunchTemplate": (BOX, REPLACED, {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "1"}),
    "LicenseSpecifications": (BOX, REPLACED, [{"LicenseConfigurationArn": _ARN}]),
    "MetadataOptions": (BOX, CHANGED, {"HttpPutResponseHopLimit": 2}),
    "Monitoring": (BOX, CHANGED, True),
    "NetworkInterfaces": (FAR, REPLACED, [{"DeviceIndex": "0", "SubnetId": "subnet-0123456789abcdef0"}]),
    "PlacementGroupName": (BOX, REPLACED, "near"),
    "PrivateDnsNameOptions": (BOX, RESTARTED, {"HostnameType": "resource-name"}),
    "PrivateIpAddress": (BOX, REPLACED, "10.0.0.7"),
    "PropagateTagsToVolumeOnCreation": (BOX, CHANGED, False),
    "RamdiskId": (BOX, RESTARTED, "ari-0123456789abcdef0"),
    "SecurityGroupIds": (BOX, CHANGED, GROUPS),
    "SecurityGroups": (FAR, REPLACED, ["open"]),
    "SourceDestCheck": (BOX, CHANGED, False),
    "SsmAssociations": (BOX, CHANGED, [{"DocumentName": "AWS-RunPatchBaseline"}]),
    "SubnetId": (FAR, REPLACED, "subnet-0123456789abcdef1"),
    "Tags": (FAR, CHANGED, [{"Key": "cost", "Value": "low"}]),
    "Tenancy": (BOX, RESTARTED, "dedicated"),
    "Volumes": (BOX, CHANGED, [{"Device": "/dev/sdf", "VolumeId": "vol-0123456789abcdef0"}]),
}
"""The properties that a plan may give an instance. UserData and IamInstanceProfile are factory_cdk's own."""

ALARM: Mapping[str, Any] = {
    "ActionsEnabled": False,
    "AlarmActions": ["stop", "arn:aws:sns:eu-west-2:111111111111:ops"],
    "AlarmDescription": "idles",
    "ComparisonOperator": "LessThanOrEqualToThreshold",
    "DatapointsToAlarm": 3,
    "EvaluationPeriods": 12,
    "InsufficientDataActions": ["arn:aws:sns:eu-west-2:111111111111:ops"],
    "MetricName": "NetworkIn",
    "Namespace": "Custom/EC2",
    "OKActions": ["arn:aws:sns:eu-west-2:111111111111:ops"],
    "Period": 300,
    "Statistic": "Maximum",
    "Tags": [{"Key": "kind", "Value": "idle"}],
    "Threshold": 7.5,
    "TreatMissingData": "breaching",
    "Unit": "Percent",
}
"""The properties of an alarm that change it where it is, each with another value than the base plan's."""


def _instance() -> Iterator[PlanChange]:
    for name, (sector, verdict, value) in INSTANCE.items():
        label = sector.rpartition(" ")[2]
        yield PlanChange(f"instance {name}", {label: verdict}, (put(f"{sector} parameters {name}", value),))


def _of_box(name: str, verdict: str, *edits: Edit, fast: bool = False, first: tuple[Edit, ...] = ()) -> PlanChange:
    return PlanChange(name, {"box": verdict}, edits, first, fast=fast)


_BDM = f"{BOX} parameters BlockDeviceMappings"
_ENI = f"{NET} parameters NetworkInterfaces 0"


def _nested() -> Iterator[PlanChange]:
    yield _of_box("volume DeleteOnTermination", CHANGED, put(f"{_BDM} 0 Ebs DeleteOnTermination", False), fast=True)
    yield _of_box("volume DeleteOnTermination said", CHANGED, put(f"{_BDM} 1 Ebs DeleteOnTermination", True))
    yield _of_box("volume size", REPLACED, put(f"{_BDM} 0 Ebs VolumeSize", 16), fast=True)
    yield _of_box("volume type", REPLACED, put(f"{_BDM} 0 Ebs VolumeType", "gp3"))
    yield _of_box("volume encrypted", REPLACED, put(f"{_BDM} 1 Ebs Encrypted", True))
    yield _of_box(
        "volume added",
        REPLACED,
        put(
            _BDM,
            [
                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}},
                {"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 20}},
                {"DeviceName": "/dev/xvdc", "Ebs": {"VolumeSize": 5}},
            ],
        ),
    )
    yield _of_box("volume gone", REPLACED, drop(f"{_BDM} 1"))
    yield _of_box("volumes gone", REPLACED, drop(_BDM))
    yield _of_box("volumes in another order", UNCHANGED, turn(_BDM), fast=True)
    yield _of_box("volume size as text", UNCHANGED, put(f"{_BDM} 0 Ebs VolumeSize", "8"), fast=True)
    for key, value in {
        "AssociatePublicIpAddress": True,
        "GroupSet": GROUPS,
        "SubnetId": "subnet-0123456789abcdef1",
        "DeleteOnTermination": True,
    }.items():
        yield PlanChange(f"interface {key}", {"net": REPLACED}, (put(f"{_ENI} {key}", value),))
    yield PlanChange("interface index as a number", {}, (put(f"{_ENI} DeviceIndex", 0),))
    yield _of_box("another security group", CHANGED, put(f"{BOX} parameters SecurityGroupIds", [GROUPS[1]]))
    yield _of_box("subnet other", REPLACED, put(f"{BOX} parameters SubnetId", "subnet-0123456789abcdef1"))
    yield _of_box("instance tag value", CHANGED, put(f"{BOX} parameters Tags 0 Value", "high"))
    yield _of_box("instance tag gone", CHANGED, drop(f"{BOX} parameters Tags 1"))
    yield _of_box("instance tags in another order", UNCHANGED, turn(f"{BOX} parameters Tags"), fast=True)
    yield _of_box(
        "instance Name by the plan", CHANGED, put(f"{BOX} parameters Tags 0", {"Key": "Name", "Value": "my box"})
    )
    yield _of_box(
        "metadata without a token", CHANGED, put(f"{BOX} parameters MetadataOptions", {"HttpTokens": "optional"})
    )
    yield _of_box(
        "metadata as it is anyway", UNCHANGED, put(f"{BOX} parameters MetadataOptions", {"HttpTokens": "required"})
    )
    yield _of_box(
        "credits other",
        CHANGED,
        put(f"{BOX} parameters CreditSpecification CPUCredits", "unlimited"),
        first=(put(f"{BOX} parameters CreditSpecification", {"CPUCredits": "standard"}),),
    )
    yield _of_box(
        "true as text",
        UNCHANGED,
        put(f"{BOX} parameters Monitoring", "true"),
        first=(put(f"{BOX} parameters Monitoring", True),),
    )
    yield _of_box(
        "a free and a replacing property",
        REPLACED,
        put(f"{BOX} parameters Monitoring", True),
        put(f"{BOX} parameters KeyName", "ann"),
    )
    yield _of_box(
        "a free and a stopping property",
        RESTARTED,
        put(f"{BOX} parameters Monitoring", True),
        put(f"{BOX} parameters EbsOptimized", True),
    )
    yield PlanChange(
        "interfaces to a subnet",
        {"net": REPLACED},
        (drop(f"{NET} parameters NetworkInterfaces"), put(f"{NET} parameters SubnetId", "subnet-0123456789abcdef0")),
    )
    yield PlanChange(
        "the script of instances", dict.fromkeys(AWS, RESTARTED), (script("# of another version\n"),), fast=True
    )


def _alarms() -> Iterator[PlanChange]:
    for key, value in ALARM.items():
        yield _of_box(f"alarm {key}", CHANGED, put(f"alarms idle {key}", value), fast=key in ("Threshold", "Period"))
    yield _of_box(
        "alarm ExtendedStatistic", CHANGED, drop("alarms idle Statistic"), put("alarms idle ExtendedStatistic", "p90")
    )
    yield _of_box(
        "alarm EvaluateLowSampleCountPercentile",
        CHANGED,
        put("alarms idle EvaluateLowSampleCountPercentile", "ignore"),
        first=(drop("alarms idle Statistic"), put("alarms idle ExtendedStatistic", "p90")),
    )
    yield _of_box("alarm AlarmName", CHANGED, put("alarms idle AlarmName", "idle-box"))
    yield _of_box(
        "alarm AlarmName other",
        CHANGED,
        put("alarms idle AlarmName", "idle-two"),
        first=(put("alarms idle AlarmName", "idle-one"),),
    )
    yield PlanChange(
        "alarm Metrics",
        {"box": CHANGED},
        (
            *(drop(f"alarms idle {key}") for key in ("MetricName", "Namespace", "Statistic", "Period")),
            put("alarms idle Metrics", _METRICS),
        ),
        runs=False,  # the emulator has no alarms with Metrics
    )
    yield _of_box("alarm threshold as text", UNCHANGED, put("alarms idle Threshold", 5))
    yield _of_box("alarm threshold as a decimal", UNCHANGED, put("alarms idle Threshold", 5.0))
    yield _of_box("alarm gone", CHANGED, drop(f"{BOX} alarm"), fast=True)
    yield PlanChange("alarm added", {"net": CHANGED}, (put(f"{NET} alarm", "busy"),), fast=True)
    yield _of_box("another alarm", CHANGED, put(f"{BOX} alarm", "busy"))
    yield _of_box("alarm renamed", UNCHANGED, rename("alarms idle", "lazy"), put(f"{BOX} alarm", "lazy"))
    yield PlanChange("alarm that nobody uses", {}, (drop("alarms busy"),))


def _bots() -> Iterator[PlanChange]:
    yield _of_box("bot added to a sector", CHANGED, put(f"{BOX} bots second", {}), fast=True)
    yield PlanChange(
        "bot removed from a sector", {"box": CHANGED}, (drop(f"{BOX} bots second"),), (put(f"{BOX} bots second", {}),)
    )
    yield PlanChange(
        "bot renamed",
        {"net": CHANGED, "box": CHANGED},
        (
            rename("bots second", "weld"),
            rename(f"{NET} bots second", "weld"),
            put("workflows flow", {"first": "weld"}),
            put("workflows longer", {"first": "weld"}),
        ),
        fast=True,
    )
    yield PlanChange(
        "bots in another order", {"box": CHANGED}, (turn(f"{BOX} bots"),), (put(f"{BOX} bots second", {}),)
    )
    for key, value in {
        "processes": 4,
        "skip-ini": True,
        "stop": True,
        "meta": {"owner": "ann"},
        "max-attempts": 5,
        "timeout": 60,
        "visibility-timeout": 300,
        "batch": 5,
        "python": "3.12",
        "config": {"MODE": "x"},
        "secrets": ["TOKEN", "KEY"],
        "workflow": ["third"],
        "queue-name": "jobs",
    }.items():
        yield _of_box(
            f"argument {key}",
            CHANGED,
            put(f"{BOX} bots first {key}", value),
            fast=key in ("processes", "queue-name", "visibility-timeout", "workflow"),
        )
    alone = drop("stages dev workflow")
    yield _of_box("launcher qalx", CHANGED, put(f"{BOX} bots first launcher", "qalx"), first=(alone,))
    qalx = (alone, put(f"{BOX} bots first launcher", "qalx"))
    for key in ("qalx-session-class", "user-config-class", "bot-config-class", "entity-class"):
        yield _of_box(f"argument {key}", CHANGED, put(f"{BOX} bots first {key}", "package.module:Thing"), first=qalx)
    yield _of_box("argument said as it is anyway", UNCHANGED, put(f"{BOX} bots first processes", 1))
    yield _of_box(
        "argument in another spelling",
        UNCHANGED,
        put(f"{BOX} bots first", {"--processes": 3}),
        first=(put(f"{BOX} bots first", {"p": 3}),),
    )
    yield _of_box("sector python", CHANGED, put(f"{BOX} python", "3.12"))
    python = (put(f"{BOX} python", "3.12"),)
    build = put(f"{BOX} python-build", f"python.tar.gz#sha256={'0' * 64}")
    yield _of_box("sector offline", CHANGED, put(f"{BOX} offline", True), first=python)
    yield _of_box("sector python-build", CHANGED, build, first=(*python, put(f"{BOX} offline", True)))
    yield _of_box("bot_path", CHANGED, put("bots first bot_path", "bots:other"))
    yield _of_box("command", CHANGED, drop("bots first bot_path"), put("bots first command", ["./first"]))
    yield _of_box("code", CHANGED, code("first", "two"), fast=True)
    yield PlanChange("code that runs in two places", {"far": CHANGED, "desk": CHANGED}, (code("third", "two"),))
    yield _of_box("requirements locked", CHANGED, locked("first", "requests==2.32.5"))
    yield _of_box(
        "requirements other", CHANGED, locked("first", "requests==2.32.5"), first=(locked("first", "requests==2.32.4"),)
    )
    yield _of_box("version of the source", UNCHANGED, put("bots first source version", "2"))
    yield PlanChange(
        "bot that nobody runs",
        {},
        (put("bots fourth", {"source": {"pypi": "fourth", "version": "1"}, "bot_path": "b:c"}),),
    )


def _values() -> Iterator[PlanChange]:
    large = {f"KEY_{number}": "x" * 900 for number in range(9)}
    everywhere = dict.fromkeys((*AWS, "desk"), CHANGED)
    yield PlanChange("config of the factory", everywhere, (put("config LEVEL", "debug"),), fast=True)
    yield PlanChange("config of the stage", everywhere, (put("stages dev config", {"MODE": "x"}),))
    yield _of_box("config of a sector", CHANGED, put(f"{BOX} config", {"MODE": "x"}))
    yield _of_box("config of a bot", CHANGED, put("bots first config", {"MODE": "x"}))
    for name, value in {"as text": "5", "as a decimal": 5.0, "in a list": [5]}.items():
        first = (put("bots first config", {"COUNT": 5}),)
        yield _of_box(f"config number {name}", CHANGED, put("bots first config COUNT", value), first=first)
    flag = (put("bots first config", {"FLAG": True, "LIST": [{"Key": "a"}, {"Key": "b"}]}),)
    yield _of_box("config true as 1", CHANGED, put("bots first config FLAG", 1), first=flag)
    yield _of_box("config list in another order", CHANGED, turn("bots first config LIST"), first=flag)
    yield _of_box(
        "config null gone", CHANGED, drop("bots first config FLAG"), first=(*flag, put("bots first config FLAG", None))
    )
    yield _of_box(
        "argument meta number as text",
        CHANGED,
        put("stages dev box bots first meta n", "1"),
        first=(put("stages dev box bots first meta", {"n": 1}),),
    )
    yield PlanChange("config gone", everywhere, (drop("config"),))
    yield _of_box("config over 4 KB", CHANGED, put(f"{BOX} config", large), fast=True)
    yield _of_box(
        "config over 4 KB to over 8 KB",
        CHANGED,
        put(f"{BOX} config", large),
        first=(put(f"{BOX} config", dict([*large.items()][:5])),),
    )
    yield _of_box(
        "config that a nearer one hides",
        UNCHANGED,
        put(f"{BOX} config", {"LEVEL": "warn"}),
        first=(put(f"{BOX} config", {"LEVEL": "hidden"}), put("bots first config", {"LEVEL": "near"})),
    )
    yield _of_box(
        "config becomes a secret",
        CHANGED,
        drop("bots first config"),
        put("bots first secrets", ["TOKEN", "MODE"]),
        first=(put("bots first config", {"MODE": "x"}),),
    )
    yield _of_box("secret added", CHANGED, put("bots first secrets", ["TOKEN", "KEY"]), fast=True)
    yield _of_box("secret gone", CHANGED, drop("bots first secrets"), fast=True)
    # Another set of values is another secret, made empty; the old one stays as it is.
    yield _of_box("secret from a variable", CHANGED, put("bots first secrets", {"TOKEN": {"env": "OTHER"}}))
    yield _of_box(
        "secret that exists", CHANGED, put("bots first secrets", {"TOKEN": {"secret": "prod/token"}}), fast=True
    )
    yield _of_box(
        "secret of another key",
        CHANGED,
        put("bots first secrets", {"TOKEN": {"secret": "prod/token", "key": "B"}}),
        first=(put("bots first secrets", {"TOKEN": {"secret": "prod/token", "key": "A"}}),),
    )
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    all_but = {"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}
    yield _of_box("policy statement", CHANGED, put("stages dev box policies", [everything]), fast=True)
    yield _of_box(
        "policy statement wider",
        CHANGED,
        put("stages dev box policies", [{**all_but, "NotAction": "sts:*"}]),
        first=(put("stages dev box policies", [all_but]),),
    )
    yield PlanChange("secret of another bot", {"net": CHANGED}, (put("bots second secrets", ["PASSWORD"]),))
    yield PlanChange("secret of the factory", everywhere, (put("secrets", ["SHARED"]),))
    yield PlanChange("tag value", dict.fromkeys(AWS, CHANGED), (put("tags team", "ops"),), fast=True)
    yield PlanChange("tag added", dict.fromkeys(AWS, CHANGED), (put("tags cost", "7"),))
    yield PlanChange("tag gone", dict.fromkeys(AWS, CHANGED), (drop("tags team"),))
    yield PlanChange("tags in another order", {}, (turn("tags"),), (put("tags", {"team": "cfd", "cost": "7"}),))
    yield PlanChange("meta", {}, (put("meta owner", "bob"),), fast=True)
    yield PlanChange("meta gone", {}, (drop("meta"),))
    yield PlanChange("debug", {}, (put("debug", {"demolish_on_failure": False}),))
    yield PlanChange("protect", {}, (put("stages dev protect", True),), fast=True)


def _stage() -> Iterator[PlanChange]:
    everywhere = dict.fromkeys((*AWS, "desk"), CHANGED)
    yield PlanChange(
        "workflow other", {"box": UNCHANGED, "net": CHANGED}, (put("stages dev workflow", "longer"),), fast=True
    )
    yield PlanChange("workflow edge gone", {"box": CHANGED}, (put("workflows flow", ["first", "second"]),))
    yield PlanChange("workflow edge added", {"box": CHANGED}, (put("workflows flow", {"first": ["second", "third"]}),))
    yield PlanChange("workflow renamed", {}, (rename("workflows flow", "stream"), put("stages dev workflow", "stream")))
    yield PlanChange("workflow gone", {"box": CHANGED}, (drop("stages dev workflow"),))
    new = {
        "type": "aws",
        "region_name": "eu-west-2",
        "parameters": {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.nano"},
        "bots": {"third": {}},
    }
    yield PlanChange("sector added", {"new": ADDED}, (put("stages dev new", new),), fast=True)
    yield PlanChange(
        "sector added in a new region", {"new": ADDED}, (put("stages dev new", {**new, "region_name": "eu-central-1"}),)
    )
    yield PlanChange("sector added, Windows", {"new": ADDED}, (put("stages dev new", {**new, "platform": "windows"}),))
    yield PlanChange(
        "sector local added", {"new": ADDED}, (put("stages dev new", {"type": "local", "bots": {"third": {}}}),)
    )
    yield PlanChange(
        "sector gone", {"net": REMOVED, "box": CHANGED}, (drop(NET), drop("stages dev workflow")), fast=True
    )
    yield PlanChange("sector gone with its region", {"far": REMOVED}, (drop(FAR),), fast=True)
    yield PlanChange("sector local gone", {"desk": REMOVED}, (drop(DESK),))
    yield PlanChange("sector renamed", {"net": REMOVED, "web": ADDED, "box": CHANGED}, (rename(NET, "web"),), fast=True)
    yield PlanChange("sectors in another order", {}, (turn("stages dev"),), fast=True)
    yield PlanChange(
        "sector to another region with a stack", {"far": REPLACED}, (put(f"{FAR} region_name", "eu-west-2"),), fast=True
    )
    yield PlanChange("sector to a new region", {"net": REPLACED}, (put(f"{NET} region_name", "eu-central-1"),))
    yield PlanChange(
        "sector to this machine", {"far": REPLACED}, (put(FAR, {"type": "local", "bots": {"third": {}}}),), fast=True
    )
    yield PlanChange("sector from this machine", {"desk": REPLACED}, (put(DESK, {**new, "bots": {"third": {}}}),))
    yield PlanChange("sector to Windows", {"net": REPLACED}, (put(f"{NET} platform", "windows"),), fast=True)
    yield PlanChange(
        "sector to another stack",
        {"net": REPLACED},
        (pinned("net", "eu-west-2-2"),),
        (pinned("box", "eu-west-2"),),
        fast=True,
    )
    yield PlanChange(
        "sector back to the first stack",
        {"net": REPLACED},
        (pinned("net", "eu-west-2"),),
        (pinned("box", "eu-west-2"), pinned("net", "eu-west-2-2")),
    )
    yield PlanChange("home region", everywhere, (put("stages dev home_region", "eu-west-1"),), fast=True)
    yield PlanChange("home region said as it is anyway", {}, (drop("stages dev home_region"),))
    yield PlanChange("factory renamed", dict.fromkeys(AWS, REPLACED), (put("name", "another"),), fast=True)
    yield PlanChange("nothing", {}, (), fast=True)


def _combined() -> Iterator[PlanChange]:
    yield PlanChange(
        "type, tags and threshold",
        {"box": RESTARTED, "net": CHANGED, "far": CHANGED},
        (put(f"{BOX} parameters InstanceType", "t3.large"), put("tags team", "ops"), put("alarms idle Threshold", 6)),
        fast=True,
    )
    yield PlanChange(
        "image and alarm's name",
        {"box": REPLACED},
        (put(f"{BOX} parameters ImageId", "ami-0123456789abcdef1"), put("alarms idle AlarmName", "idle-box")),
    )
    yield PlanChange(
        "image and alarm gone",
        {"box": REPLACED},
        (put(f"{BOX} parameters ImageId", "ami-0123456789abcdef1"), drop(f"{BOX} alarm")),
    )
    yield PlanChange(
        "sector gone, another to its region",
        {"far": REMOVED, "net": REPLACED},
        (drop(FAR), put(f"{NET} region_name", "eu-west-1"), put(f"{NET} bots", {"second": {}, "third": {}})),
    )


CHANGES: tuple[PlanChange, ...] = (
    *_instance(),
    *_nested(),
    *_alarms(),
    *_bots(),
    *_values(),
    *_stage(),
    *_combined(),
)
BY_NAME = {change.name: change for change in CHANGES}
assert len(BY_NAME) == len(CHANGES)
