"""From a template back to the plan: what comes from the plan is found there, what is ours is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lint_plans import PLAN, designed, loaded, with_alarm, with_parameters

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import Diagnostic
from factory_cdk.lint.engines import Said, merged
from factory_cdk.lint.finding import Finding, InTemplate
from factory_cdk.lint.linting import lint_stage
from factory_cdk.lint.places import Places
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.yaml.compose import compose
from factory_cdk.plan.yaml.nodes import plain

TEXT = with_alarm(
    "Tags: [{Key: Owner, Value: Ada}]\nAlarmActions: [stop]",
    with_parameters("MetadataOptions: {HttpEndpoint: enabled}\nTags: [{Key: Zoo, Value: Ape}]", PLAN),
).replace("  tags:\n", "  meta: {owner: [Ada, Eve]}\n  tags:\n")

REGION, QUEUES = "works-dev-eu-west-2", "works-dev-queues"
PARAMETERS = ("factory", "stages", "dev", "box", "parameters")
ALARM = ("factory", "alarms", "idle")
BOT = ("factory", "stages", "dev", "box", "bots", "draw")


def index_of(design: StageDesign, logical_id: str, key: str) -> int:
    """Where a tag stands among the tags of a resource."""
    (resource,) = [one for stack in design.stacks for one in stack.resources if one.logical_id == logical_id]
    return [tag["Key"] for tag in resource.properties["Tags"]].index(key)


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> StageDesign:
    return designed(loaded(tmp_path_factory.mktemp("plan"), TEXT))


@pytest.fixture(scope="module")
def places(design: StageDesign) -> Places:
    root = compose(TEXT, Findings("plan"))
    assert root is not None
    return Places(plain(root), design)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("Resources", "BoxInstance", "Properties", "ImageId"), (*PARAMETERS, "ImageId")),
        (("Resources", "BoxInstance"), PARAMETERS),
        (("Resources", "BoxInstance", "Properties"), PARAMETERS),
        (
            ("Resources", "BoxInstance", "Properties", "MetadataOptions", "HttpTokens"),
            (*PARAMETERS, "MetadataOptions", "HttpTokens"),
        ),
        (("Resources", "BoxInstance", "Properties", "Tags", 0, "Value"), (*PARAMETERS, "Tags", 0, "Value")),
        (("Resources", "BoxInstance", "Properties", "UserData", "Fn::Base64"), None),
        (("Resources", "BoxInstance", "Properties", "IamInstanceProfile"), None),
        (("Resources", "BoxAlarm", "Properties", "Period"), (*ALARM, "Period")),
        (("Resources", "BoxAlarm", "Properties", "AlarmActions", 0), (*ALARM, "AlarmActions", 0)),
        (("Resources", "BoxAlarm", "Properties", "Tags", 0), (*ALARM, "Tags", 0)),
        (("Resources", "BoxAlarm", "Properties", "Dimensions", 0), None),
        (("Resources", "BoxAlarm"), ALARM),
        (("Resources", "BoxRole", "Properties", "Policies", 0), None),
        (("Resources", "BoxConfigDraw", "Properties", "Value"), BOT),
        (("Resources", "BoxRelease", "Properties", "Value"), None),
        (("Resources", "BoxRelease", "Properties", "Tags", "Team"), ("factory", "tags", "Team")),
        (("Metadata", "factory-cdk", "meta", "owner", 1), ("factory", "meta", "owner", 1)),
        (("Metadata", "factory-cdk", "version"), None),
        (("Mappings", "UserData", "linux"), None),
        (("Resources", "Nothing"), None),
        ((), None),
    ],
)
def test_a_place_in_a_template_leads_to_the_plan_or_to_nothing(
    path: tuple[Any, ...], expected: tuple[Any, ...] | None, places: Places
) -> None:
    assert places.in_plan(InTemplate(REGION, path)) == expected


def test_tags_of_the_factory_are_found_on_every_resource_and_ours_are_not(design: StageDesign, places: Places) -> None:
    for name in ("BoxInstance", "BoxRole", "BoxAlarm"):
        at = ("Resources", name, "Properties", "Tags")
        team, ours = index_of(design, name, "Team"), index_of(design, name, "factory-cdk:stage")
        assert places.in_plan(InTemplate(REGION, (*at, team, "Value"))) == ("factory", "tags", "Team")
        assert places.in_plan(InTemplate(REGION, (*at, ours, "Key"))) is None


def test_a_queue_leads_to_the_bot_that_reads_it(design: StageDesign, places: Places) -> None:
    queues = [one for one in design.stacks[0].resources if one.type == "AWS::SQS::Queue"]
    assert queues
    for resource in queues:
        path = ("Resources", resource.logical_id, "Properties", "VisibilityTimeout")
        assert places.in_plan(InTemplate(QUEUES, path)) == BOT


def engine(*findings: Finding) -> Any:
    """An engine that finds these in templates that it writes."""

    def find(design: StageDesign, folder: Path) -> tuple[Finding, ...]:
        text = '{\n "Resources": {\n  "BoxRole": {\n   "Properties": {"RoleName": "x"}\n  }\n }\n}\n'
        (folder / f"{REGION}.template.json").write_text(text)
        return findings

    return find


def found(folder: Path, *findings: Finding, text: str = PLAN) -> tuple[Diagnostic, ...]:
    plan = loaded(folder, text)
    return lint_stage(plan, designed(plan), engine(*findings))


def at(*path: str | int) -> InTemplate:
    return InTemplate(REGION, ("Resources", *path))


def test_what_is_found_in_a_generated_part_names_the_template_its_line_and_the_path(tmp_path: Path) -> None:
    place = at("BoxRole", "Properties", "RoleName")
    (one,) = found(tmp_path, Finding("F721", place, "odd [W1, cfn-lint]"))
    assert (one.file, one.line, one.column) == (f"{REGION}.template.json", 4, 19)
    assert one.message == "odd [W1, cfn-lint] (at Resources/BoxRole/Properties/RoleName)"


def test_what_validation_says_of_an_id_is_not_said_again(tmp_path: Path) -> None:
    said = Finding("F720", at("BoxInstance", "Properties", "ImageId"), "bad [E1152, cfn-lint and CDK]")
    assert found(tmp_path, said, text=PLAN.replace("ami-0123456789abcdef0", "ami-0123")) == ()
    assert [one.code for one in found(tmp_path, said)] == ["F720"]


def test_no_engine_quotes_what_may_be_a_secret(tmp_path: Path) -> None:
    secret = "ghp" + "_" + "a1B2" * 9
    text = with_parameters(f"KeyName: {secret}")
    place = at("BoxInstance", "Properties", "KeyName")
    ours, theirs = found(tmp_path, Finding("F720", place, f"'{secret}' is too long [E3033, CDK]"), text=text)
    assert (ours.code, theirs.code) == ("F701", "F720")
    assert theirs.message == "hidden, because the value may be a secret [E3033, CDK]"


def test_what_both_engines_say_of_one_place_is_one_finding_with_the_shorter_message() -> None:
    place = at("BoxInstance", "Properties", "InstanceType")
    said = [
        Said("CDK", "F3012", True, "wrong", place),
        Said("cfn-lint", "E3012", True, "wrong, and at length", place),
        Said("cfn-lint", "W9999", False, "x" * 1000, place),
    ]
    both, long = merged(iter(said))
    assert (both.code, both.message) == ("F720", "wrong [E3012, cfn-lint and CDK]")
    assert (long.code, len(long.message) < 400) == ("F721", True)


def test_what_one_engine_says_in_two_messages_stays_two_findings() -> None:
    place = at("BoxInstance", "Properties")
    said = [
        Said(engine, "E3003", True, f"'{name}' is missing", place) for engine in ("CDK", "cfn-lint") for name in "AB"
    ]
    found = list(merged(iter(said)))
    assert [one.message for one in found] == [f"'{name}' is missing [E3003, cfn-lint and CDK]" for name in "AB"]
