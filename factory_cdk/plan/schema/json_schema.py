"""The plan language as JSON Schema (2020-12), so that an editor completes, explains and checks plans.

Generated from the Cerberus schema (`schema`), CloudFormation's resource schemas (`jsonproperties`) and those rules of
the reading modules that concern one place of a plan. What the JSON Schema refuses, `factory-cdk validate` refuses; what
relates two places (a bot that is not defined, a cycle) only `validate` finds.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from factory_cdk.launchers.base import CLASS_ARGUMENTS
from factory_cdk.plan.checks.alarms import ALARM_ACTIONS, ALARM_VERBS
from factory_cdk.plan.checks.aws_checks import REQUIRED_PARAMETERS
from factory_cdk.plan.checks.instance_options import OPTION_KEYS, PLACE, POLICY_ARN
from factory_cdk.plan.checks.job_store import DAYS, MAX_ACTIONS
from factory_cdk.plan.checks.offline import BUILD
from factory_cdk.plan.checks.tags import MAX_TAGS
from factory_cdk.plan.facts import partitions, resource_schema
from factory_cdk.plan.model import BotArguments
from factory_cdk.plan.names import NAME_PATTERN
from factory_cdk.plan.schema import plan_schema as cerberus
from factory_cdk.plan.schema.json_properties import Schema, excluding, resource_definitions
from factory_cdk.plan.schema.json_steps import has_steps, step_definitions, workflow_of_steps
from factory_cdk.plan.settings import RESERVED_PREFIX
from factory_cdk.plan.sources import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TYPES = {
    "dict": "object",
    "list": "array",
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}

_ALIKE = {"allowed": "enum", "min": "minimum", "max": "maximum"}

_SMALLEST = {"string": "minLength", "array": "minItems", "object": "minProperties"}

_NAME = f"^{NAME_PATTERN}$"
_VARIABLE = f"^(?!{RESERVED_PREFIX}){cerberus.VARIABLE_PATTERN}$"
_TARGET = r"^[^\s:]+:[^\s:]+$"
_PYTHON = r"^3\.[0-9]{1,2}(\.[0-9]{1,2})?$"
_INNER_PATH = r"^(?![/]|[A-Za-z]:)(?!([^\\]*/)?\.\.(/|$))[^\\]*$"
_RESERVED_TAGS = "[Aa][Ww][Ss]:|[Ff][Aa][Cc][Tt][Oo][Rr][Yy]-[Cc][Dd][Kk]:"
_NOT_EVALUATED = r"(?!Fn::|Ref(?![\s\S]))"
_ARN = r"^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|ec2)?:[!-~]+$"

_SHARED: Mapping[int, str] = {
    id(cerberus.SECRET): "secret",
    id(cerberus.SETTINGS["config"]): "config",
    id(cerberus.SETTINGS["secrets"]): "secrets",
    id(cerberus.SOURCE): "source",
    id(cerberus.BOT): "bot",
    id(cerberus.SECTOR): "sector",
    id(cerberus.STAGE): "stage",
    id(cerberus.BOT_ON_SECTOR): "arguments",
}
"""The rules that become definitions of their own, distinguished by identity: each is one object in `schema`."""


def json_schema() -> Schema:
    """The whole JSON Schema of a plan, ready for `json.dumps`; the same for the same version of factory_cdk."""
    definitions: dict[str, Schema] = {}
    factory = _translate(cerberus.FACTORY, definitions)
    _refine_bots(definitions)
    _refine_arguments(definitions["arguments"])
    _refine_settings(definitions)
    _refine_stages(definitions)
    _refine_factory(factory)
    definitions |= _workflow_nodes() | _resources()
    return {
        "$schema": DIALECT,
        "title": "Factory plan",
        "description": "One factory: its bots, its stages and the workflows between the bots",
        "type": "object",
        "properties": {"factory": factory},
        "patternProperties": {"^x-": {"description": "A key of your own, a place for YAML anchors"}},
        "required": ["factory"],
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """The JSON Schema as the text of the published file."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _translate(rules: Mapping[str, Any], definitions: dict[str, Schema]) -> Schema:
    """The rules of one value as JSON Schema; shared ones as a reference into `definitions`."""
    shared = _SHARED.get(id(rules))
    if shared is None:
        return _value(rules, definitions)
    if shared not in definitions:
        definitions[shared] = {}
        definitions[shared] = _value(rules, definitions)
    return {"$ref": f"#/$defs/{shared}"}


def _value(rules: Mapping[str, Any], definitions: dict[str, Schema]) -> Schema:
    wanted = rules.get("type", [])
    types = [_TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted)]
    made: Schema = {}
    meta = rules.get("meta", {})
    if "description" in meta:
        made["description"] = meta["description"]
    shown = [*types, *(["null"] if rules.get("nullable") else [])]
    if shown:
        made["type"] = shown[0] if len(shown) == 1 else shown
    made |= {keyword: _as_json(rules[rule]) for rule, keyword in _ALIKE.items() if rule in rules}
    if "regex" in rules:
        made["pattern"] = _pattern(rules["regex"])
    if rules.get("empty") is False:
        made |= {_SMALLEST[name]: 1 for name in types if name in _SMALLEST}
    if "minlength" in rules:
        made |= {_SMALLEST[name]: rules["minlength"] for name in types if name in _SMALLEST}
    if "array" in types and "schema" in rules:
        made["items"] = _translate(rules["schema"], definitions)
    if "object" in types:
        made |= _mapping(rules, definitions)
    if "examples" in meta:
        made["examples"] = json.loads(meta["examples"])
    return made


def _as_json(rule: Any) -> Any:
    """A rule as JSON Schema holds it: the names of launchers are the keys of a mapping."""
    return list(rule) if isinstance(rule, Mapping) else rule


def _mapping(rules: Mapping[str, Any], definitions: dict[str, Schema]) -> Schema:
    made: Schema = {}
    keys = rules.get("schema", {})
    if keys:
        # Only the plain spelling of an argument is completed; the others are patterns, which editors do not propose.
        made["properties"] = {key: _translate(value, definitions) for key, value in keys.items() if _plain(key)}
        others = {f"^{key}$": _translate(value, definitions) for key, value in keys.items() if not _plain(key)}
        if others:
            made["patternProperties"] = others
        required = [key for key, value in keys.items() if value.get("required")]
        if required:
            made["required"] = required
        unknown = rules.get("allow_unknown")
        made["additionalProperties"] = _translate(unknown, definitions) if isinstance(unknown, dict) else False
    if "keysrules" in rules:
        made["propertyNames"] = {"pattern": _pattern(rules["keysrules"]["regex"])}
    if "valuesrules" in rules:
        made["additionalProperties"] = _translate(rules["valuesrules"], definitions)
    return made


def _plain(key: str) -> bool:
    return len(key) > 1 and not key.startswith("-")


def _pattern(regex: str) -> str:
    r"""A regular expression of `schema`, which ends with Python's `\Z`, as JSON Schema writes it."""
    return f"^{regex.removesuffix(chr(92) + 'Z')}$"


def _refine_bots(definitions: dict[str, Schema]) -> None:
    source, bot = definitions["source"], definitions["bot"]
    source["oneOf"] = [{"required": [kind]} for kind in KINDS]
    source["dependentRequired"] = {
        **{option: ["url"] for option in cerberus.GIT_OPTIONS},
        "version": ["pypi"],
    }
    source["dependentSchemas"] = {"pypi": excluding("subdirectory")}
    source["properties"]["url"]["pattern"] = r"^(?!-)\S+$"
    source["properties"]["subdirectory"]["pattern"] = _INNER_PATH
    for option in cerberus.GIT_OPTIONS:
        if source["properties"][option]["type"] != "boolean":
            source["properties"][option]["pattern"] = "^(?!-)"
    bot["oneOf"] = [{"required": ["bot_path"]}, {"required": ["command"]}]
    bot["properties"]["bot_path"]["pattern"] = _TARGET
    bot["properties"]["requirements_path"]["pattern"] = _INNER_PATH


def _refine_arguments(arguments: Schema) -> None:
    properties = arguments["properties"]
    for field in dataclasses.fields(BotArguments):
        name = field.name.replace("_", "-")
        if isinstance(field.default, bool | int | float | str) and name in properties:
            default = json.dumps(field.default) if not isinstance(field.default, str) else field.default
            properties[name]["description"] += f" (default: {default})"
            properties[name]["default"] = field.default
    properties["queue-name"]["pattern"] = "^[A-Za-z0-9_-]{1,80}$"
    properties["workflow"]["items"]["pattern"] = _NAME
    for name in CLASS_ARGUMENTS:
        properties[name]["pattern"] = _TARGET
    properties["python"] |= {"pattern": _PYTHON, "minimum": 3, "exclusiveMaximum": 4}
    # However an argument is spelled, it is the same one.
    spellings = {pattern: cerberus.argument_name(pattern[1:-1]) for pattern in arguments["patternProperties"]}
    arguments["patternProperties"] = {
        pattern: {"$ref": f"#/$defs/arguments/properties/{name}"} for pattern, name in spellings.items()
    }


def _refine_settings(definitions: dict[str, Schema]) -> None:
    for name in ("config", "secrets"):
        definitions[name]["propertyNames"] = {"pattern": _VARIABLE}
    definitions["secrets"]["items"] = {"type": "string", "pattern": _VARIABLE}
    definitions["secrets"]["uniqueItems"] = True
    secret = definitions["secret"]
    secret["dependentSchemas"] = {"env": excluding("profile", "secret", "key"), "profile": excluding("secret")}
    secret["properties"]["env"]["pattern"] = f"^{cerberus.VARIABLE_PATTERN}$"
    secret["properties"]["secret"]["pattern"] = "^[A-Za-z0-9/_+=.@:-]+$"


def _refine_stages(definitions: dict[str, Schema]) -> None:
    stage, sector = definitions["stage"], definitions["sector"]
    regions = sorted(partitions())
    stage["properties"]["home_region"]["enum"] = regions
    # A stage without a sector is refused; a sector is whatever is no key of the stage's own.
    stage["not"] = {"type": "object", "propertyNames": {"enum": list(cerberus.STAGE_KEYS)}}
    sector["properties"]["region_name"]["enum"] = regions
    sector["properties"]["python"] |= {"pattern": _PYTHON, "minimum": 3, "exclusiveMaximum": 4}
    aws = {"required": ["parameters"], "properties": {"parameters": {"$ref": "#/$defs/AWS.EC2.Instance"}}}
    only_aws = ("alarm", "parameters", "platform", "region_name", *OPTION_KEYS)
    sector["properties"]["permissions-boundary"]["pattern"] = f"^{POLICY_ARN}$"
    sector["properties"]["python-build"]["pattern"] = f"^{BUILD}$"
    sector["properties"]["availability"] |= {"uniqueItems": True}
    sector["properties"]["availability"]["items"]["pattern"] = f"^({PLACE})$"
    sector["properties"]["policies"]["items"] |= {
        "pattern": f"^{POLICY_ARN}$",
        "properties": {"Effect": {"enum": ["Allow", "Deny"]}},
        "required": ["Effect"],
    }
    stage["properties"]["keep-jobs"]["pattern"] = f"^{DAYS}$"
    stage["properties"]["queue-alarms"] |= {"maxItems": MAX_ACTIONS}
    stage["properties"]["queue-alarms"]["items"]["pattern"] = _ARN
    sector["allOf"] = [
        {"if": _is("aws"), "then": aws},
        {"if": _is("local"), "then": excluding(*only_aws)},
    ]


def _is(type_: str) -> Schema:
    return {"properties": {"type": {"const": type_}}, "required": ["type"]}


def _refine_factory(factory: Schema) -> None:
    properties = factory["properties"]
    properties["workflows"]["additionalProperties"] = {"$ref": "#/$defs/workflow"}
    properties["alarms"]["additionalProperties"] = {"$ref": "#/$defs/AWS.CloudWatch.Alarm"}
    tags = properties["tags"]
    tags["maxProperties"] = MAX_TAGS
    tags["additionalProperties"]["maxLength"] = 256
    tags["propertyNames"] = {"pattern": f"^(?!{_RESERVED_TAGS}){_NOT_EVALUATED}", "minLength": 1, "maxLength": 128}
    properties["meta"] |= {"propertyNames": {"pattern": f"^{_NOT_EVALUATED}"}}


def _workflow_nodes() -> dict[str, Schema]:
    """`node := name | [node, …] | {name: node or null, …}`, the root a list or a mapping."""
    below = {
        "items": {"$ref": "#/$defs/workflow-node"},
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": {"$ref": "#/$defs/workflow-successors"},
    }
    return {
        "workflow": {
            "description": "A workflow: bots and, under each, those that get its jobs next; or `steps` of a run",
            "type": ["object", "array"],
            "minItems": 1,
            "minProperties": 1,
            "if": has_steps(),
            "then": workflow_of_steps(),
            "else": below,
            "examples": [{"first": ["second", {"third": "fourth"}]}],
        },
        **step_definitions(),
        "workflow-node": {
            "description": "A bot, a list of nodes, or bots with what follows them",
            "type": ["string", "array", "object"],
            "pattern": _NAME,
            **below,
        },
        "workflow-successors": {
            "description": "What gets this bot's jobs next: nothing, a bot, a list, or bots with what follows them",
            "type": ["string", "array", "object", "null"],
            "pattern": _NAME,
            **below,
        },
    }


def _resources() -> dict[str, Schema]:
    instance = resource_definitions(
        resource_schema("ec2-instance"), "AWS.EC2.Instance", ("UserData", "IamInstanceProfile")
    )
    top = instance["AWS.EC2.Instance"]
    top["description"] = "Properties of AWS::EC2::Instance, as CloudFormation takes them"
    top["required"] = list(REQUIRED_PARAMETERS)
    for name, example in REQUIRED_PARAMETERS.items():
        top["properties"][name] |= {"minLength": 1, "examples": [example]}
    alarms = resource_definitions(resource_schema("cloudwatch-alarm"), "AWS.CloudWatch.Alarm", ("Dimensions",))
    _refine_alarm(alarms["AWS.CloudWatch.Alarm"])
    return instance | alarms


def _refine_alarm(alarm: Schema) -> None:
    alarm["description"] = "Properties of AWS::CloudWatch::Alarm without Dimensions: it watches its sector's instance"
    for name in ALARM_ACTIONS:
        actions = alarm["properties"][name]["items"]
        alarm["properties"][name]["items"] = {
            "description": "What happens: a verb, or the ARN of an action",
            **{key: value for key, value in actions.items() if key != "type"},
            "anyOf": [
                {"enum": list(ALARM_VERBS)},
                {"type": ["number", "boolean"]},
                {"type": "string", "pattern": _ARN},
            ],
        }
    alarm["properties"]["Period"]["anyOf"] = [{"enum": [10, 20, 30]}, {"multipleOf": 60}]
    alarm["minProperties"] = 1
    of_a_metric = {"required": ["Namespace", "Period"], **_one_of("Statistic", "ExtendedStatistic")}
    complete = {
        "required": ["ComparisonOperator", "EvaluationPeriods"],
        **_one_of("Threshold", "ThresholdMetricId"),
        "if": {"required": ["MetricName"]},
        "then": of_a_metric,
    }
    alarm["if"] = {"not": {"required": ["EvaluationCriteria"]}}
    alarm["then"] = complete


def _one_of(*names: str) -> Schema:
    return {"anyOf": [{"required": [name]} for name in names]}
