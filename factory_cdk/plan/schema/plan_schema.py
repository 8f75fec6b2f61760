"""The Cerberus schema of a plan: the single source of its structure.

It defines which keys exist, their types and what they are for; checks that relate two places of a plan are in
`plan.checks`. `meta` carries the descriptions that editors show.
"""

from __future__ import annotations

import json
from typing import Any

from factory_cdk.launchers import LAUNCHERS
from factory_cdk.plan.names import NAME_PATTERN

Rules = dict[str, Any]

VARIABLE_PATTERN = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
"""Names of config values and secrets: they become environment variables."""

TEXT_OR_NUMBER = ["string", "number"]
"""Where YAML would read text such as 1.10 as a number; the plan's reader keeps it as it was written."""

SCALAR = ["string", "number", "boolean"]


def _text(description: str, *examples: Any, **rules: Any) -> Rules:
    return {"type": "string", "empty": False, **rules, "meta": _meta(description, examples)}


def _flag(description: str) -> Rules:
    return {"type": "boolean", "meta": _meta(description, (True,))}


def _count(description: str, example: int, *, least: int = 1, most: int) -> Rules:
    return {"type": "integer", "min": least, "max": most, "meta": _meta(description, (example,))}


def _named(description: str, value: Rules, *examples: Any, **rules: Any) -> Rules:
    """A mapping whose keys are names of the plan."""
    keys = {"type": "string", "regex": _whole(NAME_PATTERN)}
    return {
        "type": "dict",
        "keysrules": keys,
        "valuesrules": value,
        **rules,
        "meta": _meta(description, examples),
    }


def _whole(pattern: str) -> str:
    # Cerberus appends `$`, which would let a trailing newline through.
    return pattern + r"\Z"


def _meta(description: str, examples: tuple[Any, ...]) -> dict[str, str]:
    # Cerberus hashes schemas and cannot hash lists of lists: the examples are kept as JSON text.
    return {"description": description, **({"examples": json.dumps(examples)} if examples else {})}


SECRET: Rules = {
    "type": "dict",
    "nullable": True,
    "schema": {
        "env": _text("The environment variable, where `build` runs, that has the value", "QALX_TOKEN"),
        "profile": _text("The section of the qalx ini file that has the value", "default"),
        "secret": _text("The name or ARN of an existing Secrets Manager secret", "prod/token"),
        "key": _text("The key in the profile or in the secret's JSON", "TOKEN"),
    },
    "meta": _meta(
        "Where a secret's value comes from; null: locally the variable of the same name, on AWS a new, empty secret", ()
    ),
}

SETTINGS: dict[str, Rules] = {
    "config": {
        "type": "dict",
        "keysrules": {"type": "string", "regex": _whole(VARIABLE_PATTERN)},
        "meta": _meta("Configuration that bots read as variables; the nearer level wins", ({"LEVEL": "info"},)),
    },
    "secrets": {
        "type": ["dict", "list"],
        "keysrules": {"type": "string", "regex": _whole(VARIABLE_PATTERN)},
        "valuesrules": SECRET,
        "meta": _meta("Names of secrets, or a mapping from names to the sources of their values", (["TOKEN"],)),
    },
}

GIT_OPTIONS: dict[str, Rules] = {
    "branch": {"type": TEXT_OR_NUMBER, "empty": False, "meta": _meta("The branch or tag", ("develop",))},
    "depth": _count("How many commits of history to fetch", 1, most=2**31 - 1),
    "bare": _flag("Clone without a work tree; the bot's files are taken from it"),
    "quiet": _flag("Hide git's progress"),
    "verbose": _flag("Show more of git's progress"),
    "progress": _flag("Show progress even if git's output is not a terminal"),
    "single-branch": _flag("Fetch one branch only (the default)"),
    "no-single-branch": _flag("Fetch all branches"),
    "no-tags": _flag("Fetch no tags"),
    "recurse-submodules": _flag("Fetch submodules too"),
    "shallow-submodules": _flag("Fetch submodules with one commit of history"),
    "shallow-since": _text("Fetch history after a date", "2026-01-01"),
    "filter": _text("A partial clone filter", "blob:none"),
    "jobs": _count("How many submodules are fetched in parallel", 4, most=64),
    "origin": _text("The name of the remote", "origin"),
    "no-checkout": _flag("Clone without checking out; the bot's files are taken from it"),
}

SOURCE: Rules = {
    "type": "dict",
    "required": True,
    "schema": {
        "url": _text("A git repository, as `git clone` takes it", "https://host/repo.git"),
        "path": _text("A folder of this machine, relative to the plan's file", "path/to/local/code"),
        "pypi": _text("A package on a Python package index", "many-useful-bots"),
        "version": {
            "type": TEXT_OR_NUMBER,
            "empty": False,
            "meta": _meta("The version of the package", ("1.5.9",)),
        },
        "subdirectory": _text("The folder of the bot inside the source", "bots/first"),
        **GIT_OPTIONS,
    },
    "meta": _meta("Where the bot's code comes from: exactly one of url, path and pypi", ({"path": "bots/reader"},)),
}

BOT: Rules = {
    "type": "dict",
    "schema": {
        "source": SOURCE,
        "bot_path": _text("The callable to run: module.path:attribute", "bots_package.the_bots:bot1"),
        "command": {
            "type": ["string", "list"],
            "empty": False,
            "schema": {"type": "string"},
            "meta": _meta(
                "A program to run instead of bot_path: a list of arguments, or one line that is split into arguments",
                (["./solve"],),
            ),
        },
        "requirements_path": _text(
            "The requirements file, relative to the source; nothing else is read then. For a package: relative to the "
            "plan's file, and added to its own",
            "requirements.txt",
        ),
        **SETTINGS,
    },
    "meta": _meta("A bot: where its code comes from and what to run", ()),
}

_CLASS = "A dotted path, module.path:Class; only with `launcher: qalx`"

ARGUMENTS: dict[str, Rules] = {
    "processes": _count("How many worker processes run this bot", 4, most=10_000),
    "queue-name": _text("The queue that the bot reads; its name by default", "my-queue"),
    "skip-ini": _flag("Do not read the qalx ini file"),
    "qalx-session-class": _text(_CLASS, "package.module:Session"),
    "user-config-class": _text(_CLASS, "package.module:UserConfig"),
    "bot-config-class": _text(_CLASS, "package.module:BotConfig"),
    "entity-class": _text(_CLASS, "package.module:Entity"),
    "stop": _flag("Start the bot stopped"),
    "meta": {"type": "dict", "meta": _meta("Metadata of this bot", ({"owner": "cfd"},))},
    "workflow": {
        "type": "list",
        "schema": {"type": "string"},
        "meta": _meta("The bots that get this bot's jobs next, instead of the stage's workflow", (["next_bot"],)),
    },
    "max-attempts": _count("How often a job is tried before it becomes a dead letter", 3, most=1000),
    "timeout": {
        "type": "number",
        "min": 0.001,
        "max": 2_592_000,
        "meta": _meta(
            "Seconds after which a job's worker is killed and the attempt has failed; up to 12 hours in a stage "
            "with aws sectors",
            (3600,),
        ),
    },
    "visibility-timeout": _count("Seconds of a job's lease, which is renewed while it runs", 60, least=10, most=43_200),
    "batch": _count("How many jobs a worker receives at once", 10, most=10),
    "aws-credentials": _flag("On AWS: the bot gets the role of its sector, without others' secrets; else none"),
    "launcher": _text("What starts the bot's processes", "python", allowed=LAUNCHERS),
    "python": {"type": TEXT_OR_NUMBER, "empty": False, "meta": _meta("The Python version", ("3.12",))},
    **SETTINGS,
}
"""The closed list of bot arguments by their canonical names."""

SHORT_ARGUMENTS = {"p": "processes", "q": "queue-name"}
"""The reference's one-letter options."""


def argument_name(key: str) -> str:
    """The canonical name of an argument as a plan may write it (`--processes`, `-p`, `p`)."""
    bare = key.lstrip("-")
    return SHORT_ARGUMENTS.get(bare, bare)


def _argument_keys() -> dict[str, Rules]:
    spelled = {f"--{name}": rules for name, rules in ARGUMENTS.items()}
    for short, name in SHORT_ARGUMENTS.items():
        spelled |= {short: ARGUMENTS[name], f"-{short}": ARGUMENTS[name]}
    return {**ARGUMENTS, **spelled}


BOT_ON_SECTOR: Rules = {
    "type": "dict",
    "nullable": True,
    "schema": _argument_keys(),
    "meta": _meta("How this sector runs the bot; null: with the defaults", ()),
}

_DAYS = "1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653"
LOG_RETENTIONS = tuple(map(int, _DAYS.split()))
"""Days (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html)."""

_A_STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::my-meshes/*"}

SECTOR: Rules = {
    "type": "dict",
    "allow_unknown": False,  # else Cerberus hands the stage's rule down, and a sector could hold sectors
    "schema": {
        "type": _text("`local`: this machine; `aws`: an EC2 instance", "aws", required=True, allowed=["local", "aws"]),
        "bots": _named(
            "The bots of this sector and their arguments",
            BOT_ON_SECTOR,
            {"reader": {"processes": 4}},
            required=True,
            minlength=1,
        ),
        "platform": _text("The instance's operating system", "linux", allowed=["linux", "windows"]),
        "python": {"type": TEXT_OR_NUMBER, "empty": False, "meta": _meta("The Python version", ("3.12",))},
        "region_name": _text("The region of the instance", "eu-west-2"),
        "alarm": _text("The name of the alarm that watches the instance", "alarm1"),
        "parameters": {
            "type": "dict",
            "meta": _meta("CloudFormation properties of AWS::EC2::Instance", ({"InstanceType": "t3.micro"},)),
        },
        "policies": {
            "type": "list",
            "empty": False,
            "schema": {"type": ["string", "dict"], "empty": False},
            "meta": _meta(
                "What the instance's role may do beside what its bots need: ARNs of managed policies, IAM statements",
                (["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"], [_A_STATEMENT]),
            ),
        },
        "permissions-boundary": _text(
            "The ARN of the policy that limits the instance's role", "arn:aws:iam::123456789012:policy/boundary"
        ),
        "session-manager": _flag("Let AWS Systems Manager Session Manager open a shell on the instance"),
        "log-retention": {
            "type": "integer",
            "allowed": list(LOG_RETENTIONS),
            "meta": _meta("Days for which CloudWatch keeps the sector's logs; 30 by default", (90,)),
        },
        "availability": {
            "type": "list",
            "empty": False,
            "schema": {"type": "string", "empty": False},
            "meta": _meta(
                "Subnets and instance types in the order in which they are wanted; the first of each is used, "
                "instead of that in `parameters`",
                (["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"], ["m7i.large", "m6i.large"]),
            ),
        },
        "capacity": _text(
            "`on-demand` (the default), or `spot`: cheaper, and interrupted when EC2 needs the capacity",
            "spot",
            allowed=["on-demand", "spot"],
        ),
        "offline": _flag(
            "Install from the release alone: it has the wheels of the bots and of the runner, and the instance asks no "
            "index. Needs `python`; no agent runs on Windows yet"
        ),
        "python-build": _text(
            "For an offline sector whose image lacks its Python: a build of it, the path or https address of a .tar.gz "
            "with its SHA-256",
            f"https://example.com/python-3.12.tar.gz#sha256={'0' * 64}",
        ),
        **SETTINGS,
    },
    "meta": _meta("A sector: this machine or one EC2 instance, and the bots that it runs", ()),
}

STAGE_KEYS: dict[str, Rules] = {
    "workflow": _text("The name of the workflow between this stage's bots", "flow_1"),
    "pools": _named(
        "How much there is of what steps acquire, for all runs of the stage",
        _count("How much there is of this pool", 2, most=1_000_000),
        {"licence": 5},
    ),
    "home_region": _text("The region of the stage's queues", "eu-west-2"),
    "protect": _flag("Turn on termination protection of the stage's stacks"),
    "history": _flag("On AWS: keep a table of jobs (the default), without which a job may be done twice"),
    "keep-jobs": _text("On AWS: days for which finished jobs and large payloads are kept; 14d by default", "14d"),
    "queue-alarms": {
        "type": "list",
        "empty": False,
        "schema": {"type": "string", "empty": False},
        "meta": _meta(
            "On AWS: who is told of jobs that wait for days and of dead letters, as ARNs; without it there is no alarm",
            (["arn:aws:sns:eu-west-2:123456789012:operators"],),
        ),
    },
    **SETTINGS,
}
"""The keys of a stage; every other key names a sector."""

STAGE: Rules = {
    "type": "dict",
    "keysrules": {"type": "string", "regex": _whole(NAME_PATTERN)},
    "schema": STAGE_KEYS,
    "allow_unknown": SECTOR,
    "meta": _meta("A stage: sectors that are built together", ()),
}

_A_BOT = {"source": {"path": "bots/reader"}, "bot_path": "reader:read"}
_A_STAGE = {"workflow": "flow", "desk": {"type": "local", "bots": {"reader": None}}}
_FLOWS = {"flow": [{"reader": ["writer"]}]}
_AN_ALARM = {
    "Namespace": "AWS/EC2",
    "MetricName": "CPUUtilization",
    "Statistic": "Average",
    "Period": 300,
    "EvaluationPeriods": 2,
    "Threshold": 5,
    "ComparisonOperator": "LessThanThreshold",
    "AlarmActions": ["stop"],
}

FACTORY: Rules = {
    "type": "dict",
    "required": True,
    "schema": {
        "name": _text("The factory's name", "my_factory_name", required=True, regex=_whole(NAME_PATTERN)),
        "bots": _named("The factory's bots by name", BOT, {"reader": _A_BOT}, required=True, minlength=1),
        "stages": _named("The factory's stages by name", STAGE, {"test": _A_STAGE}, required=True, minlength=1),
        "workflows": _named(
            "Workflows by name: which bot gets a job next, or the steps of a run",
            {"type": ["list", "dict"], "empty": False},
            _FLOWS,
        ),
        "alarms": _named(
            "CloudWatch alarms by name, for aws sectors", {"type": "dict", "empty": False}, {"idle": _AN_ALARM}
        ),
        "meta": {
            "type": "dict",
            "meta": _meta("Metadata of the stacks; null values are dropped", ({"key": "value"},)),
        },
        "tags": {
            "type": "dict",
            "valuesrules": {"type": SCALAR, "empty": False},  # botocore refuses a stack's tag without a value
            "meta": _meta("Tags of every resource that is created", ({"key": "value"},)),
        },
        "debug": {
            "type": "dict",
            "schema": {"demolish_on_failure": _flag("Demolish a failed build (the default)")},
            "meta": _meta("Settings for finding out why a build fails", ({"demolish_on_failure": False},)),
        },
        **SETTINGS,
    },
    "meta": _meta("A factory", ({"name": "example", "bots": {"reader": _A_BOT}, "stages": {"test": _A_STAGE}},)),
}

PLAN: dict[str, Rules] = {"factory": FACTORY}
"""The whole plan. Next to `factory`, only keys that start with `x-` are allowed."""
