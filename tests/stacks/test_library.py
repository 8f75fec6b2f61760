"""A stage of a plan in a CDK app of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stack_templates import REFERENCE, ROOT, Template, only, read, resources, synthesized

from factory_cdk.diagnostics import FactoryError, PlanError
from factory_cdk.stacks.node import prepare_cdk

prepare_cdk()

import aws_cdk as cdk  # noqa: E402 - starts the Node that prepare_cdk chose
import jsii  # noqa: E402
from constructs import IConstruct  # noqa: E402

from factory_cdk.stacks.app import new_app  # noqa: E402
from factory_cdk.stacks.library import FactoryStage  # noqa: E402

PLAN = """
factory:
  name: works
  bots:
    draw-1: {source: {pypi: draw, version: '1.0'}, bot_path: 'draw:run', secrets: [KEY]}
    paint: {source: {pypi: paint, version: '1.0'}, bot_path: 'paint:run', secrets: [KEY], config: {LEVEL: high}}
    frame: {source: {pypi: frame, version: '1.0'}, bot_path: 'frame:run'}
  tags: {Ünï: wörld}
  meta: {owner: {name: Ada}, list: [1, true, '5']}
  stages:
    dev:
      workflow: pictures
      protect: true
      big_box:
        type: aws
        region_name: eu-west-2
        alarm: idle
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro
          EbsOptimized: 'false'
          Monitoring: 'true'
          CpuOptions: {CoreCount: '1', ThreadsPerCore: 2}
          MetadataOptions: {HttpPutResponseHopLimit: '2'}
          NetworkInterfaces:
            - {DeviceIndex: 0, AssociatePublicIpAddress: 'false', SubnetId: subnet-12345678, GroupSet: [sg-12345678]}
          BlockDeviceMappings:
            - {DeviceName: /dev/sdb, NoDevice: {}}
            - {DeviceName: /dev/sda1, Ebs: {VolumeSize: '30', Encrypted: true, Iops: 3000, VolumeType: gp3}}
          Tags: [{Key: Zebra, Value: striped}, {Key: Ape, Value: grey}]
        bots: {draw-1: {}, paint: {max-attempts: 5}}
      win:
        type: aws
        platform: windows
        region_name: eu-west-1
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: m5.large}
        bots: {frame: {queue-name: frames-of-gold}}
      here: {type: local, bots: {frame: {queue-name: frames-here}}}
  workflows:
    pictures: [{draw-1: [{paint: frame}]}]
  alarms:
    idle:
      Namespace: AWS/EC2
      MetricName: CPUUtilization
      Statistic: Average
      Period: '300'
      EvaluationPeriods: 3
      Threshold: '5'
      ActionsEnabled: 'true'
      ComparisonOperator: LessThanThreshold
      AlarmActions: [stop]
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plan") / "factory-plan.yml"
    file.write_text(PLAN, encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_CDK_HOME", str(tmp_path / "home"))


def app_in(folder: Path) -> cdk.App:
    folder.mkdir(exist_ok=True)
    return new_app(folder, {"@aws-cdk/core:failSynthOnValidationErrors": False})


def templates(app: cdk.App) -> dict[str, Template]:
    """The templates of a synthesized app by the name of their stack."""
    return {stack.stack_name: read(Path(stack.template_full_path)) for stack in app.synth().stacks_recursively}


def unordered(template: Template) -> Template:
    """A template without the order of its tags and dependencies, which CDK chooses."""
    for resource in template["Resources"].values():
        if isinstance(tags := resource.get("Properties", {}).get("Tags"), list):
            tags.sort(key=lambda tag: tag["Key"])
        if isinstance(after := resource.get("DependsOn"), list):
            resource["DependsOn"] = sorted(after)
    return template


def same(ours: dict[str, Template], plain: dict[str, Template]) -> bool:
    assert ours.keys() == plain.keys()
    for name, template in plain.items():
        assert json.dumps(unordered(ours[name]), sort_keys=True) == json.dumps(unordered(template), sort_keys=True)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_reference_plan_s_templates_are_those_of_the_plain_synth(stage: str, tmp_path: Path) -> None:
    app = app_in(tmp_path / "library")
    design = FactoryStage(app, plan=REFERENCE, stage=stage, region="eu-west-2").design
    assert same(templates(app), synthesized(design, tmp_path / "plain"))


def test_values_of_other_types_than_their_properties_reach_the_template_as_written(plan: Path, tmp_path: Path) -> None:
    app = app_in(tmp_path / "library")
    stage = FactoryStage(app, plan=plan, stage="dev")
    found = templates(app)
    assert same(found, synthesized(stage.design, tmp_path / "plain"))
    instance = only(found["works-dev-eu-west-2"], "AWS::EC2::Instance")["Properties"]
    assert instance["NetworkInterfaces"][0]["DeviceIndex"] == 0
    assert instance["CpuOptions"] == {"CoreCount": "1", "ThreadsPerCore": 2}
    assert only(found["works-dev-eu-west-2"], "AWS::CloudWatch::Alarm")["Properties"]["Threshold"] == "5"


def test_files_to_publish_protection_and_the_order_of_stacks_are_those_of_the_design(
    plan: Path, tmp_path: Path
) -> None:
    app = app_in(tmp_path / "library")
    design = FactoryStage(app, plan=plan, stage="dev").design
    stacks = {stack.stack_name: stack for stack in app.synth().stacks_recursively}
    for one in design.stacks:
        stack = stacks[one.name]
        assert stack.termination_protection is True
        assert {after.id for after in stack.dependencies} >= {stacks[name].id for name in one.depends_on}
        assets = read(Path(stack.assembly.directory) / f"{stack.id}.assets.json")["files"]
        published = {
            target["objectKey"]
            for digest, file in assets.items()
            for target in file["destinations"].values()
            if digest not in stack.stack_template_asset_object_url  # the template itself
        }
        assert published == {asset.key for asset in one.assets}


@jsii.implements(cdk.IAspect)
class Types:
    """Collects the types of everything, and makes instances larger."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def visit(self, node: IConstruct) -> None:
        from aws_cdk import aws_ec2 as ec2

        self.seen.append(type(node).__name__)
        if isinstance(node, ec2.CfnInstance):
            node.instance_type = "m7i.large"


@pytest.mark.slow
def test_an_aspect_sees_typed_resources_and_may_change_them(plan: Path, tmp_path: Path) -> None:
    app = app_in(tmp_path / "library")
    stage = FactoryStage(app, plan=plan, stage="dev")
    aspect = Types()
    cdk.Aspects.of(stage).add(aspect)
    cdk.Tags.of(stage).add("team", "red")
    found = templates(app)
    typed = {"CfnInstance", "CfnRole", "CfnInstanceProfile", "CfnLogGroup", "CfnAlarm", "CfnQueue", "CfnSecret"}
    assert typed | {"CfnParameter", "CfnWaitCondition"} <= set(aspect.seen)
    assert "CfnResource" not in aspect.seen
    for name in ("works-dev-eu-west-2", "works-dev-eu-west-1"):
        instance = only(found[name], "AWS::EC2::Instance")["Properties"]
        assert instance["InstanceType"] == "m7i.large"
        assert {"Key": "team", "Value": "red"} in instance["Tags"]
    assert only(found["works-dev-eu-west-2"], "AWS::EC2::Instance")["Properties"]["Monitoring"] == "true"


@pytest.mark.slow
def test_the_rules_of_cdk_nag_see_our_resources_by_their_types(tmp_path: Path) -> None:
    import cdk_nag

    app = app_in(tmp_path / "library")
    FactoryStage(app, plan=REFERENCE, stage="prod")
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    report = read(tmp_path / "library" / "validation-report.json")
    (solutions,) = [one for one in report["pluginReports"] if one["pluginName"] == "AwsSolutions"]
    found = {
        (violation["ruleName"], construct["constructFqn"], construct["constructPath"].rpartition("/")[2])
        for violation in solutions["violations"]
        for construct in violation["violatingConstructs"]
    }
    instance = ("aws-cdk-lib.aws_ec2.CfnInstance", "Ec2BoxInstance")
    assert {("AwsSolutions-EC28", *instance), ("AwsSolutions-EC29", *instance)} <= found
    assert not any(rule == "AwsSolutions-SQS4" for rule, _, _ in found), "the queues refuse who does not use TLS"
    assert any(rule == "AwsSolutions-DDB3" and fqn.endswith("CfnTable") for rule, fqn, _ in found)


@pytest.fixture(scope="module")
def stage(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> FactoryStage:
    return FactoryStage(app_in(tmp_path_factory.mktemp("stage")), plan=plan, stage="dev")


def test_everything_is_reached_by_the_names_of_the_plan(stage: FactoryStage) -> None:
    assert list(stage.stacks) == ["queues", "eu-west-2", "eu-west-1"]
    assert list(stage.sectors) == list(stage.instances) == list(stage.roles) == ["big_box", "win"]
    assert list(stage.queues) == ["draw-1", "paint", "frames-of-gold", "frames-here"]
    assert stage.instances.big_box is stage.instances["big_box"]
    assert type(stage.instances["win"]).__name__ == "CfnInstance"
    assert stage.sectors.win.stack is stage.stacks["eu-west-1"]
    assert type(stage.sectors.big_box.alarm).__name__ == "CfnAlarm"
    assert stage.sectors.win.alarm is None
    assert stage.sectors.win.log_group.retention_in_days == 30
    assert type(stage.sectors.big_box.cfn_role).__name__ == "CfnRole"
    assert stage.queues["paint"].cfn_queue.queue_name == "works-dev-paint"
    assert stage.queues["paint"].cfn_dead_letters.queue_name == "works-dev-paint-dlq"
    assert stage.queues.paint.queue.queue_name == "works-dev-paint"


def test_a_name_that_the_plan_has_not_is_refused_with_the_one_that_may_be_meant(stage: FactoryStage) -> None:
    with pytest.raises(KeyError, match="unknown aws sector `bigbox` \\(did you mean `big_box`"):
        stage.instances["bigbox"]
    with pytest.raises(AttributeError, match="unknown queue `pain`"):
        _ = stage.queues.pain
    assert "here" not in stage.sectors  # it is local


def test_bots_with_the_same_secret_values_share_one_secret(stage: FactoryStage) -> None:
    secrets = stage.secrets.big_box
    assert list(secrets) == ["draw-1", "paint"]
    assert secrets["draw-1"] is secrets["paint"]
    assert list(stage.secrets.win) == []


def test_grants_and_alarms_of_the_app_s_own_are_in_its_templates(plan: Path, tmp_path: Path) -> None:
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_sqs as sqs

    app = app_in(tmp_path / "library")
    factory = FactoryStage(app, plan=plan, stage="dev")
    own = cdk.Stack(app, "Own", env=cdk.Environment(region="eu-west-2"))
    sqs.Queue(own, "Inbox").grant_consume_messages(factory.roles["big_box"])
    someone = iam.Role(own, "Someone", assumed_by=iam.AccountRootPrincipal())
    factory.queues["draw-1"].queue.grant_send_messages(someone)
    factory.secrets["big_box"]["paint"].grant_read(factory.roles["big_box"])
    metric = factory.queues["paint"].dead_letters.metric_approximate_number_of_messages_visible()
    metric.create_alarm(own, "Failed", threshold=1, evaluation_periods=1)
    found = templates(app)
    (granted,) = resources(found["works-dev-eu-west-2"], "AWS::IAM::Policy").values()
    assert granted["Properties"]["Roles"] == [{"Ref": "BigBoxRole"}]
    text = json.dumps(granted)
    assert "sqs:ReceiveMessage" in text and "secretsmanager:GetSecretValue" in text
    (sending,) = resources(found["Own"], "AWS::IAM::Policy").values()
    assert "works-dev-draw-1" in json.dumps(sending)
    alarm = only(found["Own"], "AWS::CloudWatch::Alarm")["Properties"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "works-dev-paint-dlq"}]


def test_two_stages_of_a_plan_fit_into_one_app_and_into_stages_of_cdk(plan: Path, tmp_path: Path) -> None:
    app = app_in(tmp_path / "library")
    FactoryStage(app, plan=REFERENCE, stage="prod")
    FactoryStage(cdk.Stage(app, "Inner"), plan=plan, stage="dev")
    names = set(templates(app))
    assert names == {
        "my-factory-name-prod-queues",
        "my-factory-name-prod-eu-west-2",
        "works-dev-queues",
        "works-dev-eu-west-1",
        "works-dev-eu-west-2",
    }


@pytest.mark.parametrize("qualifier", ["hnb659fds", "other"])
def test_the_qualifier_of_the_app_names_the_bucket_in_the_assets_and_in_the_design(
    qualifier: str, plan: Path, tmp_path: Path
) -> None:
    context = {"@aws-cdk/core:bootstrapQualifier": qualifier} if qualifier != "hnb659fds" else {}
    app = cdk.App(outdir=str(tmp_path), context=context)
    design = FactoryStage(app, plan=plan, stage="dev").design
    assert design.qualifier == qualifier
    bucket = f"cdk-{qualifier}-assets-${{AWS::AccountId}}-"
    for stack in app.synth().stacks_recursively:
        assert bucket in (Path(stack.assembly.directory) / f"{stack.id}.assets.json").read_text()
        template = Path(stack.template_full_path).read_text()
        assert bucket in template or "queues" in stack.stack_name
        assert "cdk-hnb659fds-" not in template or qualifier == "hnb659fds"


def test_an_app_with_a_synthesizer_of_its_own_is_refused(plan: Path, tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path), default_stack_synthesizer=cdk.DefaultStackSynthesizer(qualifier="other"))
    with pytest.raises(FactoryError, match="synthesizer of its own"):
        FactoryStage(app, plan=plan, stage="dev")


def test_a_refused_plan_raises_its_diagnostics(plan: Path, tmp_path: Path) -> None:
    broken = tmp_path / "plan.yml"
    broken.write_text(plan.read_text().replace("InstanceType: t3.micro", "InstnceType: t3.micro"))
    with pytest.raises(PlanError) as refused:
        FactoryStage(app_in(tmp_path / "library"), plan=broken, stage="dev")
    assert {one.code for one in refused.value.diagnostics} >= {"F502", "F306"}
    with pytest.raises(PlanError, match="F113"):
        FactoryStage(app_in(tmp_path / "library"), plan=plan, stage="devv")


def test_a_stage_without_aws_sectors_has_no_stacks(tmp_path: Path) -> None:
    stage = FactoryStage(app_in(tmp_path / "library"), plan=REFERENCE, stage="test")
    assert stage.design.stacks == ()
    assert [list(one) for one in (stage.stacks, stage.sectors, stage.queues)] == [[], [], []]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What plans/cdk-app synthesizes: its templates by stack, and the validation's report as `report`."""
    folder = tmp_path_factory.mktemp("example")
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(folder / "cdk.out"),
        "CDK_VALIDATION": "false",  # cdk-nag runs nevertheless
        "FACTORY_CDK_HOME": str(folder / "home"),
    }
    environment.pop("JSII_NODE", None)
    command = [sys.executable, "-m", "factory_cdk.stacks.run", "app.py"]
    where = ROOT / "plans" / "cdk-app"
    result = subprocess.run(
        command, cwd=where, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "supported" not in result.stderr, "jsii has no complaint about the Node"
    manifest = read(folder / "cdk.out" / "manifest.json")
    stacks = {
        artifact["properties"].get("stackName", name): read(folder / "cdk.out" / artifact["properties"]["templateFile"])
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    return {"report": read(folder / "cdk.out" / "validation-report.json"), **stacks}


@pytest.mark.slow
def test_the_example_app_adds_an_alarm_a_grant_an_aspect_and_tags(example: dict[str, Any]) -> None:
    assert set(example) == {"report", "Operations", "cdk-app-prod-queues", "cdk-app-prod-eu-west-2"}
    alarm = only(example["Operations"], "AWS::CloudWatch::Alarm")["Properties"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "cdk_app-prod-thumbnails-dlq"}]
    policy = only(example["cdk-app-prod-eu-west-2"], "AWS::IAM::Policy")["Properties"]
    assert policy["Roles"] == [{"Ref": "BoxRole"}]
    assert policy["PolicyDocument"]["Statement"][0]["Action"] == "sns:Publish"
    instance = only(example["cdk-app-prod-eu-west-2"], "AWS::EC2::Instance")["Properties"]
    assert instance["Monitoring"] is True
    assert {"Key": "cost-center", "Value": "pictures"} in instance["Tags"]
    assert example["cdk-app-prod-eu-west-2"]["Outputs"]["Instance"] == {"Value": {"Ref": "BoxInstance"}}


def test_what_cdk_nag_finds_in_the_example_is_acknowledged(example: dict[str, Any]) -> None:
    assert [one["conclusion"] for one in example["report"]["pluginReports"]] in ([], ["success"])


def test_the_example_s_bots_run(example: dict[str, Any]) -> None:
    program = "import pictures; print(pictures.thumbnails(pictures.pages({'document': 'a', 'pages': 2})))"
    where = ROOT / "plans" / "cdk-app" / "bots"
    result = subprocess.run([sys.executable, "-c", program], cwd=where, capture_output=True, text=True, check=True)
    assert result.stdout == "['a-1-thumbnail.png', 'a-2-thumbnail.png']\n"
