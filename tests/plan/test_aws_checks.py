"""F5: instances, alarms, tags and regions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plan_texts import AWS, LOCAL, Case, errors, load, prove

from factory_cdk.plan.checks.alarms import ALARM_VERBS
from factory_cdk.plan.facts import partitions

TYPE = "          InstanceType: t3.micro\n"
REGION = "        region_name: eu-west-2\n"
ALARM = "      Threshold: '5'\n"
BOTS = "        bots:\n          first:\n"
FAR = """\
      far:
        type: aws
        region_name: §cn-north-1
        parameters: {ImageId: a, InstanceType: t3.micro}
        bots: {first: }
"""
UNBOUNDED = """\
    §other:
      MetricName: a
      Namespace: b
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      ComparisonOperator: LessThanThreshold
"""


def parameter(text: str) -> str:
    """One more parameter of the instance."""
    return f"{TYPE}          {text}\n"


def alarm(text: str) -> str:
    """One more property of the alarm."""
    return f"{ALARM}      {text}\n"


def aws(
    title: str, code: str, old: str, new: str, says: tuple[str, ...], hint: str = "", **more: tuple[str, ...]
) -> Case:
    return Case(title, code, old, new, says, hint, base=AWS, **more)


CASES = [
    aws(
        "an instance type that is none",
        "F504",
        "InstanceType: t3.micro",
        "InstanceType: §t3micro",
        ("`t3micro`",),
        "t3.micro",
    ),
    aws(
        "a control character in a property",
        "F114",
        "InstanceType: t3.micro",
        'InstanceType: t3.micro\n          KeyName: §"a\\x01"',
        ("U+0001",),
        "remove it: templates",
    ),
    # what an instance needs
    aws(
        "no parameters",
        "F501",
        "      box:\n",
        "      §bare: {type: aws, region_name: eu-west-2, bots: {first: }}\n      box:\n",
        ("`bare`", "`parameters`"),
        "`ImageId` and `InstanceType`",
    ),
    aws(
        "no image",
        "F501",
        "        parameters:\n          ImageId: ami-0123456789abcdef0\n",
        "        §parameters:\n",
        ("`box`", "`ImageId`"),
        "ami-",
    ),
    aws(
        "no instance type",
        "F501",
        "        parameters:\n          ImageId: ami-0123456789abcdef0\n" + TYPE,
        "        §parameters:\n          ImageId: ami-0123456789abcdef0\n",
        ("`box`", "`InstanceType`"),
        "t3.micro",
    ),
    aws(
        "an empty instance type",
        "F501",
        "        parameters:\n          ImageId: ami-0123456789abcdef0\n" + TYPE,
        "        §parameters:\n          ImageId: ami-0123456789abcdef0\n          InstanceType: ''\n",
        ("`InstanceType`",),
        "t3.micro",
    ),
    # properties that do not exist
    aws(
        "an unknown property",
        "F502",
        TYPE,
        parameter("§KeyNam: k"),
        ("AWS::EC2::Instance", "`KeyNam`"),
        "did you mean `KeyName`?",
    ),
    aws(
        "an unknown property deep inside",
        "F502",
        TYPE,
        parameter("NetworkInterfaces: [{DeviceIndex: 0, §SubnetID: x}]"),
        ("`NetworkInterfaces[0].SubnetID`",),
        "did you mean `SubnetId`?",
    ),
    aws("a misspelled image", "F502", TYPE, parameter("§ImageID: x"), ("`ImageID`",), "did you mean `ImageId`?"),
    # types
    aws("a list for a text", "F503", TYPE, parameter("KeyName: §[a]"), ("`KeyName`", "text", "a list")),
    aws(
        "a text for a list",
        "F503",
        TYPE,
        parameter("SecurityGroupIds: §sg-01234567"),
        ("`SecurityGroupIds`", "a list", "`sg-01234567`"),
        "- value",
    ),
    aws(
        "a text for a truth",
        "F503",
        TYPE,
        parameter("EbsOptimized: §'yes'"),
        ("`EbsOptimized`", "true or false", "`yes`"),
    ),
    aws(
        "a text for a number",
        "F503",
        TYPE,
        parameter("BlockDeviceMappings: [{DeviceName: a, Ebs: {VolumeSize: §big}}]"),
        ("`BlockDeviceMappings[0].Ebs.VolumeSize`", "a whole number", "`big`"),
    ),
    aws(
        "other digits than ours",
        "F503",
        TYPE,
        parameter("BlockDeviceMappings: [{DeviceName: a, Ebs: {VolumeSize: §'٣'}}]"),
        ("a whole number",),
    ),
    aws(
        "a fraction for a whole number",
        "F503",
        TYPE,
        parameter("BlockDeviceMappings: [{DeviceName: a, Ebs: {VolumeSize: §1.5}}]"),
        ("a whole number", "1.5"),
    ),
    aws("nothing for a text", "F503", TYPE, parameter("KeyName:§"), ("`KeyName`", "null")),
    aws("a Ref", "F503", TYPE, parameter("KeyName: §{Ref: Key}"), ("`KeyName`", "a mapping"), "functions are not part"),
    aws(
        "a Fn::Sub",
        "F503",
        TYPE,
        parameter("KeyName: §{'Fn::Sub': '${AWS::Region}'}"),
        ("`KeyName`",),
        "functions are not part",
    ),
    # values
    aws(
        "a property that AWS sets", "F504", TYPE, parameter("§PublicIp: 1.2.3.4"), ("`PublicIp`", "itself"), "remove it"
    ),
    aws(
        "a value that is not one of those",
        "F504",
        TYPE,
        parameter("Affinity: §none"),
        ("`Affinity`", "`none`"),
        "known",
    ),
    aws(
        "a missing part of a part",
        "F504",
        TYPE,
        parameter("NetworkInterfaces: [§{SubnetId: subnet-01234567}]"),
        ("missing `DeviceIndex` in `NetworkInterfaces[0]`",),
    ),
    aws(
        "a launch template without a version",
        "F504",
        TYPE,
        parameter("§LaunchTemplate: {LaunchTemplateName: x}"),
        ("`LaunchTemplate`", "`Version`"),
    ),
    # what is ours
    aws("user-data", "F505", TYPE, parameter("§UserData: x"), ("`UserData`",), "remove it"),
    aws(
        "an instance profile", "F505", TYPE, parameter("§IamInstanceProfile: x"), ("`IamInstanceProfile`",), "remove it"
    ),
    # regions
    aws(
        "a region that does not exist",
        "F506",
        REGION,
        "        region_name: §eu-west-22\n",
        ("`eu-west-22`",),
        "did you mean `eu-west-2`?",
    ),
    aws(
        "a zone as a region",
        "F506",
        REGION,
        "        region_name: §eu-west-2a\n",
        ("`eu-west-2a`",),
        "did you mean `eu-west-2`?",
    ),
    aws(
        "a home region that does not exist",
        "F506",
        "      box:\n",
        "      home_region: §mars-north-1\n      box:\n",
        ("`mars-north-1`",),
        "did you mean",
    ),
    aws(
        "two partitions in one stage",
        "F506",
        "  alarms:",
        FAR + "  alarms:",
        ("`cn-north-1` and `eu-west-2`", "partitions"),
        "stage of its own",
    ),
    aws(
        "a home region in another partition",
        "F506",
        "      box:\n",
        "      home_region: §cn-north-1\n      box:\n",
        ("`cn-north-1` and `eu-west-2`",),
        "stage of its own",
    ),
    # alarms
    aws(
        "an unknown property of an alarm",
        "F507",
        ALARM,
        alarm("§Treshold: 5"),
        ("AWS::CloudWatch::Alarm", "`Treshold`"),
        "did you mean `Threshold`?",
    ),
    aws("dimensions", "F507", ALARM, alarm("§Dimensions: []"), ("`Dimensions`",), "remove it"),
    aws(
        "an unknown statistic",
        "F507",
        "Statistic: Average",
        "Statistic: §Mean",
        ("`Statistic`", "`Mean`"),
        "known: `Average`",
    ),
    aws(
        "an unknown comparison",
        "F507",
        "LessThanThreshold",
        "§LessThan",
        ("`ComparisonOperator`", "`LessThan`"),
        "did you mean",
    ),
    aws(
        "a threshold that is no number",
        "F507",
        "Threshold: '5'",
        "Threshold: §'5%'",
        ("`Threshold`", "a number", "`5%`"),
    ),
    aws(
        "a period of 45 seconds",
        "F507",
        "Period: 60",
        "Period: §45",
        ("`Period` is 45 seconds", "multiple of 60"),
        "60",
    ),
    aws(
        "a look back of days",
        "F507",
        "EvaluationPeriods: 10",
        "EvaluationPeriods: §1441",
        ("86,460 seconds", "86,400"),
        "EvaluationPeriods",
    ),
    aws(
        "an unknown action",
        "F507",
        "[terminate]",
        "[§terminat]",
        ("`terminat`", "`reboot`", "ARN"),
        "did you mean `terminate`?",
    ),
    aws(
        "six actions",
        "F507",
        "AlarmActions: [terminate]",
        "§AlarmActions: [terminate, terminate, terminate, terminate, terminate, terminate]",
        ("`AlarmActions` has 6 elements", "at most 5"),
    ),
    aws(
        "no threshold",
        "F507",
        "    idle:\n      MetricName: CPUUtilization\n",
        UNBOUNDED + "    idle:\n      MetricName: CPUUtilization\n",
        ("`other`", "`Threshold` or `ThresholdMetricId`"),
    ),
    aws(
        "no statistic",
        "F507",
        "    idle:\n      MetricName: CPUUtilization\n      Namespace: AWS/EC2\n      Statistic: Average\n",
        "    §idle:\n      MetricName: CPUUtilization\n      Namespace: AWS/EC2\n",
        ("`idle`", "`Statistic` or `ExtendedStatistic`"),
    ),
    aws(
        "no metric", "F507", "    idle:\n      MetricName: CPUUtilization\n", "    §idle:\n", ("`idle`", "`MetricName`")
    ),
    aws(
        "more points than periods", "F507", ALARM, alarm("DatapointsToAlarm: §11"), ("`DatapointsToAlarm` is 11", "10")
    ),
    aws(
        "a namespace that starts with a colon",
        "F507",
        "Namespace: AWS/EC2",
        "Namespace: §':AWS'",
        ("`Namespace`", "`:AWS`"),
    ),
    aws(
        "an empty alarm",
        "F107",
        "  alarms:\n",
        "  alarms:\n    §other: {}\n",
        ("`other` of `alarms` is empty",),
        "give it a value",
    ),
    # local sectors
    Case(
        "an alarm on a local sector",
        "F508",
        "        type: local\n",
        "        type: local\n        §alarm: idle\n",
        ("`here`", "local"),
        "remove it",
        also=("F203",),
    ),
    Case(
        "parameters on a local sector",
        "F513",
        "        type: local\n",
        "        type: local\n        §parameters: {}\n",
        ("`parameters`", "`here`"),
        "remove it",
    ),
    Case(
        "a region on a local sector",
        "F513",
        "        type: local\n",
        "        type: local\n        §region_name: eu-west-2\n",
        ("`region_name`", "`here`"),
        "remove it",
    ),
    Case(
        "a platform on a local sector",
        "F513",
        "        type: local\n",
        "        type: local\n        §platform: linux\n",
        ("`platform`", "`here`"),
        "remove it",
    ),
    # tags
    Case("an empty tag", "F509", "  stages:", "  tags: {§'': x}\n  stages:", ("0 characters", "1 to 128")),
    Case("a long tag", "F509", "  stages:", f"  tags: {{§{'k' * 129}: x}}\n  stages:", ("129 characters", "1 to 128")),
    Case(
        "a long value", "F509", "  stages:", f"  tags: {{§a: {'v' * 257}}}\n  stages:", ("`a`", "257 characters", "256")
    ),
    Case("AWS's own tag", "F509", "  stages:", "  tags: {§'AWS:x': y}\n  stages:", ("`AWS:x`", "reserved by AWS")),
    Case(
        "our own tag",
        "F509",
        "  stages:",
        "  tags: {§'factory-cdk:stage': y}\n  stages:",
        ("`factory-cdk:stage`", "factory_cdk"),
    ),
    Case("a tag with a hash", "F509", "  stages:", "  tags: {§'a#b': y}\n  stages:", ("its key may contain only",)),
    Case(
        "a value with a line end",
        "F509",
        "  stages:",
        '  tags: {§a: "b\\nc"}\n  stages:',
        ("its value may contain only",),
    ),
    Case(
        "two tags that differ in case",
        "F509",
        "  stages:",
        "  tags: {a: x, §A: y}\n  stages:",
        ("`a` and `A`", "IAM"),
        "remove",
    ),
    Case(
        "46 tags",
        "F509",
        "  stages:",
        "  §tags: {" + ", ".join(f"t{i}: x" for i in range(46)) + "}\n  stages:",
        ("46 tags", "45"),
        "remove",
    ),
    aws(
        "a duplicate tag of an instance",
        "F509",
        TYPE,
        parameter("Tags: [{Key: a, Value: b}, {Key: §a, Value: c}]"),
        ("duplicate tag `a`",),
        "remove",
    ),
    aws(
        "a tag of an instance that AWS refuses",
        "F509",
        TYPE,
        parameter("Tags: [§{Key: a, Value: 'b#'}]"),
        ("its value may contain only",),
    ),
    aws(
        "50 tags of an instance",
        "F509",
        TYPE,
        parameter("§Tags: [" + ", ".join(f"{{Key: t{i}, Value: x}}" for i in range(46)) + "]"),
        ("`box`", "51 tags", "50"),
        "remove",
    ),
    # warnings
    aws(
        "a short id",
        "F510",
        "ami-0123456789abcdef0",
        "§ami-0242408af868",
        ("`ami-0242408af868` has 12 digits", "8 or 17"),
        "whole",
    ),
    aws(
        "an id of other letters",
        "F510",
        "ami-0123456789abcdef0",
        "§ami-0123456789abcdefg",
        ("`ami-0123456789abcdefg`", "hexadecimal"),
        "right",
    ),
    aws(
        "an id deep inside",
        "F510",
        TYPE,
        parameter("NetworkInterfaces: [{DeviceIndex: 0, GroupSet: [§sg-8c422def392d]}]"),
        ("`sg-8c422def392d`",),
        "whole",
    ),
    *(
        aws(
            f"a `{name}` that begins otherwise",
            "F510",
            TYPE,
            parameter(text),
            (f"those of {of} begin with `{prefix}`",),
            "right",
        )
        for name, text, of, prefix in [
            ("SubnetId", "SubnetId: §vpc-01234567", "subnets", "subnet-"),
            ("SecurityGroupIds", "SecurityGroupIds: [sg-01234567, §subnet-01234567]", "security groups", "sg-"),
            ("GroupSet", "NetworkInterfaces: [{DeviceIndex: 0, GroupSet: [§default]}]", "security groups", "sg-"),
            ("VolumeId", "Volumes: [{Device: /dev/sdf, VolumeId: §snap-01234567}]", "volumes", "vol-"),
            (
                "SnapshotId",
                "BlockDeviceMappings: [{DeviceName: /dev/sdf, Ebs: {SnapshotId: §vol-01234567}}]",
                "snapshots",
                "snap-",
            ),
            (
                "NetworkInterfaceId",
                "NetworkInterfaces: [{DeviceIndex: 0, NetworkInterfaceId: §eipalloc-01234567}]",
                "network interfaces",
                "eni-",
            ),
            (
                "LaunchTemplateId",
                "LaunchTemplate: {LaunchTemplateId: §mine, Version: 1}",
                "launch templates",
                "lt-",
            ),
        ]
    ),
    aws(
        "an image that is none",
        "F510",
        "ami-0123456789abcdef0",
        "§debian-12",
        ("`debian-12`", "those of images begin with `ami-`"),
        "right",
    ),
    aws(
        "an image that CloudFormation would look up",
        "F510",
        "ami-0123456789abcdef0",
        "§'${AMIId}'",
        ("`${AMIId}`", "begin with `ami-`"),
        "right",
    ),
    aws(
        "an id with other characters",
        "F510",
        "ami-0123456789abcdef0",
        "§ami-0123.4567",
        ("`ami-0123.4567`", "hexadecimal"),
        "right",
    ),
    aws(
        "a name for the id of a security group",
        "F510",
        TYPE,
        parameter("SecurityGroupIds: [§web]"),
        ("`web`", "begin with `sg-`"),
        "names of groups belong under `SecurityGroups`",
    ),
    aws(
        "an id for the name of a security group",
        "F510",
        TYPE,
        parameter("SecurityGroups: [default, §sg-01234567]"),
        ("`sg-01234567`", "not its name"),
        "ids of groups belong under `SecurityGroupIds`",
    ),
    aws(
        "an octal number for a text",
        "F021",
        TYPE,
        parameter("Tags: [{Key: zip, Value: §0123}]"),
        ("`0123`", "the number 83"),
        "'0123'",
    ),
    # names on AWS
    Case(
        "two bots alike",
        "F511",
        "  stages:\n",
        "    §First: {source: {path: .}, bot_path: 'w:f'}\n  stages:\n",
        ("`first` and `First`",),
        "case",
    ),
    Case(
        "two sectors alike",
        "F511",
        "  workflows:",
        "      a_b: &s {type: local, bots: {first: }}\n      §a-b: *s\n  workflows:",
        ("`a_b` and `a-b`",),
        "`_`, `-` and case",
    ),
    Case(
        "two stages alike",
        "F511",
        "  workflows:",
        "    §Test: {x: {type: local, bots: {first: }}}\n  workflows:",
        ("`test` and `Test`",),
        "case",
    ),
    Case(
        "two sectors with one logical id",
        "F511",
        "  workflows:",
        "      ab: &s {type: local, bots: {first: }}\n      §a_b: *s\n  workflows:".replace("ab: &s", "a--b: &s"),
        ("`a--b` and `a_b`",),
        "differ",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


def test_an_alarm_that_no_sector_uses_is_a_warning(tmp_path: Path) -> None:
    loaded = load(AWS.replace("        alarm: idle\n", ""), tmp_path)
    (warning,) = loaded.diagnostics
    assert (warning.code, warning.line, warning.column) == ("F514", 18, 5)
    assert "`idle`" in warning.message and warning.hint and loaded.plan


def test_a_metric_and_a_formula_cannot_be_used_together(tmp_path: Path) -> None:
    found = errors(load(AWS.replace(ALARM, alarm("Metrics: [{Id: a}]")), tmp_path))
    assert {(error.code, error.line) for error in found} >= {("F507", 21)}
    assert any("cannot be used together" in error.message for error in found)


@pytest.mark.parametrize(
    "text",
    [
        "NetworkInterfaces: [{DeviceIndex: 0, AssociatePublicIpAddress: true}]",
        "NetworkInterfaces: [{DeviceIndex: '0', AssociatePublicIpAddress: 'true'}]",
        "BlockDeviceMappings: [{DeviceName: /dev/xvda, Ebs: {VolumeSize: '20', Encrypted: 'True'}}]",
        "BlockDeviceMappings: [{DeviceName: /dev/xvda, Ebs: {VolumeSize: 20.0}}]",
        "KeyName: 5",
        "EbsOptimized: 'false'",
        "SourceDestCheck: no",
        "Tags: [{Key: a, Value: 1}]",
        "MetadataOptions: {HttpTokens: required}",
        "ImageId: resolve:ssm:/aws/service/ami",
    ],
)
def test_what_cloudformation_coerces_is_taken_and_kept_as_written(text: str, tmp_path: Path) -> None:
    base = AWS.replace("          ImageId: ami-0123456789abcdef0\n", "") if text.startswith("ImageId") else AWS
    loaded = load(base.replace(TYPE, parameter(text)), tmp_path)
    assert loaded.diagnostics == ()
    assert loaded.plan is not None
    name = text.partition(":")[0]
    kept = loaded.plan.stages["prod"].sectors[0].parameters[name]
    assert json.dumps(kept) == json.dumps(_as_yaml(text)[name])


def _as_yaml(text: str) -> dict[str, object]:
    import yaml

    read: dict[str, object] = yaml.safe_load(text)
    return read


@pytest.mark.parametrize(
    "action",
    [
        *ALARM_VERBS,
        "arn:aws:sns:eu-west-2:123456789012:topic",
        "arn:aws-cn:swf:cn-north-1:123456789012:action/actions/AWS_EC2.InstanceId.Stop/1.0",
    ],
)
def test_an_action_is_a_verb_or_an_arn(action: str, tmp_path: Path) -> None:
    text = AWS.replace("eu-west-2", "cn-north-1") if "cn-north-1" in action else AWS
    assert load(text.replace("[terminate]", f"['{action}']"), tmp_path).diagnostics == ()


@pytest.mark.parametrize("region", sorted(partitions()))
def test_every_region_of_every_partition_is_known(region: str, tmp_path: Path) -> None:
    assert load(AWS.replace("eu-west-2", region), tmp_path).diagnostics == ()


def test_tags_are_text_as_written(tmp_path: Path) -> None:
    text = LOCAL.replace("  stages:", "  tags: {a: 1.10, b: yes, c: 010, d: 2026-01-01, ü: é}\n  stages:")
    loaded = load(text, tmp_path)
    assert loaded.diagnostics == ()
    assert loaded.plan is not None
    assert loaded.plan.tags == {"a": "1.10", "b": "yes", "c": "010", "d": "2026-01-01", "ü": "é"}
