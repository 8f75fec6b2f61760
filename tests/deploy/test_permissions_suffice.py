"""A stage is built, updated, operated and demolished by a user who has its policies and nothing else: IAM decides."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from answering import FAILURE, SUCCESS, answering
from emulator import Emulator, running
from patience import until
from test_build_on_aws import AWAY, DONE, HOME, Works
from test_build_on_aws import works as everybodys_works

from factory_cdk.deploy.account import Account
from factory_cdk.deploy.permissions import grants
from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.aws.demolish import demolish
from factory_cdk.lifecycle.aws.found import find_on_aws
from factory_cdk.lifecycle.building import deploy
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.plan.load import read_plan

FACTORY = "least"

works_of_all = everybodys_works


@pytest.fixture
def works(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    with running(tmp_path_factory.mktemp("emulator"), enforced=True) as aws:
        for region in (HOME, AWAY):
            aws.bootstrap(region)
        with answering(aws, f"/factory-cdk/{FACTORY}/prod", {"north": HOME, "south": AWAY}) as instances:
            made = Works(aws, tmp_path, FACTORY, instances)
            made.write("1")
            yield made


def keys_of_user(aws: Emulator, documents: list[object]) -> dict[str, str]:
    """The variables of a user with these policies alone."""
    iam = aws.client("iam")
    iam.create_user(UserName="deployer")
    for number, document in enumerate(documents):
        made = iam.create_policy(PolicyName=f"least-{number}", PolicyDocument=json.dumps(document))
        iam.attach_user_policy(UserName="deployer", PolicyArn=made["Policy"]["Arn"])
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def policies_of(works: Works) -> list[object]:
    """What the command prints, before anything is packed."""
    command = [sys.executable, "-m", "factory_cdk", "permissions", "--plan", "factory-plan.yml", "--stage", "prod"]
    said = subprocess.run([*command, "--format", "json"], cwd=works.folder, capture_output=True, check=True)
    found: list[object] = json.loads(said.stdout)
    return found


@pytest.mark.slow
def test_a_user_with_the_policies_alone_does_all_there_is_to_do(works: Works) -> None:
    keys = keys_of_user(works.aws, policies_of(works))
    stage = ("--name", FACTORY, "--stage", "prod")
    works.instances.says["south"] = FAILURE
    works.build(code=1, **keys)
    assert works.remains() == []
    works.instances.says["south"] = SUCCESS
    said = works.build(**keys)
    assert works.statuses() == DONE and "AccessDenied" not in said
    works.write("2")
    said = works.build(**keys)
    assert works.statuses() == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"]
    assert "not authorized" not in said and "AccessDenied" not in said, "nothing is left out quietly"
    for command in (
        ("list", "--aws"),
        ("info", *stage),
        ("ps", *stage),
        ("logs", *stage),
        ("submit", *stage, "--bot", "cut", "--payload", "1"),
        ("jobs", "list", *stage),
        ("jobs", "dead", *stage),
        ("stop", *stage, "--timeout", "30"),
        ("resume", *stage),
        ("secrets", "check", "--plan", "factory-plan.yml", "--stage", "prod"),
        ("secrets", "put", "--plan", "factory-plan.yml", "--stage", "prod"),
    ):
        said = works.run(*command, **keys)
        assert "AccessDenied" not in said and "not authorized" not in said and "no permission" not in said, command
    works.run("demolish", *stage, "--yes", "--cold", "--timeout", "5", **keys)
    assert works.remains() == []


SAME = {
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
}
"""Calls for which IAM asks under another name (the service authorization reference has them), of those that are made
here."""

ALWAYS_ALLOWED = {"sts:GetCallerIdentity"}


@pytest.mark.slow
def test_every_call_that_is_recorded_is_granted(works_of_all: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator that decides might not ask for every action: here it is looked at what is called."""
    works, calls = works_of_all, set()
    for name, value in {**works.aws.environment, "AWS_REGION": HOME, "TOKEN": "one"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    home = works.folder / "home"
    monkeypatch.setenv("FACTORY_CDK_HOME", str(home))
    account = Account(observe=calls.add)
    options = BuildOptions(home, str(works.folder / "factory-plan.yml"))

    def build() -> StageDesign:
        plan = read_plan(str(works.folder / "factory-plan.yml"))
        built = deploy(plan, "prod", options, lambda _: True, account=account)
        assert built is not None
        return built.design

    works.instances.says["south"] = FAILURE
    with pytest.raises(FactoryError):
        build()
    works.instances.says["south"] = SUCCESS
    build()
    works.write("2")
    design = build()
    (stage,) = find_on_aws(home, [HOME, AWAY], works.factory, lambda _: None)
    demolish(stage, lambda _: None, lambda _: True, cold=True, timeout=5, account=account)
    assert works.remains() == []
    called = {
        f"{one.service}:{''.join(word.capitalize() for word in one.operation.split('_'))}" for one in calls
    } - ALWAYS_ALLOWED
    assert {"cloudformation:ExecuteChangeSet", "s3:PutObject", "sqs:DeleteQueue", "ec2:DescribeInstances"} <= called
    granted = {action for grant in grants(design) for action in grant.actions}
    assert {SAME.get(one, one) for one in called} - granted == set()


@pytest.mark.slow
def test_a_user_without_them_is_told_what_is_missing(works: Works) -> None:
    keys = keys_of_user(works.aws, [])
    said = works.build(code=1, **keys)
    assert "factory-cdk permissions" in said or "AccessDenied" in said
    until(lambda: works.remains() == [])
