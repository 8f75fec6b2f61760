"""Two versions of a plan for the tests of review: written to a folder, designed, compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from factory_cdk.review.model import Report, SectorReport, StageReport
from factory_cdk.review.reviewing import reviewed
from factory_cdk.review.sides.of_plan import side_of_plan
from factory_cdk.review.sides.side import PlanSide

Plan = dict[str, Any]

REGION = "eu-west-2"


def base() -> Plan:
    """A plan with a local and an aws sector, as plain data to change."""
    return {
        "factory": {
            "name": "mill",
            "tags": {"team": "blue"},
            "config": {"LEVEL": "info"},
            "bots": {
                "reader": {"source": {"path": "code/reader"}, "bot_path": "reader:run", "secrets": ["TOKEN"]},
                "writer": {"source": {"path": "code/writer"}, "bot_path": "writer:run"},
            },
            "workflows": {"flow": {"reader": "writer"}},
            "alarms": {
                "idle": {
                    "MetricName": "CPUUtilization",
                    "Namespace": "AWS/EC2",
                    "Statistic": "Average",
                    "Period": 300,
                    "EvaluationPeriods": 10,
                    "ComparisonOperator": "LessThanThreshold",
                    "Threshold": "5",
                    "AlarmActions": ["stop"],
                }
            },
            "stages": {
                "prod": {
                    "workflow": "flow",
                    "box": {
                        "type": "aws",
                        "alarm": "idle",
                        "parameters": {
                            "ImageId": "ami-0123456789abcdef0",
                            "InstanceType": "t3.micro",
                            "KeyName": "ops",
                            "SecurityGroupIds": ["sg-0123456789abcdef0"],
                            "SubnetId": "subnet-0123456789abcdef0",
                            "BlockDeviceMappings": [
                                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Encrypted": True}}
                            ],
                        },
                        "bots": {"reader": {"processes": 1}},
                    },
                    "here": {"type": "local", "bots": {"writer": {}}},
                }
            },
        }
    }


def write(folder: Path, plan: Plan, code: Mapping[str, str] | None = None) -> Path:
    """Write `plan`, and code for its bots, below `folder`; returns the plan's file."""
    files = {f"code/{name}/{name}.py": "def run(payload): return payload\n" for name in ("reader", "writer")}
    for name, text in {**files, **(code or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    file = folder / "factory-plan.yml"
    file.write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    return file


def side(folder: Path, plan: Plan, code: Mapping[str, str] | None = None) -> PlanSide:
    """`plan` as a side."""
    return side_of_plan(str(write(folder, plan, code)), cache=folder / ".cache", region=REGION)


def report(
    folder: Path,
    before: Plan,
    after: Plan,
    code_before: Mapping[str, str] | None = None,
    code_after: Mapping[str, str] | None = None,
) -> Report:
    """`after` compared with `before`, each in a folder of its own below `folder`."""
    old, new = side(folder / "before", before, code_before), side(folder / "after", after, code_after)
    return reviewed("factory-plan.yml", old, new)


def stage(found: Report, name: str = "prod") -> StageReport:
    """The report of one stage."""
    return next(one for one in found.stages if one.name == name)


def sector(found: Report, name: str = "box") -> SectorReport:
    """The report of one sector of the stage `prod`."""
    return next(one for one in stage(found).sectors if one.name == name)
