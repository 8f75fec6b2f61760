"""What of a bot's code decides how it is run: where its module is, what it requires, whether it is installed."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.bundle import Bundle
from factory_cdk.design.model import BotDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.requirements.manifest import Located, Reader, included, locate, reader_of
from factory_cdk.pack.requirements.outside import NO_FACTS, SOURCE, SourceFacts, facts_of
from factory_cdk.pack.sources.folder import tree_of_folder
from factory_cdk.pack.target import find_target, module_file

_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDE = re.compile(r"-r\b|--requirement\b|-c\b|--constraint\b")
_INDEX = re.compile(r"(?:-i|-f|--(?:index-url|extra-index-url|find-links|no-index|no-binary|only-binary))(?:[\s=]|$)")
_FOLDER = re.compile(r"(?P<option>-f|--find-links)[\s=]\s*(?P<folder>.*)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Code:
    """A bot's code, read and not run. Paths are relative to the bundle's root, `/` between their parts.

    `starts` are the folders that its modules are imported from, that of its own module first. `manifest` is
    the file that says what is required, `lines` are its lines as a person wrote them, and `options` what it says
    of indexes (with the folder of the file: a folder of wheels is relative to it).
    """

    starts: tuple[str, ...] = ("",)
    manifest: Located | None = None
    facts: SourceFacts = NO_FACTS
    lines: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def roots(self, root: Path) -> tuple[Path, ...]:
        """The folders for sys.path when the bundle is laid out in `root`."""
        return tuple(root / start for start in self.starts)

    def index_options(self, root: Path) -> tuple[str, ...]:
        """What the manifest says of indexes, as lines of a requirements file that may lie anywhere."""
        return tuple(_anywhere(option, root / folder) for option, folder in self.options)


def packed_code(bot: BotDesign) -> Code:
    """The code of a bot whose bundle is in the cache, read from its archive. FactoryError."""
    archive = archive_of(bot.bundle)
    try:
        with zipfile.ZipFile(archive) as bundle:
            return _code(frozenset(bundle.namelist()), bundle.read, bot)
    except (OSError, zipfile.BadZipFile) as error:
        raise FactoryError(f"the bundle of {bot.name} cannot be read: {error}", "run `factory-cdk pack`") from error


def folder_code(folder: Path, bot: BotDesign) -> Code:
    """The code of a bot with a path source as it stands in `folder`. FactoryError where that cannot be packed."""
    tree = tree_of_folder(folder, bot.bundle.origin)
    return _code(tree.paths, reader_of(tree), bot)


def check_target(folder: Path, bot: BotDesign) -> None:
    """FactoryError, with the nearest names, when the `bot_path` of a bot is not in its code as it stands in `folder`.

    Read, not imported: what requirements may bring, or only running the code would tell, is accepted.
    """
    if bot.bot_path is not None:
        tree = tree_of_folder(folder, bot.bundle.origin)
        manifest = _code(tree.paths, reader_of(tree), bot).manifest
        find_target(tree, bot.bot_path, others_bring_code=manifest is not None)


def archive_of(bundle: Bundle) -> Path:
    """The archive of a packed bundle. FactoryError when it is not in the cache."""
    if bundle.archive is None:
        raise FactoryError(f"{bundle.bot} is not packed", "run `factory-cdk pack`")
    return Path(bundle.archive)


def _code(paths: Collection[str], read: Reader, bot: BotDesign) -> Code:
    module = bot.bot_path.partition(":")[0] if bot.bot_path else None
    file = module_file(paths, module) if module else None
    manifest = locate(paths, read, bot.requirements_path, file)
    facts = facts_of(read(SOURCE) if SOURCE in paths else None)
    lines, options = _said(manifest, paths, read, bot, facts.subdirectory) if manifest else ((), ())
    return Code(_starts(file, module), manifest, facts, lines, options)


def _starts(file: str | None, module: str | None) -> tuple[str, ...]:
    if file is None or module is None:
        return ("",)
    parts = module.replace(".", "/")
    start = file.removesuffix(".py").removesuffix("/__init__").removesuffix(parts).rstrip("/")
    return (start, "") if start else ("",)


def _said(
    manifest: Located, paths: Collection[str], read: Reader, bot: BotDesign, subdirectory: str | None
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """What a manifest requires, in its own lines, and what it says of indexes."""
    if manifest.kind == "script":
        return tuple(str(line) for line in manifest.pyproject.get("dependencies", ())), ()
    if manifest.kind == "project":
        project = manifest.pyproject.get("project", {})
        if "dependencies" in project or (project and "dependencies" not in project.get("dynamic", ())):
            return tuple(str(line) for line in project.get("dependencies", ())), ()
        return (f"the dependencies of {manifest.path}",), ()
    lines: list[str] = []
    options: list[tuple[str, str]] = []
    for path, content in included(paths, read, manifest.path, bot.name, subdirectory):
        for line in _lines(content.decode("utf-8-sig", "replace")):
            if _INDEX.match(line):
                options.append((line, posixpath.dirname(path)))
            elif not _INCLUDE.match(line):
                lines.append(line)
    return tuple(lines), tuple(options)


def _lines(text: str) -> Iterator[str]:
    """The lines of a requirements file without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if said := _COMMENT.sub("", line).strip():
            yield said


def _anywhere(option: str, folder: Path) -> str:
    """An option as it reads in a file of another folder."""
    found = _FOLDER.match(option)
    if found is None or _ADDRESS.match(found["folder"]) or found["folder"].startswith(("/", "$")):
        return option
    return f"{found['option']} {(folder / found['folder']).absolute().as_uri()}"
