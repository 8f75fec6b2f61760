"""Which indexes uv asks: its own configuration first, else pip's, so that private indexes work as they are set up.

Addresses and credentials go from there to uv's environment and nowhere else: not to a bundle, not to
plan.lock, not to a message.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from factory_cdk.bundle import without_credentials

_FROM_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
"""pip's settings and the variables in which uv (0.9 and later) takes the same."""

_SETTINGS = (*_FROM_PIP, "no-index")
_OLDER = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
_FOLDER = re.compile(r"(?P<option>-f|--find-links)[\s=]\s*(?P<folder>.*)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_YES = {"1", "true", "yes", "on"}


def environment_for_uv(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: the user's, with pip's index settings where uv's variables say nothing.

    pip's settings are read from its variables (PIP_INDEX_URL, …) and its files, `PIP_CONFIG_FILE` as pip
    treats it; its indexes are searched as pip does. uv's own files (uv.toml) are read by uv itself and come
    after variables, as uv has it.
    """
    mine = {name: value for name, value in env.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    mine.update(UV_NO_PROGRESS="1", NO_COLOR="1", UV_PYTHON_DOWNLOADS=env.get("UV_PYTHON_DOWNLOADS", "never"))
    settings = _pip_settings(env)
    for setting, variable in _FROM_PIP.items():
        value = settings.get(setting)
        if value is None or variable in env or _OLDER.get(variable, variable) in env:
            continue
        if setting in ("extra-index-url", "trusted-host"):
            mine[variable] = " ".join(value.split())
            if setting == "extra-index-url":  # pip takes the best version of all indexes, uv that of the first
                mine.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
        elif setting == "find-links":
            mine[variable] = ",".join(value.split())
        else:
            mine[variable] = value
    return mine


def flags_for_uv(env: Mapping[str, str]) -> tuple[str, ...]:
    """What of pip's settings uv takes as an option alone: `--no-index`."""
    return ("--no-index",) if _pip_settings(env).get("no-index", "").lower() in _YES else ()


def asked(env: Mapping[str, str], flags: tuple[str, ...] = ()) -> dict[str, str]:
    """What of uv's environment decides on its answers, without credentials: part of a resolution's key."""
    names = {*_FROM_PIP.values(), *_OLDER.values(), "UV_EXCLUDE_NEWER", "UV_INDEX_STRATEGY"}
    names |= {"UV_PRERELEASE", "UV_RESOLUTION"}
    said = {
        name: " ".join(without_credentials(word) for word in env[name].replace(",", " ").split())
        for name in sorted(names - {"SSL_CERT_FILE", "UV_INSECURE_HOST"})
        if name in env
    }
    return {**said, "flags": " ".join(flags)}


def anywhere(option: str, folder: Path) -> str:
    """An option of an index (a line of a requirements file) as it reads in a file of another folder than `folder`."""
    found = _FOLDER.match(option)
    if found is None or _ADDRESS.match(found["folder"]) or found["folder"].startswith(("/", "$")):
        return option
    return f"{found['option']} {(folder / found['folder']).absolute().as_uri()}"


def _pip_settings(env: Mapping[str, str]) -> dict[str, str]:
    """Pip's index settings, the nearest wins: variables, then the user's file, then the system's."""
    found: dict[str, str] = {}
    for file in _pip_files(env):
        reader = configparser.RawConfigParser()
        try:
            reader.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself says what is wrong with its file
        for section in ("global", "install"):
            if reader.has_section(section):
                found.update((name, value) for name, value in reader.items(section) if name in _SETTINGS)
    for setting in _SETTINGS:
        if value := env.get(f"PIP_{setting.upper().replace('-', '_')}"):
            found[setting] = value
    return {setting: value for setting, value in found.items() if value}


def _pip_files(env: Mapping[str, str]) -> Iterator[Path]:
    """The files that pip reads, the weakest first."""
    named = env.get("PIP_CONFIG_FILE")
    if named == "/dev/null":
        return
    yield from (Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"))
    if home := env.get("HOME"):
        yield Path(home, ".pip", "pip.conf")
        yield Path(env.get("XDG_CONFIG_HOME") or Path(home, ".config"), "pip", "pip.conf")
    if named:
        yield Path(named)
