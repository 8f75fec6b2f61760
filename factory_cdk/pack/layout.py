"""How a bot's code is laid out, read once, when it is packed: import roots, requirements, what builds.

A bot whose path source is not packed yet is read the same way where it stands, for dry runs.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory_cdk.bundle import Layout
from factory_cdk.pack.requirements.manifest import Kind, Located, included, locate, reader_of
from factory_cdk.pack.requirements.outside import SourceFacts
from factory_cdk.pack.sources.folder import tree_of_folder
from factory_cdk.pack.target import find_target, module_file
from factory_cdk.pack.tree import Tree

_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDE = re.compile(r"-r\b|--requirement\b|-c\b|--constraint\b")
_INDEX = re.compile(r"(?:-i|-f|--(?:index-url|extra-index-url|find-links|no-index|no-binary|only-binary))(?:[\s=]|$)")


class BotWithCode(Protocol):
    """What of a bot decides how its code is read: of one in a plan, or in a design."""

    @property
    def name(self) -> str:
        """The bot's name."""

    @property
    def bot_path(self) -> str | None:
        """`package.module:attribute`; None for a command."""

    @property
    def requirements_path(self) -> str | None:
        """Its requirements file, relative to the source's root."""


@dataclass(frozen=True, slots=True)
class Required:
    """What a bot's code requires as its author wrote it: the lines of the file `path`, which is of this `kind`."""

    kind: Kind
    path: str
    lines: tuple[str, ...]


def layout_of(code: Tree, bot: BotWithCode, facts: SourceFacts) -> Layout:
    """The layout of the code of `bot`, of whose source these are the `facts`. FactoryError as of `find_manifest`."""
    module, file = _module(code, bot)
    found = locate(code.paths, reader_of(code), bot.requirements_path, file)
    if found is None:
        return Layout(_roots(file, module))
    return Layout(
        roots=_roots(file, module),
        requirements_file=found.path,
        project=found.folder if found.builds else None,
        index_options=tuple(_index_options(code, found, bot, facts.subdirectory)),
        subdirectory=facts.subdirectory,
        projects=facts.projects,
        version=facts.version,
    )


def required_in_folder(bot: BotWithCode, folder: Path, origin: str) -> Required | None:
    """What the code of `bot` in `folder` requires, None for nothing; messages name it `origin`. FactoryError where it
    cannot be packed.
    """
    code = tree_of_folder(folder, origin)
    found = locate(code.paths, reader_of(code), bot.requirements_path, _module(code, bot)[1])
    return Required(found.kind, found.path, tuple(_written(code, found, bot))) if found else None


def check_target_in_folder(bot: BotWithCode, folder: Path, origin: str) -> None:
    """FactoryError, with the nearest names, when the `bot_path` of a bot is not in its code as it stands in `folder`.

    Read, not imported: what requirements may bring, or only running the code would tell, is accepted.
    """
    if bot.bot_path is not None:
        code = tree_of_folder(folder, origin)
        found = locate(code.paths, reader_of(code), bot.requirements_path, _module(code, bot)[1])
        find_target(code, bot.bot_path, others_bring_code=found is not None)


def _module(code: Tree, bot: BotWithCode) -> tuple[str | None, str | None]:
    """The module of a bot, None for a command, and its file, None where it is not in the code."""
    module = bot.bot_path.partition(":")[0] if bot.bot_path else None
    return module, module_file(code.paths, module) if module else None


def _roots(file: str | None, module: str | None) -> tuple[str, ...]:
    if file is None or module is None:
        return ("",)
    parts = module.replace(".", "/")
    start = file.removesuffix(".py").removesuffix("/__init__").removesuffix(parts).rstrip("/")
    return (start, "") if start else ("",)


def _index_options(code: Tree, found: Located, bot: BotWithCode, subdirectory: str | None) -> Iterator[tuple[str, str]]:
    if found.kind == "requirements":
        lines = _lines(code, found, bot, subdirectory)
        yield from ((line, posixpath.dirname(path)) for path, line in lines if _INDEX.match(line))


def _written(code: Tree, found: Located, bot: BotWithCode) -> Iterator[str]:
    """What a file requires, in its own lines."""
    if found.kind == "requirements":
        lines = _lines(code, found, bot, None)
        yield from (line for _, line in lines if not _INDEX.match(line) and not _INCLUDE.match(line))
        return
    if found.kind == "script":
        yield from map(str, found.pyproject.get("dependencies", ()))
        return
    project = found.pyproject.get("project", {})
    if "dependencies" in project or (project and "dependencies" not in project.get("dynamic", ())):
        yield from map(str, project.get("dependencies", ()))
    else:
        yield f"the dependencies of {found.path}"


def _lines(code: Tree, found: Located, bot: BotWithCode, subdirectory: str | None) -> Iterator[tuple[str, str]]:
    """The lines of a requirements file and of those that it includes, without comments, each with its file."""
    for path, content in included(code.paths, reader_of(code), found.path, bot.name, subdirectory):
        text = content.decode("utf-8-sig", "replace").replace("\\\n", " ")
        yield from ((path, said) for line in text.splitlines() if (said := _COMMENT.sub("", line).strip()))
