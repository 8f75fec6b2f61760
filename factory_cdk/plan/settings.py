"""Reads `config` and `secrets`, which are allowed at factory, stage, sector and bot level."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import SecretReference, Settings
from factory_cdk.plan.schema.plan_schema import VARIABLE_PATTERN
from factory_cdk.plan.yaml.nodes import Path

_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,519}")

_OF_A_SECTOR = re.compile(r"(arn:.*:secret:)?factory-cdk/")
"""How the names of the secrets start that a stage makes for its sectors (see `design.naming`)."""

RESERVED_PREFIX = "FACTORY_"
"""Variables that start so are the runner's own."""


def read_settings(data: Mapping[str, Any], path: Path, findings: Findings) -> Settings:
    """The settings in the mapping `data` at `path`; a name in both config and secrets is refused (F110)."""
    config = data.get("config")
    config = dict(config) if isinstance(config, dict) else {}
    findings.warn_of_all_read_otherwise((*path, "config"), config)
    secrets = _secrets(data.get("secrets"), (*path, "secrets"), findings)
    for kind, names in (("config", config), ("secrets", secrets)):
        for name in names:
            if kind == "config" and isinstance(config[name], str):
                findings.refuse_nul((*path, kind, name), config[name])
            if name.startswith(RESERVED_PREFIX):
                hint = f"names that start with `{RESERVED_PREFIX}` are set by the runner"
                findings.at_key((*path, kind, name), "F110", f"`{name}` is reserved", hint)
    for name in config.keys() & secrets.keys():
        findings.at_key(
            (*path, "config", name),
            "F110",
            f"duplicate name: `{name}` is in `config` and in `secrets`",
            "keep one of them",
        )
    return Settings(config, secrets)


def _secrets(value: Any, path: Path, findings: Findings) -> dict[str, SecretReference]:
    if isinstance(value, list):
        return _names(value, path, findings)
    if not isinstance(value, dict):
        return {}
    return {name: _reference(data, (*path, name), findings) for name, data in value.items()}


def _names(value: list[Any], path: Path, findings: Findings) -> dict[str, SecretReference]:
    names: dict[str, SecretReference] = {}
    for index, name in enumerate(value):
        if not isinstance(name, str):
            hint = "list names, like `[TOKEN]`, or write a mapping from names to the places of their values"
            findings.at_value((*path, index), "F109", f"element {index + 1} of `secrets` is not a name", hint)
        elif not re.fullmatch(VARIABLE_PATTERN, name):
            hint = "list the names of secrets, never their values; a name has letters, digits and `_`"
            findings.at_value((*path, index), "F109", f"element {index + 1} of `secrets` is not a valid name", hint)
        elif name in names:
            findings.at_value((*path, index), "F012", f"duplicate secret `{name}`", "remove one of them")
        else:
            names[name] = SecretReference()
    return names


def _reference(data: Any, path: Path, findings: Findings) -> SecretReference:
    if not isinstance(data, dict):
        return SecretReference()
    kinds = [kind for kind in ("env", "profile", "secret") if kind in data]
    if len(kinds) > 1:
        message = f"the secret `{path[-1]}` has both {' and '.join(f'`{kind}`' for kind in kinds)}"
        findings.at_key((*path, kinds[1]), "F104", message, "keep one of them")
    if "key" in data and "env" in data:
        findings.at_key(
            (*path, "key"), "F104", "`key` can be used with `profile` or `secret`, not with `env`", "remove it"
        )
    text = {key: value for key, value in data.items() if isinstance(value, str)}
    env, secret = text.get("env"), text.get("secret")
    if env is not None and not re.fullmatch(VARIABLE_PATTERN, env):
        message = f"the `env` of the secret `{path[-1]}` is not a valid variable name"
        findings.at_value(
            (*path, "env"), "F109", message, "write the name of the variable that has the value, never the value itself"
        )
    if secret is not None and not (_SECRET_NAME.fullmatch(secret) or _SECRET_ARN.fullmatch(secret)):
        message = f"the `secret` of `{path[-1]}` is not a valid name or ARN of Secrets Manager"
        findings.at_value((*path, "secret"), "F109", message, "a name has up to 512 letters, digits and `/_+=.@-`")
    elif secret is not None and _OF_A_SECTOR.match(secret):
        message = f"the `secret` of `{path[-1]}` belongs to factory_cdk, which creates it for one sector"
        findings.at_value(
            (*path, "secret"), "F115", message, "create a secret of your own for values that several sectors share"
        )
    return SecretReference(env, text.get("profile"), secret, text.get("key"))
