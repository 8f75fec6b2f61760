"""The values of secrets for bots on this machine, and how they reach a runner: never through a file.

Whoever builds or resumes resolves them, from variables or from qalx's ini files as the plan says, and hands them
to the runner over the socket that it is started with. The runner keeps them in memory and hands each worker its
own the same way. Nothing of them is on disk, in an argument or in the environment that a process was begun with;
only the program of a `command:` bot, which can be told in no other way, gets its own as variables.
"""

from __future__ import annotations

import configparser
import json
import os
import resource
import socket
import struct
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import SecretReference
from factory_cdk.worker.prctl import SET_DUMPABLE, prctl

INI_FILES = (".bots", ".qalx")
"""qalx's files in the home directory, the bots' own first."""

Place = tuple[str, str]
"""A bot on a sector: (sector, bot)."""

Values = Mapping[Place, Mapping[str, str]]
"""The values of secrets, by place and by the secret's name."""

_LENGTH = struct.Struct(">I")


def shut_memory() -> None:
    """Keep what this process has in memory to itself: no core file, and on Linux no other process of this user may
    trace it or read its memory and variables. Its children may be traced, and begin without core files.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    prctl(SET_DUMPABLE, 0)


def resolve_secrets(
    references: Mapping[Place, Mapping[str, SecretReference]], environ: Mapping[str, str] = os.environ
) -> dict[Place, dict[str, str]]:
    """The value of every secret, for whoever has `environ`; ini files are looked for in its HOME.

    A secret without a reference comes from the variable of its own name. FactoryError that names every
    secret which has no value, bot by bot; a value is never in it.
    """
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    found: dict[Place, dict[str, str]] = {}
    missing: dict[str, list[str]] = {}
    for place, wanted in references.items():
        for name, reference in wanted.items():
            value = _value(name, reference, environ, home)
            if value is None:
                missing.setdefault(place[1], []).append(f"{name} ({_origin(name, reference)})")
            else:
                found.setdefault(place, {})[name] = value
    if missing:
        lists = [f"bot {bot}: no value for {', '.join(dict.fromkeys(names))}" for bot, names in missing.items()]
        raise FactoryError(
            "\n".join(lists),
            "set the variables for this command, or say in the plan where the values come from (`env:` or `profile:`)",
        )
    return found


def variables_of(references: Iterable[Mapping[str, SecretReference]]) -> set[str]:
    """The variables that values come from: no process of the factory is begun with them."""
    return {
        reference.env or name
        for wanted in references
        for name, reference in wanted.items()
        if reference.profile is None and reference.secret is None
    }


def without_variables(environ: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    """`environ` without the variables `hidden`."""
    return {name: value for name, value in environ.items() if name not in hidden}


def hand_over(connection: socket.socket, values: Values) -> None:
    """Send all values to the runner at the other end; nothing happens when it is gone."""
    said = json.dumps([[*place, dict(named)] for place, named in values.items()]).encode()
    try:
        connection.sendall(_LENGTH.pack(len(said)) + said)
    except (BrokenPipeError, ConnectionResetError):
        return  # a runner that is gone is told by its lock and its last words


def take_over(connection: socket.socket) -> dict[Place, dict[str, str]]:
    """What the other end hands over. FactoryError when it goes away before it has."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return {(sector, bot): named for sector, bot, named in json.loads(_exactly(connection, length))}


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        more = connection.recv(size - len(received))
        if not more:
            raise FactoryError("whoever started the runner went away", "build or resume it again")
        received += more
    return received


def _value(name: str, reference: SecretReference, environ: Mapping[str, str], home: Path | None) -> str | None:
    if reference.profile is not None:
        return _profile_value(reference.profile, reference.key or name, home)
    if reference.secret is not None:
        return None
    return environ.get(reference.env or name)


def _profile_value(profile: str, key: str, home: Path | None) -> str | None:
    for file in [home / name for name in INI_FILES] if home else ():
        parser = configparser.ConfigParser(interpolation=None, default_section="")
        try:
            parser.read(file, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise FactoryError(f"{file} cannot be read: {type(error).__name__}", "correct the file") from None
        if parser.has_option(profile, key):
            return parser.get(profile, key)
    return None


def _origin(name: str, reference: SecretReference) -> str:
    if reference.profile is not None:
        return f"`{reference.key or name}` in profile `{reference.profile}` of ~/.bots or ~/.qalx"
    if reference.secret is not None:
        return "Secrets Manager is not read for bots on this machine"
    return f"variable {reference.env or name}"
