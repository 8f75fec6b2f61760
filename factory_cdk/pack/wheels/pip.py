"""How pip is run: it fetches wheels as files, for other machines too, which uv does not.

Which indexes it asks, and with which credentials, is what uv was told (see `requirements/indexes.py`), in pip's
variables: in its environment alone, never in its arguments.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import run
from factory_cdk.wheels import Target

GLIBC = 28
"""The minor version of glibc 2 that an instance has at least: that of Amazon Linux 2023, Debian 11, Ubuntu 20.04 and
later is newer."""

EPOCH = "315532800"
"""The time that files of a wheel that is built have, where its build backend heeds SOURCE_DATE_EPOCH: 1980."""

_MOST_LINES = 8
_NAMED_INDEX = re.compile(r"(?P<name>[A-Za-z0-9._-]+)=(?P<url>[A-Za-z][A-Za-z0-9+.-]*://.*)")
_NOISE = re.compile(r"(?:WARNING|DEPRECATION|Looking in|\[notice\])")


@dataclass(frozen=True, slots=True)
class Pip:
    """The environment that pip gets and what stops it."""

    env: Mapping[str, str]
    stop: threading.Event

    def run(self, arguments: Sequence[str], folder: Path, what: str, remedy: str, **variables: str) -> None:
        """Run `pip …` in `folder`. FactoryError with the end of its words, that says `what` failed and the `remedy`."""
        if importlib.util.find_spec("pip") is None:
            raise FactoryError("pip is not installed, which fetches wheels", "reinstall factory-cdk")
        said = run(
            [sys.executable, "-P", "-m", "pip", *arguments],
            cwd=folder,
            env={**self.env, **variables},
            stop=self.stop,
        )
        if said.code:
            lines = [line for line in said.stderr.splitlines() if line.strip() and not _NOISE.match(line)]
            raise FactoryError("\n  ".join([what, *lines[-_MOST_LINES:]]), remedy)


def pip_with(env: Mapping[str, str], stop: threading.Event) -> Pip:
    """Pip under the user's environment `env`."""
    return Pip(environment_for_pip(env), stop)


def environment_for_pip(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip: the user's, with the indexes of uv's variables where they say any, which go first."""
    mine = {name: value for name, value in env.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    # Versions are locked already; what else pip may be told to do is not about fetching.
    mine |= {"PIP_CONSTRAINT": "/dev/null", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    mine.pop("PIP_REQUIRE_VIRTUALENV", None)
    if default := env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL"):
        mine["PIP_INDEX_URL"] = _with_credentials(default, env)
    if extra := env.get("UV_INDEX") or env.get("UV_EXTRA_INDEX_URL"):
        mine["PIP_EXTRA_INDEX_URL"] = " ".join(_with_credentials(one, env) for one in extra.split())
    if folders := env.get("UV_FIND_LINKS"):
        mine["PIP_FIND_LINKS"] = " ".join(folders.split(","))
    if hosts := env.get("UV_INSECURE_HOST"):
        mine["PIP_TRUSTED_HOST"] = hosts
    if certificates := env.get("SSL_CERT_FILE"):
        mine["PIP_CERT"] = certificates
    if env.get("UV_NO_INDEX", "").lower() in ("1", "true"):
        mine["PIP_NO_INDEX"] = "1"
    return mine


def options_for(target: Target) -> list[str]:
    """The options by which `pip download` chooses wheels for `target`."""
    architecture, python = target.architecture, target.python
    older = ("manylinux2014", "manylinux2010", "manylinux1") if architecture == "x86_64" else ("manylinux2014",)
    platforms = [*(f"manylinux_2_{minor}" for minor in range(GLIBC, 4, -1)), *older]
    abis = [f"cp{python.replace('.', '')}", "abi3", "none"]
    return [
        "--python-version", python, "--implementation", "cp",
        *_each("--platform", (f"{platform}_{architecture}" for platform in platforms)),
        *_each("--abi", abis),
    ]  # fmt: skip


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def _with_credentials(index: str, env: Mapping[str, str]) -> str:
    """The address of an index, which uv may know by a name (`corp=https://…`), with the credentials that uv's variables
    have for that name (UV_INDEX_CORP_USERNAME, UV_INDEX_CORP_PASSWORD).
    """
    named = _NAMED_INDEX.fullmatch(index)
    if named is None:
        return index
    variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", named["name"].upper())
    user, password = env.get(f"{variable}_USERNAME"), env.get(f"{variable}_PASSWORD")
    parts = urlsplit(named["url"])
    if "@" in parts.netloc or not (user or password):
        return named["url"]
    login = quote(user or "", safe="") + (f":{quote(password, safe='')}" if password else "")
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))
