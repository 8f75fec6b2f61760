"""Refreshes factory_cdk/plan/aws/ from the installed cfn-lint and botocore: `python tools/snapshot_aws.py`.

The base install knows AWS's facts without carrying cfn-lint or loading botocore: the CloudFormation resource
schemas of the two resources that a plan writes properties of, and the regions of every partition. A test
compares the snapshot with what the tools installed beside it say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore
import cfnlint

TYPES = {"AWS::EC2::Instance": "ec2-instance.json", "AWS::CloudWatch::Alarm": "cloudwatch-alarm.json"}
UPDATED = (
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudWatch::Alarm",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Instance",
    "AWS::EC2::LaunchTemplate",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Parameter",
    "AWS::SecretsManager::Secret",
)
"""The resources of our templates: which of their properties CloudFormation can change on one that exists."""
FOLDER = Path(__file__).parent.parent / "factory_cdk" / "plan" / "aws"
UNUSED = {"description", "handlers", "sourceUrl", "$schema", "tagging", "insertionOrder", "format", "default"}


def schema(resource_type: str) -> Any:
    """The us-east-1 resource schema of `resource_type` as cfn-lint carries it, without its prose."""
    folder = Path(cfnlint.__file__).parent / "data" / "schemas"
    names = json.loads((folder / "providers" / "us-east-1.json").read_text())
    return _without_prose(json.loads((folder / "resources" / f"{names[resource_type]}.json").read_text()))


def update_behaviour() -> dict[str, Any]:
    """For each of UPDATED the properties whose change replaces it, always and under conditions."""
    prefix = "/properties/"
    found = {}
    for name in UPDATED:
        full = schema(name)
        found[name] = {
            "replaces": sorted(one.removeprefix(prefix) for one in full.get("createOnlyProperties", ())),
            "may_replace": sorted(one.removeprefix(prefix) for one in full.get("conditionalCreateOnlyProperties", ())),
        }
    return found


def _without_prose(value: Any, *, names: bool = False) -> Any:
    """`value` without the keywords in UNUSED; `names` while the keys are property names, not keywords."""
    if isinstance(value, list):
        return [_without_prose(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_prose(item, names=not names and key in ("properties", "definitions"))
        for key, item in sorted(value.items())
        if names or key not in UNUSED
    }


def regions() -> dict[str, Any]:
    """Every partition's DNS suffix and its regions, from botocore."""
    data = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())
    return {
        partition["id"]: {
            "dns_suffix": partition["outputs"]["dnsSuffix"],
            "regions": sorted(name for name in partition["regions"] if not name.endswith("-global")),
        }
        for partition in data["partitions"]
    }


def snapshot() -> dict[str, str]:
    """The text of every file of the snapshot by its name."""
    content: dict[str, Any] = {file: schema(name) for name, file in TYPES.items()} | {
        "regions.json": regions(),
        "update-behaviour.json": update_behaviour(),
    }
    return {file: json.dumps(value, indent=1, sort_keys=True) + "\n" for file, value in content.items()}


if __name__ == "__main__":
    for file, text in snapshot().items():
        (FOLDER / file).write_text(text)
        print(f"{FOLDER / file}: {len(text):,} bytes")
