"""One change of a plan for every key of the plan language, and what an update of its stacks does to the instance."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from factory_cdk.plan.schema import plan_schema

Yaml = dict[str, Any]

UNCHANGED = "unchanged"
"""There is nothing to update: the resources of the templates are the same."""
IN_PLACE = "in place"
"""Something is updated; the instance goes on."""
SIGNALLED = "in place, signalled"
"""The instance goes on, and the update waits until it has installed the release."""
RESTARTED = "stops and starts"
"""The instance stops and starts, and the update waits for it."""
REPLACED = "replaced"
"""There is another instance, and the update waits for it."""
ELSEWHERE = "another stack"
"""The sector is in a stack of another name or region; the old one is stale."""

GONE = object()
"""Stands for a key that is removed."""

PLAN: Yaml = {
    "factory": {
        "name": "matrix",
        "tags": {"team": "red"},
        "meta": {"note": "one"},
        "debug": {"demolish_on_failure": True},
        "config": {"LEVEL": "info"},
        "secrets": {"TOKEN": None},
        "bots": {
            "first": {
                "source": {"url": "https://git.example/first.git", "branch": "main"},
                "bot_path": "bots:first",
            },
            "second": {"source": {"pypi": "second", "version": "1"}, "bot_path": "bots:second"},
            "spare": {"source": {"path": "spare"}, "bot_path": "bots:spare", "requirements_path": "one.txt"},
        },
        "workflows": {"flow": {"first": "second"}, "other": {"second": "first"}},
        "alarms": {
            "idle": {
                "MetricName": "CPUUtilization",
                "Namespace": "AWS/EC2",
                "Statistic": "Average",
                "Period": 300,
                "EvaluationPeriods": 10,
                "ComparisonOperator": "LessThanThreshold",
                "Threshold": 5,
                "AlarmActions": ["terminate"],
            }
        },
        "stages": {
            "dev": {
                "workflow": "flow",
                "home_region": "eu-west-2",
                "box": {
                    "type": "aws",
                    "region_name": "eu-west-2",
                    "alarm": "idle",
                    "parameters": {
                        "ImageId": "ami-0123456789abcdef0",
                        "InstanceType": "t3.micro",
                        "SubnetId": "subnet-0123456789abcdef0",
                    },
                    "bots": {"first": {"processes": 1}, "second": {}, "spare": {}},
                },
            }
        },
    }
}


@dataclass(frozen=True)
class Change:
    """`path` (with points) gets `value`, which does `effect`; `covers` is the key that it stands for."""

    covers: str
    path: str
    value: Any
    effect: str
    more: tuple[tuple[str, Any], ...] = ()
    """Further paths and values of the same change."""

    @property
    def plan(self) -> Yaml:
        """The plan after it."""
        plan = copy.deepcopy(PLAN)
        for path, value in ((self.path, self.value), *self.more):
            *above, key = path.split(".")
            place: Any = plan["factory"]
            for step in above:
                place = place.setdefault(step, {})
            if value is GONE:
                del place[key]
            else:
                place[key] = copy.deepcopy(value)
        return plan


STAGE, BOX, FIRST, SPARE = "stages.dev", "stages.dev.box", "stages.dev.box.bots.first", "bots.spare"
GIT = "bots.first.source"
ARN = "arn:aws:iam::000000000000:policy/team"
TOPIC = "arn:aws:sns:eu-west-2:000000000000:operators"
OTHER_SUBNET = "subnet-0fedcba9876543210"

CHANGES = (
    # factory
    Change("factory.name", "name", "other", ELSEWHERE),
    Change("factory.tags", "tags", {"team": "blue"}, IN_PLACE),
    Change("factory.meta", "meta", {"note": "two"}, UNCHANGED),
    Change("factory.debug", "debug", {"demolish_on_failure": False}, UNCHANGED),
    Change("factory.config", "config", {"LEVEL": "debug"}, SIGNALLED),
    Change("factory.secrets", "secrets", {"TOKEN": None, "KEY": None}, SIGNALLED),
    Change("factory.bots", "bots.unused", {"source": {"path": "unused"}, "bot_path": "bots:unused"}, UNCHANGED),
    Change("factory.workflows", "workflows.flow", ["first", "second"], SIGNALLED),
    Change("factory.alarms", "alarms.idle.Threshold", 6, IN_PLACE),
    Change("factory.stages", "stages.test", {"desk": {"type": "local", "bots": {"first": None}}}, UNCHANGED),
    # bot
    Change("bot.source", f"{GIT}.branch", "next", SIGNALLED),
    Change("bot.bot_path", "bots.first.bot_path", "bots:other", SIGNALLED),
    Change("bot.command", "bots.first.command", ["./run"], SIGNALLED, (("bots.first.bot_path", GONE),)),
    Change("bot.requirements_path", f"{SPARE}.requirements_path", "two.txt", SIGNALLED),
    Change("bot.config", "bots.first.config", {"LEVEL": "debug"}, SIGNALLED),
    Change("bot.secrets", "bots.first.secrets", {"TOKEN": {"secret": "prod/token"}}, SIGNALLED),
    # source
    Change("source.url", f"{GIT}.url", "https://git.example/other.git", SIGNALLED),
    Change("source.path", f"{SPARE}.source.path", "elsewhere", SIGNALLED),
    Change("source.pypi", "bots.second.source.pypi", "other", SIGNALLED),
    Change("source.version", "bots.second.source.version", "2", SIGNALLED),
    Change("source.subdirectory", f"{GIT}.subdirectory", "inner", SIGNALLED),
    Change("source.branch", f"{GIT}.branch", "v2", SIGNALLED),
    # How a repository is cloned does not change what is in it; only submodules do.
    Change("source.recurse-submodules", f"{GIT}.recurse-submodules", True, SIGNALLED),
    *(
        Change(f"source.{option}", f"{GIT}.{option}", value, UNCHANGED)
        for option, value in {
            "depth": 1,
            "bare": True,
            "quiet": True,
            "verbose": True,
            "progress": True,
            "single-branch": True,
            "no-single-branch": True,
            "no-tags": True,
            "shallow-submodules": True,
            "shallow-since": "2026-01-01",
            "filter": "blob:none",
            "jobs": 2,
            "origin": "upstream",
            "no-checkout": True,
        }.items()
    ),
    # stage
    Change("stage.workflow", f"{STAGE}.workflow", "other", SIGNALLED),
    Change("stage.pools", f"{STAGE}.pools", {"licence": 5}, UNCHANGED),
    Change("stage.home_region", f"{STAGE}.home_region", "eu-west-1", SIGNALLED),
    Change("stage.protect", f"{STAGE}.protect", True, UNCHANGED),
    Change("stage.history", f"{STAGE}.history", False, SIGNALLED),
    Change("stage.keep-jobs", f"{STAGE}.keep-jobs", "30d", SIGNALLED),
    Change("stage.queue-alarms", f"{STAGE}.queue-alarms", [TOPIC], UNCHANGED),
    Change("stage.config", f"{STAGE}.config", {"LEVEL": "debug"}, SIGNALLED),
    Change("stage.secrets", f"{STAGE}.secrets", {"KEY": None}, SIGNALLED),
    # sector
    Change("sector.type", f"{STAGE}.desk", {"type": "local", "bots": {"first": None}}, UNCHANGED),
    Change("sector.bots", f"{BOX}.bots.spare", GONE, SIGNALLED),
    Change("sector.platform", f"{BOX}.platform", "windows", RESTARTED),
    Change("sector.python", f"{BOX}.python", "3.12", SIGNALLED),
    Change("sector.region_name", f"{BOX}.region_name", "eu-west-1", ELSEWHERE),
    Change("sector.alarm", f"{BOX}.alarm", GONE, SIGNALLED),
    Change("sector.parameters", f"{BOX}.parameters.InstanceType", "t3.small", RESTARTED),
    Change("sector.parameters", f"{BOX}.parameters.ImageId", "ami-0fedcba9876543210", REPLACED),
    Change("sector.parameters", f"{BOX}.parameters.SecurityGroupIds", ["sg-0123456789abcdef0"], IN_PLACE),
    Change("sector.parameters", f"{BOX}.parameters.Tags", [{"Key": "cost", "Value": "cfd"}], IN_PLACE),
    Change("sector.parameters", f"{BOX}.parameters.Monitoring", True, IN_PLACE),
    Change("sector.policies", f"{BOX}.policies", [ARN], IN_PLACE),
    Change("sector.permissions-boundary", f"{BOX}.permissions-boundary", ARN, IN_PLACE),
    Change("sector.session-manager", f"{BOX}.session-manager", True, IN_PLACE),
    Change("sector.log-retention", f"{BOX}.log-retention", 90, SIGNALLED),
    Change("sector.availability", f"{BOX}.availability", ["t3.micro", "t2.micro"], SIGNALLED),
    Change("sector.availability", f"{BOX}.availability", ["t2.micro"], RESTARTED),
    Change("sector.availability", f"{BOX}.availability", [OTHER_SUBNET], REPLACED),
    Change("sector.offline", f"{BOX}.offline", True, SIGNALLED, ((f"{BOX}.python", "3.12"),)),
    Change(
        "sector.python-build",
        f"{BOX}.python-build",
        f"python.tar.gz#sha256={'0' * 64}",
        SIGNALLED,
        ((f"{BOX}.offline", True), (f"{BOX}.python", "3.12")),
    ),
    Change("sector.capacity", f"{BOX}.capacity", "spot", REPLACED),
    Change("sector.config", f"{BOX}.config", {"LEVEL": "debug"}, SIGNALLED),
    Change("sector.secrets", f"{BOX}.secrets", {"KEY": None}, SIGNALLED),
    # bot argument
    *(
        Change(f"argument.{name}", f"{FIRST}.{name}", value, SIGNALLED)
        for name, value in {
            "processes": 2,
            "queue-name": "other-queue",
            "skip-ini": True,
            "stop": True,
            "meta": {"owner": "cfd"},
            "workflow": ["spare"],
            "max-attempts": 5,
            "timeout": 60,
            "visibility-timeout": 120,
            "batch": 2,
            "python": "3.12",
            "aws-credentials": True,
            "config": {"LEVEL": "debug"},
            "secrets": {"KEY": None},
        }.items()
    ),
    *(
        Change(
            f"argument.{name}",
            f"{BOX}.bots",
            {"first": {"launcher": "qalx", **value}, "second": {"launcher": "qalx"}, "spare": {"launcher": "qalx"}},
            SIGNALLED,
        )
        for name, value in {
            "launcher": {},
            "qalx-session-class": {"qalx-session-class": "a.b:C"},
            "user-config-class": {"user-config-class": "a.b:C"},
            "bot-config-class": {"bot-config-class": "a.b:C"},
            "entity-class": {"entity-class": "a.b:C"},
        }.items()
    ),
)


def all_keys() -> set[str]:
    """Every key of the plan language, as `covers` names them."""
    parts: dict[str, Any] = {
        "factory": plan_schema.FACTORY["schema"],
        "bot": plan_schema.BOT["schema"],
        "source": plan_schema.SOURCE["schema"],
        "stage": plan_schema.STAGE_KEYS,
        "sector": plan_schema.SECTOR["schema"],
        "argument": plan_schema.ARGUMENTS,
    }
    return {f"{part}.{key}" for part, keys in parts.items() for key in keys}
