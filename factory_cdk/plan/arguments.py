"""Reads how a sector runs a bot: the reference's `bot-start` options and ours, however they are spelled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory_cdk.launchers import DEFAULT, LAUNCHERS
from factory_cdk.launchers.base import CLASS_ARGUMENTS
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import BotArguments
from factory_cdk.plan.schema.plan_schema import ARGUMENTS, argument_name
from factory_cdk.plan.settings import read_settings
from factory_cdk.plan.sources import is_target
from factory_cdk.plan.yaml.nodes import MappingNode, Path, ScalarNode, SequenceNode, locate

_PYTHON_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "list": list,
    "dict": dict,
}

_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def read_arguments(data: Mapping[str, Any], path: Path, findings: Findings) -> BotArguments:
    """The arguments in the mapping `data` at `path`; what was refused is left at its default."""
    given: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, value in data.items():
        name = argument_name(key)
        if name not in ARGUMENTS:
            continue
        if name in spelled:
            message = f"duplicate argument: `{key}` is the same as `{spelled[name]}`"
            findings.at_key((*path, key), "F012", message, "remove one of them")
            continue
        spelled[name] = key
        if _fits(value, ARGUMENTS[name]["type"]):
            given[name] = value
        if not isinstance(value, bool) and name != "python":
            findings.warn_if_read_otherwise((*path, key), value)
    _check_queue_name(given, path, spelled, findings)
    for name in CLASS_ARGUMENTS:
        value = given.get(name)
        if isinstance(value, str) and not is_target(value):
            message = f"invalid class path `{shortened(value)}` for `{name}`: it must be `module.path:Class`"
            hint = "write the import path of the module, a colon and the class name"
            findings.at_value((*path, spelled[name]), "F217", message, hint)
    if "python" in given:
        given["python"] = read_python(given["python"], (*path, spelled["python"]), findings)
    _check_unused(given, path, spelled, findings)
    settings = read_settings(data, path, findings)
    values = {name.replace("-", "_"): value for name, value in given.items() if name not in ("config", "secrets")}
    if isinstance(values.get("workflow"), list):
        values["workflow"] = tuple(name for name in values["workflow"] if isinstance(name, str))
    return BotArguments(**values, settings=settings)


def _check_unused(given: Mapping[str, Any], path: Path, spelled: Mapping[str, str], findings: Findings) -> None:
    launcher = LAUNCHERS.get(given.get("launcher", DEFAULT))
    if launcher is None:
        return
    for name in launcher.idle_arguments:
        if given.get(name) not in (None, False):
            message = f"`{name}` has no effect with `launcher: {launcher.name}`"
            findings.at_key((*path, spelled[name]), "F312", message, launcher.idle_hint)


def argument_path(bot: Path, name: str, findings: Findings) -> Path:
    """The path of the argument `name` of the sector's bot at `bot`, however it is spelled; `bot` itself when it has
    none.
    """
    node = locate(findings.root, bot).node
    given = node.entries if isinstance(node, MappingNode) else ()
    return next(((*bot, key) for key in given if argument_name(key) == name), bot)


def workflow_item(bot: Path, name: str, findings: Findings, *, last: bool = False) -> Path:
    """The path of the first (or `last`) mention of `name` in the own `workflow` of the sector's bot at `bot`, however
    the argument is spelled; `bot` itself when it has none.
    """
    for key in ("workflow", "--workflow"):
        node = locate(findings.root, (*bot, key)).node
        items = enumerate(node.items if isinstance(node, SequenceNode) else ())
        found = [index for index, item in items if isinstance(item.node, ScalarNode) and item.node.value == name]
        if found:
            return (*bot, key, found[-1 if last else 0])
    return bot


def _fits(value: Any, types: str | list[str]) -> bool:
    """Whether the structure check has let `value` pass as one of Cerberus's `types`; None never does."""
    wanted = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in wanted
    return any(isinstance(value, _PYTHON_TYPES[name]) for name in wanted)


def read_python(value: Any, path: Path, findings: Findings) -> str | None:
    """A Python version (`3.12`), as written: YAML reads 3.10 as the number 3.1."""
    text = value if isinstance(value, str) else findings.text_at(path) or str(value)
    if isinstance(value, bool) or not re.fullmatch(r"3\.[0-9]{1,2}(\.[0-9]{1,2})?", text):
        message = f"invalid Python version `{shortened(text)}`: it must be a version of Python 3"
        findings.at_value(path, "F104", message, "write it like `3.12` or `3.12.4`")
        return None
    return text


def _check_queue_name(given: dict[str, Any], path: Path, spelled: Mapping[str, str], findings: Findings) -> None:
    # SQS: up to 80 letters, digits, `-` and `_`
    # (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html).
    value = given.get("queue-name")
    if isinstance(value, str) and value and not _QUEUE_NAME.fullmatch(value):
        long = f" ({len(value)} characters)" if len(value) > 80 else ""
        message = f"invalid queue name `{shortened(value)}`{long}"
        hint = "SQS allows 1 to 80 letters, digits, `-` and `_`"
        findings.at_value((*path, spelled["queue-name"]), "F307", message, hint)
