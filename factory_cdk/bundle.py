"""The Bundle: a bot's code, packed, as plain data that names it by its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Bundle:
    """What `pack` made of one bot's source, or, for an unpacked bot, what stands in for it.

    `digest` is a SHA-256 in hex: of the packed files (paths, contents and run bits; not times, order, owner
    or umask), or of the source's own text where `packed` is False. `kind` and `origin` say where the code
    came from (`git`, `https://host/repo@<commit>`; never a credential); `commit` is git's, else None.
    `requirements` are the locked requirements, one line each, with hashes; `lock_digest` is their SHA-256.
    `size` is in bytes and `files` a count, both of the unpacked tree; `archive` is the zip in the cache, as an
    absolute path, or None where nothing is packed; `archive_sha256` is the SHA-256 of that file in hex.
    """

    bot: str
    digest: str
    packed: bool
    kind: Literal["git", "path", "pypi"]
    origin: str
    commit: str | None = None
    requirements: tuple[str, ...] = ()
    lock_digest: str | None = None
    size: int = 0
    files: int = 0
    archive: str | None = None
    archive_sha256: str | None = None
