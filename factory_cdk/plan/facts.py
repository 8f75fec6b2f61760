"""Facts about AWS that validation needs offline; `tools/snapshot_aws.py` refreshes them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def resource_schema(name: str) -> Any:
    """The CloudFormation resource schema `ec2-instance` or `cloudwatch-alarm`, without its prose."""
    return json.loads(_read(f"{name}.json"))


@cache
def partitions() -> dict[str, str]:
    """The partition of every region (`{"eu-west-2": "aws", …}`)."""
    data = json.loads(_read("regions.json"))
    return {region: partition for partition, facts in data.items() for region in facts["regions"]}


def _read(name: str) -> str:
    return (files("factory_cdk.plan") / "aws" / name).read_text(encoding="utf-8")
