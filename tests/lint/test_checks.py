"""Our own checks: what each finds, where in the plan, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_plans import PLAN, designed, linted, loaded, no_engines, places, with_alarm, with_parameters, with_resource

from factory_cdk.diagnostics import Severity
from factory_cdk.lint.instances import DEPRECATED
from factory_cdk.lint.linting import lint_stage


def test_a_plain_plan_has_no_finding(tmp_path: Path) -> None:
    assert linted(tmp_path) == ()


@pytest.mark.parametrize(
    ("parameters", "code", "where"),
    [
        ("MetadataOptions: {HttpTokens: optional}", "F703", "optional}"),
        ("MetadataOptions:\n  HttpTokens: optional", "F703", "optional"),
        (
            "NetworkInterfaces:\n  - DeviceIndex: 0\n    AssociatePublicIpAddress: true\n    GroupSet: [sg-12345678]",
            "F704",
            "true",
        ),
        ("NetworkInterfaces: [{DeviceIndex: '0', AssociatePublicIpAddress: 'true'}]", "F704", "'true'}]"),
        ("BlockDeviceMappings:\n  - DeviceName: /dev/sda1\n    Ebs: {VolumeSize: 8}", "F705", "Ebs: {VolumeSize: 8}"),
        ("BlockDeviceMappings: [{DeviceName: /dev/sda1, Ebs: {Encrypted: 'false'}}]", "F705", "'false'}}]"),
    ],
)
def test_a_parameter_is_found_at_its_place(parameters: str, code: str, where: str, tmp_path: Path) -> None:
    text = with_parameters(parameters)
    found = linted(tmp_path, text)
    assert places(found, text) == [(code, where)]
    assert "`box`" in found[0].message and found[0].hint


@pytest.mark.parametrize(
    "parameters",
    [
        "MetadataOptions: {HttpTokens: required, HttpPutResponseHopLimit: 2}",
        "MetadataOptions: {HttpPutResponseHopLimit: 2}",
        "NetworkInterfaces: [{DeviceIndex: 0, AssociatePublicIpAddress: false, GroupSet: [sg-12345678]}]",
        "BlockDeviceMappings: [{DeviceName: /dev/sdb, NoDevice: {}}, {DeviceName: /dev/sdc, VirtualName: ephemeral0}]",
        "BlockDeviceMappings: [{DeviceName: /dev/sda1, Ebs: {Encrypted: 'true'}}]",
    ],
)
def test_a_parameter_that_does_no_harm_is_left_alone(parameters: str, tmp_path: Path) -> None:
    assert linted(tmp_path, with_parameters(parameters)) == ()


def test_a_public_address_is_a_notice_and_names_the_security_groups(tmp_path: Path) -> None:
    named = "NetworkInterfaces: [{DeviceIndex: 0, AssociatePublicIpAddress: true, GroupSet: [sg-12345678]}]"
    (found,) = linted(tmp_path, with_parameters(named))
    assert found.severity is Severity.NOTICE
    assert "sg-12345678" in found.message
    (found,) = linted(tmp_path, with_parameters(named.replace(", GroupSet: [sg-12345678]", "")))
    assert "default security group" in found.message


def test_deprecated_families_are_found_with_what_to_take_instead(tmp_path: Path) -> None:
    text = PLAN.replace("t3.micro", "m4.large")
    (found,) = linted(tmp_path, text)
    assert places([found], text) == [("F706", "m4.large")]
    assert found.hint == "use m7i or m7g"
    assert {"t2", "t3", "m5", "c5", "g4dn", "i3"}.isdisjoint(DEPRECATED)


@pytest.mark.parametrize(
    ("alarm", "parameters", "where"),
    [
        ("Period: 60", "", "60"),
        ("Period: '60'", "Monitoring: false", "'60'"),
        ("Period: 30", "Monitoring: true", "30"),
        ("Period: 60\nMetricName: CPUCreditBalance", "Monitoring: true", "60"),
    ],
)
def test_an_alarm_that_looks_more_often_than_ec2_measures_is_found(
    alarm: str, parameters: str, where: str, tmp_path: Path
) -> None:
    text = with_parameters(parameters, with_alarm(alarm))
    assert places(linted(tmp_path, text), text) == [("F707", where)]


@pytest.mark.parametrize(
    ("alarm", "parameters"),
    [
        ("Period: 60", "Monitoring: 'true'"),
        ("Period: 60\nMetricName: StatusCheckFailed_System\nComparisonOperator: GreaterThanThreshold", ""),
        ("Period: 60\nNamespace: Works/Own", ""),
        ("Period: 300", ""),
    ],
)
def test_an_alarm_whose_metric_is_measured_often_enough_is_left_alone(
    alarm: str, parameters: str, tmp_path: Path
) -> None:
    assert linted(tmp_path, with_parameters(parameters, with_alarm(alarm))) == ()


def test_the_finding_about_a_period_names_both_ways_out(tmp_path: Path) -> None:
    (found,) = linted(tmp_path, with_alarm("Period: 60"))
    assert found.hint == "add `Monitoring: true` to the parameters of `box`, or `Period: 300`"
    (found,) = linted(tmp_path, with_alarm("Period: 30", with_parameters("Monitoring: true")))
    assert found.hint == "write `Period: 60`"


@pytest.mark.parametrize("action", ["terminate", "arn:aws:automate:eu-west-2:ec2:terminate"])
def test_an_alarm_that_terminates_its_instance_is_noticed_at_the_action(action: str, tmp_path: Path) -> None:
    text = with_alarm(f"AlarmActions:\n  - arn:aws:sns:eu-west-2:123456789012:people\n  - {action}")
    (found,) = linted(tmp_path, text)
    assert places([found], text) == [("F708", action)]
    assert found.severity is Severity.NOTICE
    assert "no data" not in found.message
    (found,) = linted(
        tmp_path,
        with_alarm("TreatMissingData: breaching", text.replace("Period: 300\n", "Period: 300\n      # alarm\n")),
    )
    assert "no data" in found.message


def test_actions_that_ec2_does_not_carry_out_are_found(tmp_path: Path) -> None:
    text = with_parameters("DisableApiTermination: true", with_alarm("AlarmActions: [terminate]"))
    assert [code for code, _ in places(linted(tmp_path, text), text)] == ["F708", "F709"]
    text = with_alarm("AlarmActions: [recover]\nMetricName: StatusCheckFailed_Instance")
    (found,) = linted(tmp_path, text)
    assert places([found], text) == [("F709", "recover]")] and "StatusCheckFailed_Instance" in found.message
    text = with_alarm("AlarmActions: [recover]\nNamespace: Mine")
    (found,) = linted(tmp_path, text)
    assert places([found], text) == [("F709", "recover]")] and "not of AWS/EC2" in found.message


@pytest.mark.parametrize("metric", ["CPUUtilization", "StatusCheckFailed_System", "StatusCheckFailed"])
def test_ec2_recovers_an_instance_for_every_other_metric_of_its_own(metric: str, tmp_path: Path) -> None:
    assert linted(tmp_path, with_alarm(f"AlarmActions: [recover]\nMetricName: {metric}")) == ()


def test_an_alarm_that_two_sectors_share_is_found_for_each_that_it_is_wrong_for(tmp_path: Path) -> None:
    sector = PLAN[PLAN.index("      box:\n") : PLAN.index("  alarms:\n")]
    second = sector.replace("box:", "second:").replace("t3.micro", "t3.micro\n          Monitoring: true")
    second = second.replace("drawings", "drawings-2")
    text = with_alarm("Period: 60", PLAN.replace("  alarms:\n", f"{second}  alarms:\n"))
    (found,) = linted(tmp_path, text)
    assert "`box`" in found.message


def test_what_is_found_behind_an_alias_is_reported_at_its_anchor(tmp_path: Path) -> None:
    text = PLAN.replace("factory:\n", "x-old: &old {InstanceType: m3.large}\nfactory:\n", 1)
    text = text.replace("          InstanceType: t3.micro\n", "          <<: *old\n")
    (found,) = linted(tmp_path, text)
    assert (found.code, found.line) == ("F706", 1)
    assert "through the alias *old" in found.message


def test_a_policy_that_allows_everything_is_found_in_the_template(tmp_path: Path) -> None:
    plan = loaded(tmp_path, PLAN)
    wide = [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"]},
        {"Effect": "Allow", "Action": ["sqs:*"], "Resource": {"Fn::Sub": "arn:${AWS::Partition}:sqs:eu-west-2:1:x"}},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::Sub": "arn:${AWS::Partition}:s3:::*/*"}},
        {"Effect": "Deny", "Action": "*", "Resource": "*"},
    ]
    policies = [{"PolicyName": "sector", "PolicyDocument": {"Version": "2012-10-17", "Statement": wide}}]
    found = lint_stage(plan, with_resource(designed(plan), "BoxRole", Policies=policies), no_engines)
    assert [one.code for one in found] == ["F702"] * 3
    assert {one.file for one in found} == {"works-dev-eu-west-2.template.json"}
    assert "(at Resources/BoxRole/Properties/Policies/0/PolicyDocument/Statement/0/Resource)" in found[0].message
