"""Folders of wheels (`--find-links`): uv knows the hash only of the one file that it chose there, so a lock made
from them would hold on one platform alone. The hashes of the other files of a version are added here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from factory_cdk.pack.archive import sha256_of

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)")
_HASH = re.compile(r"--hash=\S+")


def with_all_hashes(lines: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Locked lines with the hashes of every file of their versions in the folders of uv's UV_FIND_LINKS."""
    files: dict[tuple[str, str], list[Path]] = {}
    for folder in _folders(env):
        for file in sorted(folder.iterdir()):
            if (key := _release(file.name)) is not None:
                files.setdefault(key, []).append(file)
    return [_with_hashes(line, files) for line in lines] if files else list(lines)


def _with_hashes(line: str, files: Mapping[tuple[str, str], Sequence[Path]]) -> str:
    found = _PINNED.match(line)
    there = files.get((canonicalize_name(found["name"]), found["version"]), ()) if found else ()
    if not there:
        return line
    hashes = {*_HASH.findall(line), *(f"--hash=sha256:{sha256_of(file)}" for file in there)}
    return " ".join([line.partition(" --hash")[0], *sorted(hashes)])


def _folders(env: Mapping[str, str]) -> Iterator[Path]:
    """The folders of this machine among the places of UV_FIND_LINKS."""
    for place in env.get("UV_FIND_LINKS", "").split(","):
        folder = Path(unquote(urlsplit(place).path) if place.startswith("file:") else place)
        if place and folder.is_dir():
            yield folder


def _release(name: str) -> tuple[str, str] | None:
    """The package and version that a file name says, or None where it is none of a distribution."""
    try:
        if name.endswith(".whl"):
            package, version, _, _ = parse_wheel_filename(name)
        else:
            package, version = parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return package, str(version)
