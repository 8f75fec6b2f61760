"""A CDK app of typed L1 constructs and nothing else: as many of each kind as a factory of N one-bot sectors has.

python benchmarks/bare_l1_app.py N FOLDER. Its stacks hold as many resources as ours do, and it publishes as many
files: a manifest for each sector, two scripts, a wheel and its requirements. It reads no plan and checks nothing.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_dynamodb, aws_ec2, aws_iam, aws_logs, aws_s3, aws_sqs, aws_ssm

SECTORS_A_STACK = 55
QUEUES_A_STACK = 246
WHEEL = "x" * 2_000_000


def main() -> None:
    """Synthesize the app."""
    count, folder = int(sys.argv[1]), sys.argv[2]
    app = cdk.App(outdir=folder, analytics_reporting=False)
    for first in range(0, count, QUEUES_A_STACK):
        stack = cdk.Stack(app, f"bare-queues-{first}", env=cdk.Environment(region="eu-west-2"))
        queues = [
            queue for number in range(first, min(first + QUEUES_A_STACK, count)) for queue in _queue(stack, number)
        ]
        aws_sqs.CfnQueuePolicy(stack, "Policy", policy_document=TLS, queues=[queue.ref for queue in queues])
        if not first:
            _store(stack)
        _gates(stack)
    for first in range(0, count, SECTORS_A_STACK):
        stack = cdk.Stack(app, f"bare-{first}", env=cdk.Environment(region="eu-west-2"))
        for number in range(first, min(first + SECTORS_A_STACK, count)):
            _sector(stack, number)
            _file(stack, Path(folder), f'{{"sector": "box_{number}"}}', ".json")
        for text, suffix in (
            ("#!/bin/sh\n", ".sh"),
            ("import sys\n", ".py"),
            ("x" * 2_000_000, ".whl"),
            ("#\n", ".txt"),
        ):
            _file(stack, Path(folder), text, suffix)
        _gates(stack)
    app.synth()


def _file(stack: cdk.Stack, folder: Path, text: str, suffix: str) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = f"asset.{digest}{suffix}"
    (folder / name).write_text(text)
    stack.synthesizer.add_file_asset(source_hash=digest, file_name=name, packaging=cdk.FileAssetPackaging.FILE)


TLS = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}


def _store(stack: cdk.Stack) -> None:
    key = aws_dynamodb.CfnTable.KeySchemaProperty(attribute_name="pk", key_type="HASH")
    aws_dynamodb.CfnTable(stack, "Table", key_schema=[key], table_name="bare", billing_mode="PAY_PER_REQUEST")
    bucket = aws_s3.CfnBucket(stack, "Bucket", bucket_name="bare")
    aws_s3.CfnBucketPolicy(stack, "BucketPolicy", bucket=bucket.ref, policy_document=TLS)


def _gates(stack: cdk.Stack) -> None:
    for gate in "AB":
        handle = cdk.CfnWaitConditionHandle(stack, f"Commit{gate}Handle")
        cdk.CfnWaitCondition(stack, f"Commit{gate}", handle=handle.ref, timeout="7200", count=1)


def _queue(stack: cdk.Stack, number: int) -> list[aws_sqs.CfnQueue]:
    tags = [cdk.CfnTag(key="factory", value="bare"), cdk.CfnTag(key="bot", value=f"bot_{number}")]
    dead = aws_sqs.CfnQueue(stack, f"Dead{number}", queue_name=f"bare-{number}-dlq", tags=tags)
    queue = aws_sqs.CfnQueue(
        stack,
        f"Queue{number}",
        queue_name=f"bare-{number}",
        visibility_timeout=60,
        redrive_policy={"deadLetterTargetArn": dead.attr_arn, "maxReceiveCount": 9},
        tags=tags,
    )
    return [dead, queue]


def _sector(stack: cdk.Stack, number: int) -> None:
    tags = [cdk.CfnTag(key="factory", value="bare"), cdk.CfnTag(key="sector", value=f"box_{number}")]
    statement = {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": f"arn:aws:ssm:*:*:parameter/{number}/*"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    role = aws_iam.CfnRole(
        stack,
        f"Role{number}",
        assume_role_policy_document={"Version": "2012-10-17", "Statement": [trust]},
        policies=[
            aws_iam.CfnRole.PolicyProperty(
                policy_name="sector", policy_document={"Version": "2012-10-17", "Statement": [statement]}
            )
        ],
        tags=tags,
    )
    profile = aws_iam.CfnInstanceProfile(stack, f"Profile{number}", roles=[role.ref])
    aws_logs.CfnLogGroup(stack, f"Logs{number}", log_group_name=f"/bare/{number}", retention_in_days=30, tags=tags)
    up = cdk.CfnWaitConditionHandle(stack, f"Up{number}")
    handle = cdk.CfnWaitConditionHandle(stack, f"Handle{number}")
    aws_ssm.CfnParameter(stack, f"Release{number}", type="String", value=handle.ref, name=f"/bare/{number}/release")
    instance = aws_ec2.CfnInstance(
        stack,
        f"Instance{number}",
        image_id="ami-0123456789abcdef0",
        instance_type="t3.micro",
        iam_instance_profile=profile.ref,
        user_data=cdk.Fn.base64(f"#!/bin/sh\necho {number}\n"),
        tags=tags,
    )
    ready = cdk.CfnWaitCondition(stack, f"Ready{number}", handle=handle.ref, timeout="4200", count=1)
    booted = cdk.CfnWaitCondition(stack, f"Booted{number}", handle=up.ref, timeout="900", count=1)
    booted.add_dependency(instance)
    ready.add_dependency(booted)


main()
