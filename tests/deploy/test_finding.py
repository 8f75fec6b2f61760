"""Stages that are deployed are found by the tags of their stacks, wherever they are and in whatever state."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_proxy import Call, Fault, Proxy, proxied
from emulator import Emulator
from patience import until

from factory_cdk.agent.aws import Aws
from factory_cdk.deploy.finding import DeployedStage, enabled_regions, find_deployed, stages_of
from factory_cdk.deploy.stacks import StackNow
from factory_cdk.diagnostics import FactoryError

HOME, AWAY = "eu-west-2", "eu-west-1"
_numbers = itertools.count(1)


@dataclass
class Account:
    """An account in which stacks of a factory of its own are made; `said` is what was warned of."""

    aws: Emulator
    factory: str
    said: list[str] = field(default_factory=list)

    def make(self, name: str, region: str, stage: str | None = "prod", *, fails: bool = False) -> str:
        """Make the stack `name` of `stage` (None: one without tags); the status in which that ends."""
        resources: dict[str, Any] = {
            "One": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1"}}
        }
        if fails:
            condition = {"Handle": {"Ref": "Handle"}, "Timeout": "1"}
            resources["Handle"] = {"Type": "AWS::CloudFormation::WaitConditionHandle", "Properties": {}}
            resources["Never"] = {"Type": "AWS::CloudFormation::WaitCondition", "Properties": condition}
        template = {"Resources": resources, "Outputs": {"Out": {"Value": "2"}}}
        tags = {"factory-cdk:factory": self.factory, "factory-cdk:stage": stage, "team": "welding"} if stage else {}
        self.aws.client("cloudformation", region).create_stack(
            StackName=name,
            TemplateBody=json.dumps({**template, "Parameters": {"Commit": {"Type": "String", "Default": "no"}}}),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )

        def ended() -> str | None:
            status = self.aws.status(name, region)
            return None if status.endswith("IN_PROGRESS") else status

        return until(ended)

    def find(self, *regions: str, stage: str | None = None) -> list[DeployedStage]:
        return find_deployed(regions or None, self.factory, stage, warn=self.said.append)


@pytest.fixture
def account(aws: Emulator, monkeypatch: pytest.MonkeyPatch, worker_id: str) -> Account:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", HOME)
    return Account(aws, f"found{worker_id.removeprefix('gw')}x{next(_numbers)}")


@pytest.fixture
def proxy(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What `account` is asked through."""
    with proxied(account.aws.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def only_in(region: str, fault: Fault) -> Callable[[Call], Fault | None]:
    return lambda call: fault if call.region == region and call.operation == "cloudformation.DescribeStacks" else None


def test_the_stacks_of_a_stage_are_found_in_every_region_with_what_they_say(account: Account) -> None:
    name = account.factory
    for stack, region in ((f"{name}-prod-{AWAY}", AWAY), (f"{name}-prod-{HOME}", HOME), (f"{name}-prod-queues", HOME)):
        account.make(stack, region)
    account.make(f"{name}-test-queues", HOME, "test")
    account.make(f"{name}-other", HOME, None)
    prod, test = account.find()
    assert [one.name for one in (prod, test)] == [f"{name}/prod", f"{name}/test"]
    assert [stack.name for stack in prod.stacks] == [
        f"{name}-prod-queues",
        f"{name}-prod-{AWAY}",
        f"{name}-prod-{HOME}",
    ]
    assert [stack.name for stack in prod.queue_stacks] == [f"{name}-prod-queues"]
    assert [stack.name for stack in prod.region_stacks] == [f"{name}-prod-{AWAY}", f"{name}-prod-{HOME}"]
    assert prod.regions == (HOME, AWAY)
    (stack,) = test.stacks
    assert (stack.region, stack.status) == (HOME, "CREATE_COMPLETE")
    assert (stack.tags["team"], stack.parameters, stack.outputs) == ("welding", {"Commit": "no"}, {"Out": "2"})
    assert stack.id.startswith(f"arn:aws:cloudformation:{HOME}:")
    assert account.find(stage="test") == [test]
    assert account.find(AWAY) == [DeployedStage(name, "prod", prod.region_stacks[:1])]
    assert account.find("eu-west-3") == account.find(stage="dev") == []
    assert account.said == []


def test_a_stack_that_failed_is_found_and_a_deleted_one_is_not(account: Account) -> None:
    name = account.factory
    assert account.make(f"{name}-prod-queues", HOME, fails=True) == "ROLLBACK_COMPLETE"
    (stage,) = account.find(HOME)
    assert [stack.status for stack in stage.stacks] == ["ROLLBACK_COMPLETE"]
    account.aws.client("cloudformation", HOME).delete_stack(StackName=f"{name}-prod-queues")
    until(lambda: account.find(HOME) == [])


def test_many_stacks_are_found_page_by_page(account: Account) -> None:
    names = [f"{account.factory}-many-{number}" for number in range(110)]
    client = account.aws.client("cloudformation", HOME)
    for name in names:
        account.make(name, HOME, "many")
    page = client.describe_stacks()
    assert "NextToken" in page, "the emulator answers in pages"
    (stage,) = account.find(HOME)
    assert {stack.name for stack in stage.stacks} == set(names)


def test_tags_that_are_no_names_of_a_plan_lead_nowhere() -> None:
    def stack(factory: str, stage: str) -> StackNow:
        return StackNow(
            "any", HOME, "CREATE_COMPLETE", tags={"factory-cdk:factory": factory, "factory-cdk:stage": stage}
        )

    assert stages_of([stack("../..", "prod"), stack("works", "a/b"), stack("works", ""), stack("x" * 41, "prod")]) == []
    assert [one.name for one in stages_of([stack("works", "prod")])] == ["works/prod"]


def test_a_region_that_cannot_be_asked_is_told_and_the_others_are_shown(account: Account, proxy: Proxy) -> None:
    account.make(f"{account.factory}-prod-queues", HOME)
    proxy.choose = only_in(AWAY, Fault.DENIED)
    assert [one.stage for one in account.find(HOME, AWAY)] == ["prod"]
    (said,) = account.said
    assert said == f"the stacks of {AWAY}: AccessDeniedException: from the proxy; what is there is not shown"


def test_when_no_region_can_be_asked_the_permission_is_named(account: Account, proxy: Proxy) -> None:
    proxy.choose = lambda call: Fault.DENIED
    with pytest.raises(FactoryError) as refused:
        account.find(HOME, AWAY)
    assert "cloudformation:DescribeStacks and ListStacks" in str(refused.value.remedy)
    with pytest.raises(FactoryError) as refused:
        account.find()
    assert refused.value.remedy == "these credentials need ec2:DescribeRegions, or name the regions: --region"
    assert account.said == []


def test_credentials_that_are_not_taken_are_told_once_for_all_regions(
    account: Account, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.choose = only_in(AWAY, Fault.EXPIRED)
    with pytest.raises(FactoryError, match="ExpiredTokenException") as refused:
        account.find(HOME, AWAY)
    assert "AWS_PROFILE" in str(refused.value.remedy)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(FactoryError, match="nobody") as refused:
        account.find(HOME)
    assert "AWS_PROFILE" in str(refused.value.remedy)


def test_without_a_network_the_network_is_named(account: Account, proxy: Proxy) -> None:
    proxy.choose = lambda call: Fault.CUT
    with pytest.raises(FactoryError) as refused:
        account.find(HOME)
    assert "network" in str(refused.value.remedy)


def test_the_regions_that_are_enabled_are_asked_for(account: Account) -> None:
    assert {HOME, AWAY, "us-east-1"} <= set(enabled_regions(Aws(HOME), HOME))
