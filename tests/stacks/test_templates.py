"""The templates that CDK writes: the plan's values in them, and what CloudFormation will make of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stack_templates import (
    REGION,
    Template,
    evaluate,
    only,
    packed,
    parameter,
    read,
    reference,
    resources,
    stage_plan,
    synthesized,
    user_data,
)

from factory_cdk.bootstrap import SectorFacts, render_user_data
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.design.stacks import FRAME_BYTES, MAX_RESOURCES, MAX_TEMPLATE_BYTES, estimated, unit
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Platform
from factory_cdk.version import __version__

SHORT_IDS = {"E1150", "E1152", "E1154"}
"""The reference's own security group, image and subnet ids are too short to be AWS's."""

RICH = """
factory:
  name: rich
  tags: {team: cfd, Ünï: "wörld 1"}
  meta: {owner: {name: Ada}, list: [1, true, "5"]}
  config: {LEVEL: info}
  secrets: {TOKEN: {env: TOKEN}}
  bots:
    first: {source: {path: code}, bot_path: "bots:first"}
    second: {source: {url: "https://host/repo?signature=hunter3", branch: main}, command: [./solve, --fast]}
  workflows: {flow: {first: second}}
  alarms:
    idle:
      MetricName: CPUUtilization
      Namespace: AWS/EC2
      Statistic: Average
      Period: 60
      ComparisonOperator: LessThanThreshold
      EvaluationPeriods: 10
      Threshold: '5'
      AlarmActions: [terminate]
  stages:
    dev:
      workflow: flow
      protect: true
      linux_box:
        type: aws
        region_name: eu-west-2
        alarm: idle
        parameters: &box
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro
          EbsOptimized: 'false'
          BlockDeviceMappings: [{DeviceName: /dev/sdb, NoDevice: {}}, {DeviceName: /dev/sda1, Ebs: {VolumeSize: '30'}}]
        bots: {first: {processes: 3}}
      windows_box:
        type: aws
        region_name: eu-west-2
        platform: windows
        parameters: *box
        bots: {second: {secrets: {KEY: {secret: prod/key}}}}
"""


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> StageDesign:
    folder = tmp_path_factory.mktemp("plan")
    plan = stage_plan(RICH, folder)
    return design_stage(plan, packed(plan, folder))


@pytest.fixture(scope="module")
def assembly(design: StageDesign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assembly")
    synthesized(design, folder)
    return folder


@pytest.fixture(scope="module")
def boxes(assembly: Path) -> Template:
    """The stack of both instances."""
    return read(assembly / "rich-dev-eu-west-2.template.json")


@pytest.fixture(scope="module")
def reference_assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    synthesized(design_stage(reference("dev")), folder)
    return folder


def test_every_property_of_the_reference_reaches_the_template_as_it_was_written(reference_assembly: Path) -> None:
    for sector in reference("dev").sectors:
        if sector.region is None:
            continue
        template = read(reference_assembly / f"my-factory-name-dev-{sector.region}.template.json")
        prefix = sector.name.replace("_", " ").title().replace(" ", "")
        instance = template["Resources"][f"{prefix}Instance"]["Properties"]
        given = dict(sector.parameters)
        assert json.dumps({name: instance[name] for name in given}) == json.dumps(given)
        assert instance["NetworkInterfaces"][0]["DeviceIndex"] == 0
        assert type(instance["NetworkInterfaces"][0]["DeviceIndex"]) is int
        ours = {"MetadataOptions", "PropagateTagsToVolumeOnCreation", "IamInstanceProfile", "UserData", "Tags"}
        assert instance.keys() - given.keys() == ours
    alarm = only(read(reference_assembly / "my-factory-name-dev-eu-west-2.template.json"), "AWS::CloudWatch::Alarm")
    assert alarm["Properties"]["Threshold"] == "5"
    assert alarm["Properties"]["Period"] == 60


def test_texts_that_look_like_numbers_and_empty_mappings_stay_what_they_are(boxes: Template) -> None:
    instance = boxes["Resources"]["LinuxBoxInstance"]["Properties"]
    assert instance["EbsOptimized"] == "false"
    assert instance["BlockDeviceMappings"] == [
        {"DeviceName": "/dev/sdb", "NoDevice": {}},
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": "30"}},
    ]
    assert boxes["Metadata"]["factory-cdk"]["meta"] == {"owner": {"name": "Ada"}, "list": [1, True, "5"]}
    assert {"Key": "Ünï", "Value": "wörld 1"} in instance["Tags"]


def lint(folder: Path) -> list[tuple[str, str]]:
    from cfnlint import api
    from cfnlint.config import ManualArgs

    found = []
    for file in sorted(folder.glob("*.template.json")):
        matches = api.lint(file.read_text(encoding="utf-8"), config=ManualArgs(regions=[REGION]))
        found += [(match.rule.id, f"{file.name}: {match.message}") for match in matches]
    return found


@pytest.mark.slow
def test_cfn_lint_finds_nothing_but_the_references_own_short_ids(reference_assembly: Path) -> None:
    found = lint(reference_assembly)
    assert {rule for rule, _ in found} == SHORT_IDS, found


def test_cfn_lint_finds_nothing_in_a_stage_of_both_platforms(assembly: Path) -> None:
    assert lint(assembly) == []


def test_the_user_data_of_both_platforms_comes_out_of_the_template_as_it_was_rendered(boxes: Template) -> None:
    for sector, platform in (("linux_box", Platform.LINUX), ("windows_box", Platform.WINDOWS)):
        path = f"/factory-cdk/rich/dev/{sector}"
        facts = SectorFacts(
            factory="rich",
            stage="dev",
            sector=sector,
            region=REGION,
            release_parameter=f"{path}/release",
            gate_parameter="/factory-cdk/rich/dev/gate",
            parameters_path=path,
            log_group=path,
        )
        instance = boxes["Resources"][f"{sector.title().replace('_', '')}Instance"]
        assert user_data(boxes, instance) == render_user_data(facts, platform)


def test_the_release_parameter_leads_to_a_manifest_and_bundles_that_are_published_and_readable(
    assembly: Path, boxes: Template
) -> None:
    published = {
        destination["objectKey"]: (assembly / file["source"]["path"]).read_bytes()
        for file in json.loads((assembly / "rich-dev-eu-west-2.assets.json").read_text())["files"].values()
        for destination in file["destinations"].values()
    }
    for sector in ("LinuxBox", "WindowsBox"):
        value = evaluate(boxes, boxes["Resources"][f"{sector}Release"]["Properties"]["Value"])
        release = json.loads(value)
        handle = release["signal"].strip("<>")
        assert boxes["Resources"][handle]["Type"] == "AWS::CloudFormation::WaitConditionHandle"
        manifest = json.loads(published[release["key"]])
        ours = [manifest["bootstrap"], manifest["install"], *manifest["runner"].values()]
        keys = [release["key"], *(one["key"] for one in ours)]
        keys += [b["bundle"]["key"] for b in manifest["bots"].values()]
        assert set(keys) <= published.keys()
        role = evaluate(boxes, boxes["Resources"][f"{sector}Role"]["Properties"])
        (statement,) = [
            one for one in role["Policies"][0]["PolicyDocument"]["Statement"] if one["Sid"] == "ReadRelease"
        ]
        assert statement["Resource"] == [f"arn:aws:s3:::{release['bucket']}/{key}" for key in keys]
        # What the instance reads by name must be there before it starts, and gone only after it.
    config = parameter(boxes, "/factory-cdk/rich/dev/linux_box/config/first")
    assert config == {"LEVEL": "info"}


def order(template: Template) -> dict[str, set[str]]:
    """What each resource is made after: its DependsOn and everything that it refers to."""
    after: dict[str, set[str]] = {}
    names = template["Resources"].keys()
    for name, one in template["Resources"].items():
        text = json.dumps(one)
        referred = {other for other in names if f'"Ref": "{other}"' in text or f"${{{other}}}" in text}
        after[name] = {*one.get("DependsOn", ()), *referred}
    return after


def everything_before(after: dict[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    waiting = set(after[name])
    while waiting:
        found |= waiting
        waiting = {one for known in waiting for one in after[known]} - found
    return found


def test_the_alarm_is_made_last_and_goes_first_and_the_role_outlives_the_instance(boxes: Template) -> None:
    after = order(boxes)
    (alarm,) = resources(boxes, "AWS::CloudWatch::Alarm")
    assert everything_before(after, alarm) == {name for name in after if name.startswith("LinuxBox")} - {alarm}
    before_instance = everything_before(after, "WindowsBoxInstance")
    kinds = {boxes["Resources"][name]["Type"].removeprefix("AWS::") for name in before_instance}
    assert kinds == {
        "CloudFormation::WaitConditionHandle",
        "IAM::InstanceProfile",
        "IAM::Role",
        "Logs::LogGroup",
        "SecretsManager::Secret",
        "SSM::Parameter",
    }
    assert not [name for name in before_instance if name.startswith("Linux")]
    booted, ready = [name for name in resources(boxes, "AWS::CloudFormation::WaitCondition") if "Windows" in name]
    assert "WindowsBoxInstance" in after[booted] and booted in after[ready]


def test_stacks_are_protected_tagged_and_follow_their_queues(assembly: Path) -> None:
    manifest = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    for name in ("rich-dev-queues", "rich-dev-eu-west-2"):
        stack = manifest[name]
        assert stack["properties"]["terminationProtection"] is True
        assert stack["properties"]["tags"]["team"] == "cfd"
        assert stack["environment"] == "aws://unknown-account/eu-west-2"
    assert "rich-dev-queues" in manifest["rich-dev-eu-west-2"]["dependencies"]


def test_a_secret_is_nowhere_in_the_assembly_nor_is_a_credential_of_a_source(assembly: Path) -> None:
    for file in assembly.iterdir():
        content = file.read_bytes()
        assert b"hunter" not in content, file.name
        if file.suffix != ".whl":  # our own code, which reads secrets
            assert b"SecretString" not in content
        assert b"GenerateSecretString" not in content


def test_no_resource_of_a_policy_is_a_bare_star(assembly: Path, reference_assembly: Path) -> None:
    files = [file for folder in (assembly, reference_assembly) for file in folder.glob("*.template.json")]
    assert len(files) == 5
    for file in files:
        for role in resources(read(file), "AWS::IAM::Role").values():
            for policy in role["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    assert statement["Effect"] == "Allow"
                    for resource in evaluate(read(file), statement["Resource"]):
                        assert resource.startswith(("arn:aws:", "<")), resource
                        assert resource.rpartition(":")[2] not in ("", "*") or ":log-group:/" in resource


def test_unpacked_bots_put_a_failing_rule_into_every_stack_and_packed_ones_none(
    assembly: Path, reference_assembly: Path
) -> None:
    for file in reference_assembly.glob("*.template.json"):
        (assertion,) = read(file)["Rules"]["NotPacked"]["Assertions"]
        assert assertion["Assert"] == {"Fn::Equals": [{"Ref": "AWS::Region"}, "not packed"]}
        assert "factory-cdk pack" in assertion["AssertDescription"]
        assert "my_bot_1" not in assertion["AssertDescription"], "it runs on no instance"
    assert not [file for file in assembly.glob("*.template.json") if "NotPacked" in read(file).get("Rules", {})]


def test_a_bundle_that_is_gone_or_changed_is_refused_with_its_remedy(tmp_path: Path) -> None:
    plan = stage_plan(RICH, tmp_path)
    bundles = packed(plan, tmp_path)
    archive = Path(bundles["first"].archive or "")
    archive.write_bytes(archive.read_bytes() + b"!")
    with pytest.raises(FactoryError, match="has changed since it was packed"):
        synthesized(design_stage(plan, bundles), tmp_path / "one")
    archive.unlink()
    with pytest.raises(FactoryError, match="cannot read the packed bundle"):
        synthesized(design_stage(plan, bundles), tmp_path / "two")
    assert not list((tmp_path / "two").glob(".asset*"))


def many(count: int) -> str:
    box: dict[str, Any] = {
        "type": "aws",
        "region_name": REGION,
        "parameters": {
            "ImageId": "ami-0123456789abcdef0",
            "InstanceType": "t3.micro",
            "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-0123456789abcdef0"}],
        },
    }
    bots = {f"bot_{n}": {"source": {"path": f"code/{n}"}, "bot_path": "bots:run"} for n in range(count)}
    sectors = {f"box_{n}": {**box, "bots": {f"bot_{n}": {"processes": n + 1}}} for n in range(count)}
    return json.dumps({"factory": {"name": "many", "bots": bots, "stages": {"dev": sectors}}})


@pytest.mark.slow
def test_four_hundred_sectors_of_a_region_make_several_stacks_within_cloudformations_limits(tmp_path: Path) -> None:
    design = design_stage(stage_plan(many(400), tmp_path))
    templates = synthesized(design, tmp_path / "out")
    instances = [resources(template, "AWS::EC2::Instance") for template in templates.values()]
    assert sum(map(len, instances)) == 400
    assert len([one for one in instances if one]) == 8
    for stack in design.stacks:
        file = tmp_path / "out" / f"{stack.name}.template.json"
        size = file.stat().st_size
        assert len(read(file)["Resources"]) <= MAX_RESOURCES
        assert size <= MAX_TEMPLATE_BYTES
        frame = FRAME_BYTES + estimated([stack.metadata, stack.mappings])
        assert size <= frame + unit(stack.name, stack.resources).size


def test_the_estimate_of_a_template_is_never_less_than_it_is_on_disk(
    assembly: Path, reference_assembly: Path, design: StageDesign
) -> None:
    for folder, of in ((assembly, design), (reference_assembly, design_stage(reference("dev")))):
        for stack in of.stacks:
            frame = FRAME_BYTES + estimated([stack.metadata, stack.mappings])
            size = (folder / f"{stack.name}.template.json").stat().st_size
            assert size <= frame + unit(stack.name, stack.resources).size <= 3 * size + 20_000


def test_the_version_is_only_in_metadata_and_the_release(tmp_path: Path) -> None:
    """Otherwise every new version would restart instances: EC2 stops one whose user-data changes."""
    design = design_stage(reference("prod"))
    for stack in design.stacks:
        assert __version__ not in stack.tags.values()
        for one in stack.resources:
            assert __version__ not in json.dumps(one.properties).replace("2012-10-17", "")
    assert replace(design).version == __version__
