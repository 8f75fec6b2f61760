"""Which files of a folder belong to a bundle: .gitignore and .factoryignore, read as git reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathspec

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.paths import portable

FACTORYIGNORE = ".factoryignore"
IGNORE_FILES = (".gitignore", FACTORYIGNORE)
"""Read in every folder, in this order: the later and the deeper line decides."""

_NEVER = frozenset({".git", ".hg", ".svn", "__pycache__", ".DS_Store"})
_EDITORS = re.compile(r".+~|\.#.+|#.+#|\..+\.sw[a-p]|\.goutputstream-.+|.+___jb_(?:tmp|old)___")
"""What Emacs, Vim, Kate, gedit and JetBrains' editors write beside a file while it is open or being saved."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Ignore patterns by the folder that they stand in: pairs of its path (`""` or `a/b/`) and its patterns.

    Paths are relative to the outermost folder that has a say.
    """

    layers: tuple[tuple[str, pathspec.GitIgnoreSpec], ...] = ()

    def with_files_of(self, folder: Path, prefix: str, names: Iterable[str]) -> Rules:
        """These rules and those of the ignore files in `folder`, whose path is `prefix`."""
        lines = [line for name in names for line in _lines(folder / name)]
        return Rules((*self.layers, (prefix, spec_of(lines, str(folder))))) if lines else self

    def ignore(self, path: str, *, folder: bool) -> bool:
        """Whether the file or folder at `path` is left out, its parents being in."""
        shown = f"{path}/" if folder else path
        for prefix, spec in reversed(self.layers):
            if shown.startswith(prefix):
                for pattern in reversed(tuple(spec.patterns)):
                    if pattern.include is not None and _is_about(pattern, shown[len(prefix) :]):
                        return bool(pattern.include)
        return False


# pathspec's backend without backtracking (google-re2) has no wheels for Alpine: so its expressions are changed here.
_STAR = "[^/]*"
"""What pathspec makes of a `*`."""

_OTHER_THAN = re.compile(r"(?<!\\)\[\^(?!/)")
"""The start of what pathspec makes of `[!abc]`; in git no set of characters has a `/` in it."""

_MOST_FOLDERS = 2
"""How many `**` a pattern may have that stand for folders: each multiplies the time of a match by the path's length."""


def spec_of(lines: Iterable[str], where: str) -> pathspec.GitIgnoreSpec:
    """The patterns of an ignore file; FactoryError when one is not what git accepts."""
    try:
        found = pathspec.GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise FactoryError(f"{where}: an ignore file has an invalid pattern: {error}", "correct the pattern") from error
    return pathspec.GitIgnoreSpec([_quick(pattern, where) for pattern in found.patterns])


def _quick(pattern: Any, where: str) -> Any:
    """The same pattern, but its time to match grows with the length of a path and not with the power of its stars: a
    `*` that another one follows in its segment may end at the first place where what is between them fits.
    """
    if pattern.regex is None:
        return pattern
    text: str = _OTHER_THAN.sub("[^/", pattern.regex.pattern)
    if text.count(".+") + text.count(".*") > _MOST_FOLDERS:
        shown = str(getattr(pattern, "pattern", text))[:80]
        raise FactoryError(f"{where}: {shown!r} in an ignore file has too many `**`", "correct the pattern")
    first, *rest = text.split(_STAR)
    made = first
    for between in rest[:-1]:
        one_segment = "/" not in between.replace("[^/]", "")
        made += f"(?>{_STAR}?{between})" if one_segment else _STAR + between
    made += "".join(_STAR + last for last in rest[-1:])
    return type(pattern)(re.compile(made), pattern.include) if made != pattern.regex.pattern else pattern


def _is_about(pattern: Any, path: str) -> bool:
    """Whether a pattern matches `path` (with a `/` at the end for a folder) itself, and not only a folder around it:
    git asks about each folder before what is in it. `a/**` is about what is in `a` alone.
    """
    ends_a_folder = "ps_d" in pattern.regex.groupindex  # pathspec's name for the slash that ends a folder
    if not pattern.regex.pattern.startswith("^"):  # `*/` or `**`
        return path.endswith("/") or not ends_a_folder
    found = pattern.regex.match(path)
    if found is None:
        return False
    return found.end("ps_d") in (-1, len(path)) if ends_a_folder else found.end() < len(path)


def never_packed(name: str) -> bool:
    """Whether a file or folder of this name is left out whatever the ignore files say."""
    return name in _NEVER or name.endswith((".pyc", ".pyo"))


def left_by_editor(name: str) -> bool:
    """Whether a file of this name is one that an editor keeps beside the file that it has open, and removes again."""
    return _EDITORS.fullmatch(name) is not None


def rule_files_above(folder: Path) -> tuple[Path, ...]:
    """The ignore files above `folder` that have a say in it, whether they exist or not."""
    above = [folder, *folder.parents]
    root = next((parent for parent in above if (parent / ".git").exists()), folder)
    return tuple(parent / name for parent in above[1 : above.index(root) + 1] for name in IGNORE_FILES)


def rules_above(folder: Path) -> tuple[Rules, str]:
    """The rules of the folders above `folder` up to the root of its git work tree (none outside of one), and
    the path of `folder` below that root (`""` or `a/b/`). A plan that names a folder which these rules leave
    out means it: then they have no say in it.
    """
    above = [folder, *folder.parents]
    root = next((parent for parent in above if (parent / ".git").exists()), folder)
    rules = Rules()
    for parent in reversed(above[1 : above.index(root) + 1]):
        rules = rules.with_files_of(parent, _prefix(parent, root), IGNORE_FILES)
    path = _prefix(folder, root)
    named_though_ignored = path != "" and any(
        rules.ignore("/".join(path.split("/")[:count]), folder=True) for count in range(1, path.count("/") + 1)
    )
    return (Rules(), "") if named_though_ignored else (rules, path)


def _prefix(folder: Path, root: Path) -> str:
    relative = folder.relative_to(root).as_posix()
    return "" if relative == "." else f"{portable(relative)}/"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "surrogateescape").splitlines() if file.is_file() else []
    except OSError as error:
        raise FactoryError(f"{file} cannot be read: {error.strerror}", "give it read permission") from error
