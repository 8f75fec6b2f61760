"""The least policy of a stage: it grants what CloudFormation and the commands call, and little else."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from patience import PATIENCE
from stack_templates import packed, reference, stage_plan

from factory_cdk.deploy.handler_actions import CALLED, NOT_CALLED
from factory_cdk.deploy.permissions import LIMIT, Grant, grants, policies, size_of
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.diagnostics import FactoryError

PLAN = """
factory:
  name: works
  bots:
    cut: {source: {pypi: cut, version: "1"}, bot_path: "bots:run", secrets: [TOKEN]}
    weigh:
      source: {pypi: weigh, version: "1"}
      bot_path: "bots:run"
      secrets: {KEY: {secret: their/key}}
  workflows: {flow: {cut: weigh}}
  stages:
    prod:
      workflow: flow
      north:
        type: aws
        region_name: eu-west-2
        parameters: {IMAGE, InstanceType: t3.micro, SubnetId: subnet-0123456789abcdef0, KeyName: ops}
        MORE
        bots: {cut: {}}
      south:
        type: aws
        region_name: eu-west-1
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {weigh: {}}
"""
ONE_REGION = """
factory:
  name: works
  bots:
    cut: {source: {pypi: cut, version: "1"}, bot_path: "bots:run", secrets: [TOKEN]}
  stages:
    prod:
      north:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {cut: {}}
"""


def run(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """What the command says, without credentials and with no endpoint that could be asked."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    environ |= {"FACTORY_CDK_HOME": str(folder / "home"), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "factory_cdk", *arguments],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def designed(folder: Path, image: str = "ImageId: ami-0123456789abcdef0", more: str = "") -> StageDesign:
    text = PLAN.replace("IMAGE", image).replace("MORE", more)
    plan = stage_plan(text, folder, "prod")
    return design_stage(plan, packed(plan, folder))


def found(sid: str, design: StageDesign) -> Grant:
    (grant,) = [one for one in grants(design) if one.sid == sid]
    return grant


def handlers(type_: str) -> set[str]:
    """What the schema of a type says that its handlers call."""
    folder = Path(cfnlint.__file__).parent / "data" / "schemas"
    names = json.loads((folder / "providers" / "us-east-1.json").read_text())
    schema = json.loads((folder / "resources" / f"{names[type_]}.json").read_text())
    called = {
        action
        for name, handler in schema.get("handlers", {}).items()
        if name != "list"
        for action in handler["permissions"]
    }
    return called | set(schema.get("tagging", {}).get("permissions", ()))


@pytest.mark.parametrize("type_", CALLED)
def test_every_action_of_a_handler_is_granted_or_has_a_reason(type_: str) -> None:
    without = [action for actions in NOT_CALLED.get(type_, {}).values() for action in actions]
    assert sorted([*CALLED[type_], *without]) == sorted(handlers(type_))


def test_every_type_of_the_templates_is_known(tmp_path: Path) -> None:
    design = designed(tmp_path, more="capacity: spot")
    types = {one.type for stack in design.stacks for one in stack.resources}
    assert types <= CALLED.keys()
    granted = {action for one in grants(design) for action in one.actions}
    apart = {  # for properties that this plan does not have
        "cloudwatch:", "ssm:CreateAssociation", "ssm:DeleteAssociation", "ec2:AttachVolume", "ec2:DetachVolume",
    }  # fmt: skip
    missing = [one for type_ in types for one in CALLED[type_] if one not in granted]
    assert [one for one in missing if not any(one.startswith(start) for start in apart)] == []


def allowed(documents: list[dict[str, Any]], action: str, arn: str) -> bool:
    """Whether policies without conditions allow it."""
    return any(
        fnmatch.fnmatchcase(action, pattern) and fnmatch.fnmatchcase(arn, resource)
        for document in documents
        for statement in document["Statement"]
        for pattern in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    )


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_what_policies_say_grants_every_action_of_the_grants(tmp_path: Path) -> None:
    design = designed(tmp_path)
    documents = policies(design)
    for grant in grants(design):
        for action in grant.actions:
            for arn in grant.resources:
                assert allowed(documents, action, arn), (action, arn)


def test_each_policy_keeps_the_limit_and_one_region_takes_one(tmp_path: Path) -> None:
    documents = policies(designed(tmp_path), "123456789012")
    assert all(size_of(one) <= LIMIT for one in documents)
    assert all(one["Version"] == "2012-10-17" and one["Statement"] for one in documents)
    sids = [statement["Sid"] for one in documents for statement in one["Statement"]]
    assert len(sids) == len(set(sids))
    plan = stage_plan(ONE_REGION, tmp_path, "prod")
    assert len(policies(design_stage(plan, packed(plan, tmp_path)))) == 1


def test_names_of_other_stages_are_not_granted(tmp_path: Path) -> None:
    documents = policies(designed(tmp_path))
    other, own = Names("works", "dev"), Names("works", "prod")
    for names, expected in ((own, True), (other, False)):
        role = f"arn:aws:iam::123456789012:role/{names.role('north', 'eu-west-2')}"
        for action in ("iam:CreateRole", "iam:PassRole", "iam:DeleteRole"):
            assert allowed(documents, action, role) is expected
        path = f"arn:aws:ssm:eu-west-2:123456789012:parameter{names.path('gate')}"
        assert allowed(documents, "ssm:PutParameter", path) is expected
        queue = f"arn:aws:sqs:eu-west-2:123456789012:{names.queue('cut')}"
        assert allowed(documents, "sqs:DeleteQueue", queue) is expected
        stack = f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{names.stack('eu-west-1', 2)}/1-2"
        assert allowed(documents, "cloudformation:DeleteStack", stack) is expected
        table = f"arn:aws:dynamodb:eu-west-2:123456789012:table/{names.table()}"
        assert allowed(documents, "dynamodb:DeleteTable", table) is expected
    assert not allowed(documents, "ssm:PutParameter", "arn:aws:ssm:eu-west-3:123456789012:parameter" + own.path("gate"))


@pytest.mark.parametrize(
    ("factory", "stage"),
    [("works", "prod"), ("a-b", "c_d"), ("f" * 40, "s" * 40), ("f" * 40, "s" * 20), ("f" * 25, "s" * 28)],
)
def test_names_that_are_cut_are_granted(factory: str, stage: str, tmp_path: Path) -> None:
    sector = "north" + "n" * 30
    text = (
        PLAN.replace("name: works", f"name: {factory}")
        .replace("    prod:", f"    {stage}:")
        .replace("north:", f"{sector}:")
    )
    plan = stage_plan(text.replace("IMAGE", "ImageId: ami-0123456789abcdef0").replace("MORE", ""), tmp_path, stage)
    design = design_stage(plan, packed(plan, tmp_path))
    documents, names = policies(design, "123456789012"), Names(factory, stage)
    for region in ("eu-west-2", "eu-west-1"):
        role = f"arn:aws:iam::123456789012:role/{names.role(sector, region)}"
        assert allowed(documents, "iam:CreateRole", role)
    for queue in design.queues:
        for name in (queue.physical_name, queue.dead_letter_name):
            assert allowed(documents, "sqs:CreateQueue", f"arn:aws:sqs:eu-west-2:123456789012:{name}")
    for stack in design.stacks:
        arn = f"arn:aws:cloudformation:{stack.region}:123456789012:stack/{stack.name}/1-2"
        assert allowed(documents, "cloudformation:CreateChangeSet", arn)


def test_roles_are_passed_to_ec2_alone(tmp_path: Path) -> None:
    grant = found("PassRoles", designed(tmp_path))
    assert grant.condition == {"StringEquals": {"iam:PassedToService": ("ec2.amazonaws.com",)}}
    assert [one.sid for one in grants(designed(tmp_path)) if "iam:PassRole" in one.actions] == ["PassRoles"]


def test_instances_are_changed_and_ended_by_their_tags_alone(tmp_path: Path) -> None:
    design = designed(tmp_path)
    tags = {"aws:ResourceTag/factory-cdk:factory": ("works",), "aws:ResourceTag/factory-cdk:stage": ("prod",)}
    (sid,) = [one.sid for one in grants(design) if "ec2:TerminateInstances" in one.actions]
    assert found(sid, design).condition == {"StringEquals": tags}
    run_with = found("RunInstances", design).resources
    assert "arn:aws:ec2:eu-west-2:*:subnet/subnet-0123456789abcdef0" in run_with
    assert "arn:aws:ec2:eu-west-2:*:subnet/*" not in run_with and "arn:aws:ec2:eu-west-1:*:subnet/*" in run_with
    assert "arn:aws:ec2:eu-west-2:*:key-pair/ops" in run_with


def test_an_image_that_a_parameter_names_may_be_any_and_the_parameter_is_read(tmp_path: Path) -> None:
    name = "/aws/service/debian/release/12/latest/amd64"
    design = designed(tmp_path, f"ImageId: 'resolve:ssm:{name}'")
    assert found("ImageParameters", design).resources == (f"arn:aws:ssm:eu-west-2::parameter{name}",)
    assert "arn:aws:ec2:eu-west-2::image/*" in found("RunInstances", design).resources
    own = designed(tmp_path, "ImageId: 'resolve:ssm:golden:3'")
    assert found("ImageParameters", own).resources == ("arn:aws:ssm:eu-west-2:*:parameter/golden",)


def test_what_a_plan_adds_is_granted_then_alone(tmp_path: Path) -> None:
    sids = {one.sid for one in grants(designed(tmp_path))}
    assert not sids & {"LaunchTemplates", "SpotRole", "Volumes", "Associations", "ImageParameters"}
    spot = {one.sid for one in grants(designed(tmp_path, more="capacity: spot"))}
    assert {"LaunchTemplates", "SpotRole"} <= spot
    disk = designed(
        tmp_path, "ImageId: ami-0123456789abcdef0, Volumes: [{Device: /dev/sdf, VolumeId: vol-0123456789abcdef0}]"
    )
    assert found("Volumes", disk).resources == ("arn:aws:ec2:eu-west-2:*:volume/vol-0123456789abcdef0",)


def test_the_keys_of_volumes_are_used_through_ec2_alone(tmp_path: Path) -> None:
    disk = "BlockDeviceMappings: [{DeviceName: /dev/xvda, Ebs: {VolumeSize: 8, Encrypted: true, KmsKeyId: KEY}}]"
    key = "arn:aws:kms:eu-west-2:123456789012:key/12345678-1234-1234-1234-123456789012"
    for given, expected in ((key, key), ("alias/disks", "arn:aws:kms:eu-west-2:*:key/*")):
        design = designed(tmp_path, f"ImageId: ami-0123456789abcdef0, {disk.replace('KEY', given)}")
        grant = found("VolumeKeysEuWest2", design)
        assert grant.resources == (expected,)
        assert grant.condition == {"StringEquals": {"kms:ViaService": ("ec2.eu-west-2.amazonaws.com",)}}


def test_secrets_of_others_are_looked_at_and_not_read(tmp_path: Path) -> None:
    design = designed(tmp_path)
    grant = found("SecretsOfOthers", design)
    assert grant.actions == ("secretsmanager:DescribeSecret",)
    assert grant.resources == ("arn:aws:secretsmanager:eu-west-1:*:secret:their/key-??????",)
    theirs = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:their/key-abcdef"
    assert not allowed(policies(design), "secretsmanager:GetSecretValue", theirs)


def test_the_reference_plan_has_policies(tmp_path: Path) -> None:
    plan = reference("dev")
    documents = policies(design_stage(plan, packed(plan, tmp_path)))
    assert documents and all(size_of(one) <= LIMIT for one in documents)


def test_a_stage_without_aws_sectors_needs_none(tmp_path: Path) -> None:
    text = """
factory:
  name: works
  bots: {cut: {source: {pypi: cut, version: "1"}, bot_path: "bots:run"}}
  stages: {prod: {here: {type: local, bots: {cut: {}}}}}
"""
    plan = stage_plan(text, tmp_path, "prod")
    with pytest.raises(FactoryError, match="no aws sector"):
        policies(design_stage(plan, packed(plan, tmp_path)))


def test_the_command_prints_policies_offline(tmp_path: Path) -> None:
    (tmp_path / "factory-plan.yml").write_text(
        PLAN.replace("IMAGE", "ImageId: ami-0123456789abcdef0").replace("MORE", "")
    )
    arguments = ("permissions", "--plan", "factory-plan.yml", "--stage", "prod", "--account", "123456789012")
    listed_ones = json.loads(run(tmp_path, *arguments, "--format", "json").stdout)
    shown = run(tmp_path, *arguments)
    decoder, text, one_by_one = json.JSONDecoder(), shown.stdout.strip(), []
    while text:
        document, end = decoder.raw_decode(text)
        one_by_one.append(document)
        text = text[end:].strip()
    assert one_by_one == listed_ones
    assert "arn:aws:iam::123456789012:role/works.prod.*" in shown.stdout
    refused = run(tmp_path, *arguments[:-1], "1234", code=2)
    assert "is no account id" in refused.stderr
