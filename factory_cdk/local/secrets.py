"""The values of secrets for bots on this machine: from variables of whoever builds, or from qalx's ini files."""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from factory_cdk.design.model import BotDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import SecretReference

INI_FILES = (".bots", ".qalx")
"""qalx's files in the home directory, the bots' own first."""


def secrets_key(sector: str, bot: str) -> str:
    """Under which key the secrets of a bot on a sector stand in the state's secrets file."""
    return json.dumps([sector, bot])


def resolve_secrets(bot: BotDesign, environ: Mapping[str, str], user_folder: Path | None) -> dict[str, str]:
    """The value of every secret of `bot`.

    A secret without a reference comes from the variable of its own name. FactoryError that names every
    secret which has no value; a value is never in it.
    """
    values = {name: _value(name, reference, environ, user_folder) for name, reference in bot.secrets.items()}
    missing = [f"{name} ({_origin(name, bot.secrets[name])})" for name, value in values.items() if value is None]
    if missing:
        raise FactoryError(
            f"bot {bot.name}: no value for {_list(missing)}",
            "set the variables, or say in the plan where the values come from (`env:` or `profile:`)",
        )
    return {name: value for name, value in values.items() if value is not None}


def _value(name: str, reference: SecretReference, environ: Mapping[str, str], user_folder: Path | None) -> str | None:
    if reference.profile is not None:
        return _profile_value(reference.profile, reference.key or name, user_folder)
    if reference.secret is not None:
        return None
    return environ.get(reference.env or name)


def _profile_value(profile: str, key: str, user_folder: Path | None) -> str | None:
    for file in INI_FILES if user_folder else ():
        parser = configparser.ConfigParser(interpolation=None, default_section="")
        try:
            parser.read(Path(str(user_folder)) / file, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise FactoryError(f"{user_folder}/{file} cannot be read: {type(error).__name__}") from None
        if parser.has_option(profile, key):
            return parser.get(profile, key)
    return None


def _origin(name: str, reference: SecretReference) -> str:
    if reference.profile is not None:
        return f"`{reference.key or name}` in profile `{reference.profile}` of ~/.bots or ~/.qalx"
    if reference.secret is not None:
        return "Secrets Manager is not read for bots on this machine"
    return f"variable {reference.env or name}"


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)
