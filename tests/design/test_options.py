"""What a plan says of instances, roles, capacity and jobs reaches the design, and what has jobs or secrets stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from design_works import PARAMETERS, aws_sector, design_of, of_type, plan_of, statements

from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import Resource, StageDesign
from factory_cdk.design.stale import ExistingStack, stale_stacks

KEPT = {"SQS::Queue", "DynamoDB::Table", "S3::Bucket", "SecretsManager::Secret", "Logs::LogGroup"}
SECRET = {"secrets": {"TOKEN": {"env": "TOKEN"}}}


def one(design: StageDesign, kind: str) -> Resource:
    (found,) = of_type(design.stacks, kind)
    return found


def manifest(design: StageDesign, sector: str = "box") -> Any:
    (digest,) = [found.release for found in design.sectors if found.name == sector]
    (content,) = {asset.content for stack in design.stacks for asset in stack.assets if asset.sha256 == digest}
    return json.loads(content or "")


def release(design: StageDesign, sector: str = "Box") -> Any:
    (found,) = [found for stack in design.stacks for found in stack.resources if found.logical_id == f"{sector}Release"]
    return json.loads(found.properties["Value"]["Fn::Sub"])


def test_nothing_with_jobs_secrets_or_logs_in_it_goes_with_an_update_and_all_else_does(tmp_path: Path) -> None:
    design = design_of(tmp_path, {"box": aws_sector("a", **SECRET)})
    for stack in design.stacks:
        for resource in stack.resources:
            kept = resource.type.removeprefix("AWS::") in KEPT
            assert resource.deletion_policy == ("RetainExceptOnCreate" if kept else None), resource.logical_id
            assert resource.update_replace_policy == ("Retain" if kept else None)
    assert {found.type.removeprefix("AWS::") for stack in design.stacks for found in stack.resources} >= KEPT


def test_a_secret_that_bots_share_stays_when_the_first_of_them_goes(tmp_path: Path) -> None:
    both = one(design_of(tmp_path, {"box": aws_sector("a", "b", **SECRET)}), "SecretsManager::Secret")
    later = one(design_of(tmp_path, {"box": aws_sector("b", **SECRET)}), "SecretsManager::Secret")
    assert (both.logical_id, both.properties["Name"]) == (later.logical_id, later.properties["Name"])
    assert both.properties == later.properties


def test_a_customer_s_keys_are_used_through_the_services_alone_and_for_what_is_read(tmp_path: Path) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:far-AbCdEf"
    secrets = {"ONE": {"secret": "prod/token"}, "TWO": {"secret": arn}, "THREE": None}
    found = statements(design_of(tmp_path, {"box": aws_sector("a", secrets=secrets)}), "box")
    keys = {sid: statement for sid, statement in found.items() if statement["Action"] == ["kms:Decrypt"]}
    assert list(keys) == ["DecryptRelease", "DecryptSecrets1", "DecryptSecrets2"]
    bucket = "arn:${AWS::Partition}:s3:::cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
    assert keys["DecryptRelease"]["Condition"]["StringLike"] == {
        "kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.*"},
        "kms:EncryptionContext:aws:s3:arn": [{"Fn::Sub": bucket}, {"Fn::Sub": f"{bucket}/*"}],
    }
    here, far = keys["DecryptSecrets1"], keys["DecryptSecrets2"]
    named = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:prod/token-??????"
    assert here["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"] == [{"Fn::Sub": named}]
    assert far["Condition"]["StringLike"] == {
        "kms:ViaService": "secretsmanager.eu-west-1.*",
        "kms:EncryptionContext:SecretARN": [arn],
    }
    assert far["Resource"] == [{"Fn::Sub": "arn:${AWS::Partition}:kms:eu-west-1:222222222222:key/*"}]


def test_policies_and_the_boundary_are_the_role_s(tmp_path: Path) -> None:
    managed = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    boundary = "arn:aws:iam::111111111111:policy/boundary"
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::meshes/${aws:username}/*"}
    sector = aws_sector("a", **{"policies": [managed, statement], "permissions-boundary": boundary})
    role = one(design_of(tmp_path, {"box": sector}), "IAM::Role").properties
    assert role["ManagedPolicyArns"] == [managed]
    assert role["PermissionsBoundary"] == boundary
    assert role["Policies"][1] == {
        "PolicyName": "plan",
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }


def test_the_plan_s_statements_count_towards_the_limit(tmp_path: Path) -> None:
    statement = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": [f"arn:aws:s3:::m/{'x' * 900}{n}" for n in range(12)],
    }
    with pytest.raises(Exception, match="F603"):
        design_of(tmp_path, {"box": aws_sector("a", policies=[statement])})


def test_session_manager_gets_the_actions_of_messages_and_no_parameter(tmp_path: Path) -> None:
    plain = statements(design_of(tmp_path, {"box": aws_sector("a")}), "box")
    assert "SessionManager" not in plain
    found = statements(design_of(tmp_path, {"box": aws_sector("a", **{"session-manager": True})}), "box")
    actions = found["SessionManager"]["Action"]
    assert {action for action in actions if not action.startswith("ssmmessages:")} == {"ssm:UpdateInstanceInformation"}


def test_the_retention_of_logs_is_the_plan_s(tmp_path: Path) -> None:
    design = design_of(tmp_path, {"box": aws_sector("a", **{"log-retention": 90})})
    assert one(design, "Logs::LogGroup").properties["RetentionInDays"] == 90
    assert manifest(design)["logs"] == {
        "boot": "/factory-cdk/works/dev/boot.log",
        "group": "/factory-cdk/works/dev/box",
        "retention": 90,
    }


def test_the_first_subnet_and_type_are_used_and_the_others_are_told(tmp_path: Path) -> None:
    first, second = "subnet-0123456789abcdef0", "subnet-0fedcba9876543210"
    wanted = [first, "m7i.large", second, "m6i.large"]
    design = design_of(tmp_path, {"box": aws_sector("a", availability=wanted)})
    instance = one(design, "EC2::Instance").properties
    assert (instance["SubnetId"], instance["InstanceType"]) == (first, "m7i.large")
    assert manifest(design)["availability"] == wanted
    assert design.stacks[1].metadata["factory-cdk"]["availability"] == [{"sector": "box", "in_order": wanted}]
    parameters = {**PARAMETERS, "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": second}, {"DeviceIndex": 1}]}
    design = design_of(tmp_path, {"box": aws_sector("a", parameters=parameters, availability=[first])})
    instance = one(design, "EC2::Instance").properties
    assert instance["NetworkInterfaces"] == [{"DeviceIndex": 0, "SubnetId": first}, {"DeviceIndex": 1}]
    assert "SubnetId" not in instance


def test_a_spot_instance_has_a_launch_template_and_is_replaced_rather_than_stopped(tmp_path: Path) -> None:
    design = design_of(tmp_path, {"box": aws_sector("a", capacity="spot")})
    template = one(design, "EC2::LaunchTemplate")
    options = template.properties["LaunchTemplateData"]["InstanceMarketOptions"]
    assert options == {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}}
    instance = one(design, "EC2::Instance")
    version = {"Fn::GetAtt": ["BoxLaunchTemplate", "LatestVersionNumber"]}
    assert instance.properties["LaunchTemplate"] == {
        "LaunchTemplateId": {"Ref": "BoxLaunchTemplate"},
        "Version": version,
    }
    assert design.sectors[0].instance == instance.logical_id
    larger = {**PARAMETERS, "InstanceType": "t3.small"}
    other = one(design_of(tmp_path, {"box": aws_sector("a", capacity="spot", parameters=larger)}), "EC2::Instance")
    assert other.logical_id != instance.logical_id


def test_another_generation_makes_another_instance_and_waits_for_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"box": aws_sector("a"), "rest": aws_sector("b")})
    first, second = (design_stage(plan, generations={"box": number}) for number in (1, 2))
    assert first == design_stage(plan)
    ids = [{found.logical_id for found in design.stacks[1].resources} for design in (first, second)]
    changed = ids[0] ^ ids[1]
    assert {"BoxInstance", "BoxInstance2"} <= changed
    assert {name[:-8] for name in changed - {"BoxInstance", "BoxInstance2"}} == {
        "BoxBooted",
        "BoxBootedHandle",
        "BoxReady",
        "BoxReadyHandle",
    }
    assert second.sectors[0].instance == "BoxInstance2" and second.sectors[0].release == first.sectors[0].release


def test_a_sector_that_moves_to_another_stack_takes_no_name_of_the_one_it_leaves(tmp_path: Path) -> None:
    sectors = {"box": aws_sector("a", config={"LEVEL": "info"}, alarm="idle", **SECRET), "rest": aws_sector("b")}
    alarm = {
        "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 300,
        "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Threshold": 5, "AlarmActions": ["stop"],
    }  # fmt: skip
    plan = plan_of(tmp_path, sectors, alarms={"idle": alarm})
    here = design_stage(plan)
    moved = design_stage(plan, pinned={"box": "works-dev-eu-west-2-2", "rest": "works-dev-eu-west-2"})
    names = ("RoleName", "InstanceProfileName", "LogGroupName", "Name", "AlarmName")
    taken = [
        {value for found in design.stacks[1:] for resource in found.resources if resource.sector == "box"
         for key, value in resource.properties.items() if key in names}
        for design in (here, moved)
    ]  # fmt: skip
    assert len(taken[0]) == len(taken[1]) == 6
    assert not taken[0] & taken[1]
    assert moved.sectors[0].place == "box.2"
    assert manifest(moved)["bots"]["a"]["config"]["parameters"] == ["/factory-cdk/works/dev/box.2/config/a/1"]
    region = design_of(tmp_path, {"box": {**sectors["box"], "region_name": "eu-west-1"}}, alarms={"idle": alarm})
    roles = [one(replace(design, stacks=design.stacks[-1:]), "IAM::Role") for design in (moved, region)]
    assert roles[1].properties["RoleName"] == "works.dev.box.eu-west-1"


def test_what_overflows_into_a_second_stack_has_its_number_in_its_names(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {f"box{number}": aws_sector(f"b{number}") for number in range(70)})
    design = design_stage(plan)
    for sector in design.sectors:
        assert sector.place == sector.name + (".2" if (sector.stack or "").endswith("-2-2") else "")
    where = {sector.name: sector.stack for sector in design.sectors if sector.stack}
    assert design_stage(plan, pinned=where).stacks == design.stacks


def test_the_stage_keeps_a_table_and_a_bucket_whose_names_a_runner_is_told(tmp_path: Path) -> None:
    design = design_of(
        tmp_path, {"keep-jobs": "30d", "box": aws_sector("a", region_name="eu-west-1"), "home_region": "eu-west-2"}
    )
    table, bucket = one(design, "DynamoDB::Table").properties, one(design, "S3::Bucket").properties
    assert table["KeySchema"] == [
        {"AttributeName": "run", "KeyType": "HASH"},
        {"AttributeName": "id", "KeyType": "RANGE"},
    ]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}
    assert {rule.get("ExpirationInDays") for rule in bucket["LifecycleConfiguration"]["Rules"]} == {30, None}
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    said = release(design)
    assert (said["history"], said["keep_days"]) == (table["TableName"], 30) == ("works.dev.jobs", 30)
    assert bucket["BucketName"] == {"Fn::Sub": said["payloads"]}
    assert said["payloads"].endswith("-${AWS::AccountId}-eu-west-2"), "the home region's, wherever the sector is"
    assert (design.history, design.payloads) == (said["history"], said["payloads"])
    role = statements(design, "box")
    assert role["KeepHistory"]["Resource"][0]["Fn::Sub"].endswith(
        ":dynamodb:eu-west-2:${AWS::AccountId}:table/works.dev.jobs"
    )
    assert role["KeepPayloads"]["Resource"] == [{"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::{said['payloads']}/*"}]
    policy = one(design, "S3::BucketPolicy").properties["PolicyDocument"]["Statement"][0]
    assert (policy["Effect"], policy["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_without_history_there_is_no_table_and_no_right_to_one(tmp_path: Path) -> None:
    design = design_of(tmp_path, {"history": False, "box": aws_sector("a")})
    assert not of_type(design.stacks, "DynamoDB::Table")
    assert "KeepHistory" not in statements(design, "box")
    assert "history" not in release(design) and design.history is None
    assert of_type(design.stacks, "S3::Bucket")


def test_dead_letters_outlive_the_jobs_that_they_were_and_both_refuse_who_does_not_use_tls(tmp_path: Path) -> None:
    design = design_of(tmp_path, {"box": aws_sector("a")})
    dead, queue = (found.properties for found in of_type(design.stacks, "SQS::Queue"))
    assert (queue["MessageRetentionPeriod"], dead["MessageRetentionPeriod"]) == (10 * 86_400, 14 * 86_400)
    policy = one(design, "SQS::QueuePolicy").properties
    assert len(policy["Queues"]) == 2
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert not of_type(design.stacks, "CloudWatch::Alarm")


def test_who_asks_for_alarms_is_told_of_old_jobs_and_of_dead_letters(tmp_path: Path) -> None:
    topic = "arn:aws:sns:eu-west-2:111111111111:operators"
    design = design_of(tmp_path, {"queue-alarms": [topic], "box": aws_sector("a")})
    age, dead = (found.properties for found in of_type(design.stacks, "CloudWatch::Alarm"))
    assert (age["MetricName"], age["Threshold"]) == ("ApproximateAgeOfOldestMessage", 7 * 86_400)
    assert (dead["MetricName"], dead["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 1)
    assert age["AlarmActions"] == dead["AlarmActions"] == [topic]


def test_the_qualifier_of_the_bootstrap_stack_names_the_bucket_everywhere(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"box": aws_sector("a")})
    text = json.dumps([found.properties for found in design_stage(plan, qualifier="mine").stacks[1].resources])
    assert "cdk-mine-assets-${AWS::AccountId}" in text and "hnb659fds" not in text


def test_stacks_that_the_design_has_no_more_are_found_by_their_tags_the_queues_last(tmp_path: Path) -> None:
    design = design_of(tmp_path, {"box": aws_sector("a", region_name="eu-west-1")})
    tags = {"factory-cdk:factory": "works", "factory-cdk:stage": "dev", "team": "cfd"}
    own = [ExistingStack(stack.name, stack.region, stack.tags) for stack in design.stacks]
    queues = ExistingStack("works-dev-queues", "eu-west-2", tags)
    moved = ExistingStack("works-dev-eu-west-2", "eu-west-2", tags)
    other = ExistingStack("works-prod-eu-west-2", "eu-west-2", {**tags, "factory-cdk:stage": "prod"})
    foreign = ExistingStack("works-dev-eu-west-3", "eu-west-3", {})
    assert stale_stacks(design, [queues, *own, other, foreign, moved]) == (moved, queues)
    assert stale_stacks(design, own) == ()


@pytest.mark.parametrize(("said", "told"), [("true", True), (False, False), ("false", False)])
def test_an_alarm_that_shall_not_act_is_not_turned_on(said: Any, told: bool, tmp_path: Path) -> None:
    alarm = {
        "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 300,
        "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Threshold": 5, "ActionsEnabled": said,
    }  # fmt: skip
    design = design_of(tmp_path, {"box": aws_sector("a", alarm="idle")}, alarms={"idle": alarm})
    assert one(design, "CloudWatch::Alarm").properties["ActionsEnabled"] is False
    assert ("alarm" in release(design)) is told
