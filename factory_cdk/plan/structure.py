"""Checks a plan's structure with Cerberus and words what Cerberus found for the person who wrote the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import cerberus
from cerberus import errors

from factory_cdk.plan.findings import Findings, did_you_mean
from factory_cdk.plan.names import NAME_RULE
from factory_cdk.plan.nodes import Path
from factory_cdk.plan.schema import PLAN, STAGE_KEYS
from factory_cdk.plan.sources import refuse_git_option

_TYPES = {
    "dict": "a mapping",
    "list": "a list",
    "string": "text",
    "integer": "a whole number",
    "float": "a number",
    "boolean": "true or false",
}


@cache
def _validator() -> Any:
    return cerberus.Validator(PLAN)


def check_structure(plan: Mapping[str, Any], findings: Findings) -> None:
    """Add to `findings` everything in `plan` (plain data) that its schema does not allow."""
    for key in plan:
        if key != "factory" and not key.startswith("x-"):
            hint = did_you_mean(key, ["factory"]) or f"extra keys start with `x-`: `x-{key}`"
            findings.at_key((key,), "F102", f"unknown key `{key}` beside `factory`", hint)
    validator = _validator()
    validator.validate({key: plan[key] for key in ("factory",) if key in plan}, normalize=False)
    for error in _leaves(validator._errors):
        _translate(error, findings)


def _leaves(found: list[Any]) -> Iterator[Any]:
    for error in found:
        if error.is_group_error:
            yield from _leaves(error.child_errors)
        else:
            yield error


def _translate(error: Any, findings: Findings) -> None:
    path: Path = tuple(error.document_path)
    name = str(path[-1])
    match error.code:
        case errors.REQUIRED_FIELD.code:
            _missing(path, findings)
        case errors.UNKNOWN_FIELD.code:
            _unknown(path, error, findings)
        case errors.BAD_TYPE.code | errors.NOT_NULLABLE.code:
            _wrong_type(path, error, findings)
        case errors.UNALLOWED_VALUE.code:
            allowed = ", ".join(f"`{value}`" for value in error.constraint)
            hint = did_you_mean(str(error.value), error.constraint)
            findings.at_value(path, "F104", f"{_shown(path)} is `{error.value}`; it may be {allowed}", hint)
        case errors.MIN_VALUE.code | errors.MAX_VALUE.code:
            bound = "at least" if error.code == errors.MIN_VALUE.code else "at most"
            message = f"{_shown(path)} is {error.value}; it must be {bound} {error.constraint:,}"
            findings.at_value(path, "F112", message)
        case errors.EMPTY_NOT_ALLOWED.code | errors.MIN_LENGTH.code:
            findings.at_key(path, "F107", f"{_shown(path)} is empty", "name at least one" if name == "bots" else None)
        case errors.REGEX_MISMATCH.code:
            _outside_pattern(path, error, findings)
        case _:
            findings.at_key(path, "F103", f"{_shown(path)} breaks the rule `{error.rule}`: {error.constraint}")


def _shown(path: Path) -> str:
    """How a message names the value at `path`: its key, and whose it is."""
    keys = [str(step) for step in path if step != "factory"]
    if not keys:
        return "`factory`"
    owner = f" of `{keys[-2]}`" if len(keys) > 1 else ""
    return f"`{keys[-1]}`{owner}"


def _missing(path: Path, findings: Findings) -> None:
    *parent, name = path
    owner = str(parent[-1]) if parent else "the plan"
    hint = {
        "source": "a bot's source is one of `url`, `path` and `pypi`",
        "type": "a sector's type is `local` or `aws`",
        "factory": "a plan starts with the key `factory:`",
    }.get(str(name))
    findings.at_key(tuple(parent), "F101", f"`{owner}` has no key `{name}`", hint)


def _unknown(path: Path, error: Any, findings: Findings) -> None:
    parent, name = path[:-1], str(path[-1])
    if parent and parent[-1] == "source" and refuse_git_option(path, name, findings):
        return
    schema = _schema_above(parent)
    findings.at_key(path, "F102", f"unknown key {_shown(path)}", did_you_mean(name, schema))


def _schema_above(parent: Path) -> list[str]:
    """The keys that may stand in the mapping at `parent`."""
    keys = list(_rules_at(parent).get("schema", {}))
    return [key for key in keys if not key.startswith("-") and len(key) > 1]


def _rules_at(path: Path) -> dict[str, Any]:
    """The rules of the schema for the value at `path`."""
    rules: dict[str, Any] = {"schema": PLAN}
    for step in path:
        schema = rules.get("schema", {})
        if step in schema:
            rules = schema[step]
        elif isinstance(rules.get("allow_unknown"), dict):
            rules = rules["allow_unknown"]
        else:
            rules = rules.get("valuesrules", schema if isinstance(step, int) else {})
    return rules


def _wrong_type(path: Path, error: Any, findings: Findings) -> None:
    constraint = error.constraint if error.code == errors.BAD_TYPE.code else _types_at(path)
    wanted = [constraint] if isinstance(constraint, str) else list(constraint)
    if _is_secret(path):
        message = f"the secret `{path[-1]}` has a value in the plan"
        hint = "a plan never holds a secret: leave it empty, or write `{env: VARIABLE}` or `{secret: NAME}`"
        findings.at_key(path, "F109", message, hint)
        return
    if set(wanted) >= {"integer", "float"}:
        wanted.remove("integer")
    expected = " or ".join(_TYPES.get(name, name) for name in wanted)
    hint = None
    if len(path) == 4 and path[1] == "stages":
        known = did_you_mean(str(path[-1]), STAGE_KEYS) if not isinstance(error.value, dict) else None
        hint = (
            known
            if known and known.startswith("did you mean")
            else "a key of a stage that is not its own names a sector"
        )
    elif error.value is None:
        hint = "there is nothing behind the colon: is the next line indented?"
    elif expected == "text":
        text = findings.text_at(path)
        hint = f"quote it: '{text}'" if text is not None else None
    findings.at_value(path, "F103", f"{_shown(path)} must be {expected}, not {describe(error.value)}", hint)


def _types_at(path: Path) -> Any:
    """The type that the schema wants at `path`."""
    return _rules_at(path).get("type", "dict")


def describe(value: Any) -> str:
    """What `value` is, in the words of a message; never a long or nested value itself."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text `{value if len(value) <= 60 else value[:57] + '…'}`"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _is_secret(path: Path) -> bool:
    return len(path) > 1 and path[-2] == "secrets"


def _outside_pattern(path: Path, error: Any, findings: Findings) -> None:
    if len(path) > 1 and path[-2] in ("config", "secrets"):
        message = f"`{path[-1]}` cannot be the name of a variable"
        findings.at_key(path, "F110", message, "letters, digits and `_`, not starting with a digit")
        return
    if path == ("factory", "name"):
        findings.at_value(path, "F106", f"the factory's name `{error.value}` is outside the pattern", NAME_RULE)
        return
    findings.at_key(path, "F106", f"the name `{path[-1]}` is outside the pattern", NAME_RULE)
