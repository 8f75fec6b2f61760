"""Facts about AWS that validation needs offline; `tools/snapshot_aws.py` refreshes them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def resource_schema(name: str) -> Any:
    """The CloudFormation resource schema `ec2-instance` or `cloudwatch-alarm`, without its prose.

    That of instances has the exclusions of EC2's documentation, too: AWS's schema has only some of them.
    """
    schema = json.loads(_read(f"{name}.json"))
    if name == "ec2-instance":
        documented = json.loads(_read("ec2-instance-exclusions.json"))
        schema["dependentExcluded"] = documented["dependentExcluded"]
        for part, excluded in documented["definitions"].items():
            schema["definitions"][part]["dependentExcluded"] = excluded
    return schema


@cache
def update_behaviour() -> dict[str, dict[str, list[str]]]:
    """By resource type, for those of our templates: the properties whose change `replaces` a resource, and those whose
    change `may_replace` it, from its CloudFormation resource schema (createOnlyProperties and
    conditionalCreateOnlyProperties).
    """
    found: dict[str, dict[str, list[str]]] = json.loads(_read("update-behaviour.json"))
    return found


@cache
def partitions() -> dict[str, str]:
    """The partition of every region (`{"eu-west-2": "aws", …}`)."""
    data = json.loads(_read("regions.json"))
    return {region: partition for partition, facts in data.items() for region in facts["regions"]}


def _read(name: str) -> str:
    return (files("factory_cdk.plan") / "aws" / name).read_text(encoding="utf-8")
