"""Workflows of steps as JSON Schema, from the rules of the module that reads them (plan/steps.py)."""

from __future__ import annotations

from typing import Any

from factory_cdk.plan.names import NAME_PATTERN
from factory_cdk.plan.steps import DURATION, MOST, RECOVERY_KEYS
from factory_cdk.runs.graph import OnFailure, Replay

Schema = dict[str, Any]

_NAME = f"^(?!(and|or)$){NAME_PATTERN}$"
_COUNT = {"type": "integer", "minimum": 1, "maximum": MOST}
_ON_FAILURE = {
    "description": "After a failure that no step waits for: nothing new starts (stop), or the rest goes on",
    "enum": [one.value for one in OnFailure],
}
_AMOUNTS = {"type": "object", "additionalProperties": _COUNT}


def has_steps() -> Schema:
    """Whether a workflow is one of steps, as far as one can tell without the names of the bots."""
    step = {"type": "object", "anyOf": [{"required": ["bot"]}, {"required": ["steps"]}]}
    steps = {"type": "object", "minProperties": 1, "additionalProperties": step}
    return {"type": "object", "properties": {"steps": steps}, "required": ["steps"]}


def workflow_of_steps() -> Schema:
    """A workflow of steps."""
    return {
        "properties": {
            "steps": {"$ref": "#/$defs/steps"},
            "max-concurrent": {"description": "How many steps run at the same time; no limit by default", **_COUNT},
            "on-failure": _ON_FAILURE,
        },
        "additionalProperties": False,
    }


def step_definitions() -> dict[str, Schema]:
    """The definitions of steps and of one step."""
    steps = {
        "description": "Steps by name: what each does, and what has to have happened before it starts",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": {"$ref": "#/$defs/step"},
        "examples": [{"extract": {"bot": "reader"}, "load": {"bot": "writer", "needs": "extract"}}],
    }
    return {"steps": steps, "step": _step()}


def _step() -> Schema:
    replay = {"enum": [one.value for one in Replay]}
    properties = {
        "bot": {"description": "The bot that does it", "type": "string", "minLength": 1},
        "with": {"description": "What its job is given; `$item`, `$input` and `$input.key` are filled in"},
        "needs": {
            "description": "What has to hold before it starts: steps beside it, alone (succeeded) or with a status, "
            "`and`, `or` and parentheses; a list means all of it",
            "type": ["string", "array"],
            "minLength": 1,
            "minItems": 1,
            "items": {"type": "string", "minLength": 1},
            "examples": ["load", "load.failed or extract.failed", ["load", "check"]],
        },
        "for-each": {
            "description": "Once for each of these items, which is `$item`; or `$input.key`",
            "type": ["array", "string"],
            "pattern": r"^\$input(\.[A-Za-z0-9_-]+)*$",
            "examples": [["a", "b"], "$input.tables"],
        },
        "max-parallel": {"description": "How many items run at the same time; no limit by default", **_COUNT},
        "repeat": {"description": "How many iterations there are, one after the other", **_COUNT},
        "delay": {
            "description": "How long it waits once what it needs holds: seconds, or text such as `10m`",
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": f"^{DURATION}$",
            "examples": ["10m"],
        },
        "acquire": {"description": "What it takes from the stage's pools before it starts", **_AMOUNTS},
        "release": {
            "description": "What it gives back when it ends: all by default; the rest when the run ends",
            **_AMOUNTS,
        },
        "on-failure": _ON_FAILURE,
        "recovery": {
            "description": "Whether a recovery starts it again, by its status; by default all but `succeeded`",
            "type": "object",
            "properties": dict.fromkeys(RECOVERY_KEYS, replay),
            "patternProperties": {"^(STEP_)?[A-Za-z]+$": replay},
            "additionalProperties": False,
        },
        "sector": {
            "description": "The sector that does it; by default the first that has the bot",
            "type": "string",
            "minLength": 1,
        },
        "steps": {"$ref": "#/$defs/steps"},
    }
    return {
        "description": "A step: a bot with what it is given, or a container with steps of its own",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "oneOf": [{"required": ["bot"]}, {"required": ["steps"]}],
        "not": {"required": ["for-each", "repeat"]},
    }
