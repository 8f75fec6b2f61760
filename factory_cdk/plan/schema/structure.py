"""Checks a plan's structure with Cerberus and reports what Cerberus found in words for the author of the plan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar

import cerberus
from cerberus import errors

from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.names import NAME_LENGTH, NAME_RULE, is_name
from factory_cdk.plan.schema.key_places import key_place
from factory_cdk.plan.schema.plan_schema import PLAN, STAGE_KEYS
from factory_cdk.plan.sources import refuse_git_option, refuse_secret
from factory_cdk.plan.spelling import closest, meant_by
from factory_cdk.plan.yaml.nodes import Path
from factory_cdk.plan.yaml.scalars import reads_otherwise

CLOSE = 0.8
"""How alike (of 1) an unknown key must be to one beside it to be a misspelling of that."""

_TYPES = {
    "dict": "a mapping",
    "list": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


class _Validator(cerberus.Validator):  # type: ignore[misc]
    """Cerberus, keeping errors as a plain list: it sorts them and files them into trees at each new one, which
    takes minutes for a few thousand, and neither is needed here. And true is not a whole number.
    """

    types_mapping: ClassVar[dict[str, Any]] = {
        **cerberus.Validator.types_mapping,
        "integer": cerberus.TypeDefinition("integer", (int,), (bool,)),
    }

    def _error(self, *args: Any) -> None:
        if len(args) == 1:
            self._errors.extend(args[0])
        else:
            super()._error(*args)


@cache
def _validator() -> Any:
    return _Validator(PLAN)


def check_structure(plan: Mapping[str, Any], findings: Findings) -> None:
    """Add to `findings` everything in `plan` (plain data) that its schema does not allow."""
    for key in plan:
        if key != "factory" and not key.startswith("x-"):
            close = _only_close(findings.suggest_key((key,), ["factory"]))
            hint = close or key_place(key) or f"keys of your own must start with `x-`: `x-{key}`"
            findings.at_key((key,), "F102", f"unknown key `{key}` at the top level", hint)
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
    match error.code:
        case errors.REQUIRED_FIELD.code:
            _missing(path, findings)
        case errors.UNKNOWN_FIELD.code:
            _unknown(path, error, findings)
        case errors.BAD_TYPE.code | errors.NOT_NULLABLE.code:
            _wrong_type(path, error, findings)
        case errors.UNALLOWED_VALUE.code:
            allowed = " or ".join(f"`{value}`" for value in error.constraint)
            message = f"{_shown(path)} must be {allowed}, not {describe(error.value)}"
            close = _only_close(findings.suggest(str(error.value), map(str, error.constraint)))
            findings.at_value(path, "F104", message, close or _about(path))
        case errors.MIN_VALUE.code | errors.MAX_VALUE.code:
            bound = "at least" if error.code == errors.MIN_VALUE.code else "at most"
            message = f"{_shown(path)} is {error.value}; it must be {bound} {error.constraint:,}"
            findings.at_value(path, "F112", message, _about(path))
        case errors.EMPTY_NOT_ALLOWED.code | errors.MIN_LENGTH.code:
            hint = "add at least one" if path[-1] in ("bots", "stages") else "give it a value, or remove the key"
            findings.missing(path, (), "F107", f"{_shown(path)} is empty", hint)
        case errors.REGEX_MISMATCH.code:
            _outside_pattern(path, error, findings)
        case _:
            findings.at_key(path, "F103", f"{_shown(path)} does not follow the rule `{error.rule}`: {error.constraint}")


def _shown(path: Path) -> str:
    """How a message names the value at `path`: its key, and whose it is."""
    if len(path) < 2:
        return "`factory`"
    *_, owner, key = path
    what = f"element {key + 1}" if isinstance(key, int) else f"`{shortened(key)}`"
    return what if len(path) == 2 else f"{what} of `{shortened(str(owner))}`"


def _only_close(hint: str | None) -> str | None:
    """The hint when it names one close name; lists of all names are of no use here."""
    return hint if meant_by(hint) else None


_MISSING = {
    "factory": "start the plan with the key `factory:`",
    "name": "add `name:` and a name for the factory",
    "bots": "add at least one bot under `bots:`",
    "stages": "add at least one stage under `stages:`",
    "source": "add `source:` with one of `url`, `path` and `pypi`",
    "type": "add `type: local` or `type: aws`",
}


def _missing(path: Path, findings: Findings) -> None:
    *parent, name = path
    owner = f" in `{shortened(str(parent[-1]))}`" if parent else ""
    findings.missing(tuple(parent), [str(name)], "F101", f"missing key `{name}`{owner}", _MISSING.get(str(name)))


def _unknown(path: Path, error: Any, findings: Findings) -> None:
    parent, name = path[:-1], str(path[-1])
    if _is_source(parent) and refuse_git_option(path, name, findings):
        return
    known = _schema_above(parent)
    elsewhere = None if closest(name, known, cutoff=CLOSE) else key_place(name)
    hint = elsewhere or findings.suggest_key(path, known)
    if _is_secret(parent) and not _only_close(hint):
        message = f"unknown key `{shortened(name)}` of the secret `{shortened(str(parent[-1]))}`"
        findings.at_key(path, "F109", message, _NO_VALUES)
        return
    findings.at_key(path, "F102", f"unknown key {_shown(path)}", hint)


_NO_VALUES = "a plan never contains secret values: leave it empty, or write `{env: VARIABLE}` or `{secret: NAME}`"


def _is_source(path: Path) -> bool:
    return len(path) == 4 and path[1] == "bots" and path[3] == "source"


def _setting(path: Path) -> str | None:
    """`config` or `secrets` when `path` leads to one of their names, at whatever level; None otherwise."""
    # factory.secrets.X, bots.B.secrets.X and stages.S.secrets.X, stages.S.sector.secrets.X, and at its bots.
    return str(path[-2]) if len(path) in (3, 5, 6, 8) and path[-2] in ("config", "secrets") else None


def _is_secret(path: Path) -> bool:
    return _setting(path) == "secrets"


def _schema_above(parent: Path) -> list[str]:
    """The keys that are allowed in the mapping at `parent`."""
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
    if _is_secret(path):
        name = f"`{shortened(str(path[-1]))}`"
        findings.at_key(path, "F109", f"the secret {name} has a value in the plan", _NO_VALUES)
        return
    if path[-1] == "secrets" and isinstance(error.value, str):
        findings.at_key(
            path, "F109", "`secrets` must be a list or a mapping of names, not text", "list the names: `[TOKEN]`"
        )
        return
    if isinstance(error.value, str) and "://" in error.value and refuse_secret(error.value, path, findings):
        return
    constraint = error.constraint if error.code == errors.BAD_TYPE.code else _rules_at(path).get("type", "dict")
    wanted = [constraint] if isinstance(constraint, str) else list(constraint)
    expected = " or ".join(_TYPES.get(name, name) for name in wanted)
    hint = _type_hint(path, error.value, wanted, findings)
    findings.at_value(path, "F103", f"{_shown(path)} must be {expected}, not {describe(error.value)}", hint)


def _type_hint(path: Path, value: Any, wanted: list[str], findings: Findings) -> str | None:
    text = findings.text_at(path)
    if len(path) == 4 and path[1] == "stages" and path[3] not in STAGE_KEYS:
        close = _only_close(findings.suggest_key(path, STAGE_KEYS))
        return close or "in a stage, every unknown key is read as the name of a sector"
    if value is None:
        return "there is no value after the colon: add one, or indent the next lines"
    if "string" in wanted and text is not None and not isinstance(value, dict | list):
        if path == ("factory", "name") and not is_name(text):
            return _name_like(text)
        otherwise = f"YAML reads {shortened(text)} as {describe(value)}; " if reads_otherwise(value, text) else ""
        return f"{otherwise}quote it: '{shortened(text)}'"
    if wanted == ["list"]:
        return "write a list: `[one, two]`, or one element per line after `- `"
    if isinstance(value, str) and {"integer", "number"} & set(wanted) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return f"write it without quotes: {shortened(value.lstrip('0') or '0')}"
    if isinstance(value, str) and wanted == ["boolean"]:
        return "write `true` or `false`, without quotes"
    return _about(path)


def _about(path: Path) -> str | None:
    """What the value at `path`, or what holds it, is for; from the schema."""
    meta = _rules_at(path).get("meta") or _rules_at(path[:-1]).get("meta", {})
    examples = json.loads(meta["examples"]) if "examples" in meta else []
    like = f", for example {json.dumps(examples[0])}" if examples else ""
    return f"{meta['description']}{like}" if meta else None


def describe(value: Any) -> str:
    """What `value` is, for a message; never a long or nested value itself."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text `{shortened(value)}`" if value else "an empty text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _outside_pattern(path: Path, error: Any, findings: Findings) -> None:
    if _setting(path):
        message = f"`{shortened(str(path[-1]))}` in `{path[-2]}` is not a valid variable name"
        findings.at_key(path, "F110", message, "use up to 128 letters, digits and `_`, not starting with a digit")
        return
    if path == ("factory", "name"):
        message = f"invalid factory name `{shortened(error.value)}`{_length(error.value)}: it must be {NAME_RULE}"
        findings.at_value(path, "F106", message, _name_like(error.value))
        return
    name = str(path[-1])
    message = f"invalid name `{shortened(name)}`{_length(name)}: it must be {NAME_RULE}"
    findings.at_key(path, "F106", message, _name_like(name))


def _name_like(text: str) -> str:
    """The hint with a name that is like `text` and may be one."""
    name = re.sub("[^A-Za-z0-9-]+", "_", text[: 2 * NAME_LENGTH]).strip("_-").lstrip("0123456789_-")[:NAME_LENGTH]
    return f"for example `{name}`" if is_name(name) else "start it with a letter"


def _length(name: str) -> str:
    return f" ({len(name)} characters)" if len(name) > NAME_LENGTH else ""
