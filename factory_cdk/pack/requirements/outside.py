"""What a bot's requirements need of their source outside of the plan's `subdirectory`, and where a bundle has it.

The root of a bundle is the subdirectory. Where its project refers to what is around it (`../lib`, a uv workspace,
`open("../VERSION")`), the rest of the source is in the bundle too, in `.factory_cdk/around`, and both are laid out as
they were in the source where the requirements are locked and where the project is installed.
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from factory_cdk.pack.archive import copy
from factory_cdk.pack.paths import OURS, native
from factory_cdk.pack.tree import File, Tree

AROUND = f"{OURS}/around"
"""Where a bundle has what is around its subdirectory."""

SOURCE = f"{OURS}/source.json"
"""Where a bundle says how its source is laid out and built, see `SourceFacts`."""

_CLIMB = re.compile(r"(?<![\w.])(?:\.\./)*\.\.(?=[/\"'\s\]},;#)]|$)")
_PARENTS = re.compile(
    r"\bparents\s*\[\s*([0-9]+)|((?:\.parent\b){2,})|dirname\(\s*(?:os\.path\.)?dirname\(|root:parent|pardir"
)
_WORKSPACE = re.compile(r"\bworkspace\s*=\s*true\b")


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What installing a bot's project needs to know of its source: the `subdirectory` that the bundle's root was,
    where what is around it is in the bundle; the local `projects` that it requires, as paths in the source, each with a
    marker if it has one (`libs/one ; sys_platform == 'linux'`); and the `version` that git gives it.
    """

    subdirectory: str | None = None
    projects: tuple[str, ...] = ()
    version: str | None = None

    def to_json(self) -> bytes:
        """These facts as the content of a bundle's SOURCE; empty where there are none."""
        said = {name: value for name, value in asdict(self).items() if value}
        return (json.dumps(said, sort_keys=True, indent=1) + "\n").encode() if said else b""


NO_FACTS = SourceFacts()


def facts_of(content: bytes | None) -> SourceFacts:
    """The facts that the content of SOURCE says; none where a bundle has no such file."""
    said: Mapping[str, Any] = json.loads(content) if content else {}
    return SourceFacts(said.get("subdirectory"), tuple(said.get("projects", ())), said.get("version"))


def path_in_source(path: str, subdirectory: str | None) -> str:
    """The path in the source of what a bundle has at `path`."""
    if path.startswith(f"{AROUND}/"):
        return path.removeprefix(f"{AROUND}/")
    return posixpath.normpath(posixpath.join(subdirectory or "", path))


def path_in_bundle(path: str, subdirectory: str | None) -> str:
    """The path in a bundle of what the source has at `path` (which may begin with `../`: then it is in neither)."""
    if not subdirectory or path.startswith("../"):
        return path
    inside = f"{posixpath.normpath(subdirectory)}/"
    return path.removeprefix(inside) if path.startswith(inside) else f"{AROUND}/{path}"


def with_around(code: Tree, whole: Tree, subdirectory: str) -> Tree:
    """`code`, the tree of a subdirectory, with all that the `whole` tree of its source has outside of it."""
    inside = f"{posixpath.normpath(subdirectory)}/"
    around = [file for file in whole.files if not file.path.startswith(inside)]
    added = tuple(File(f"{AROUND}/{file.path}", file.executable, file.size, file.sha256) for file in around)
    return code.joined(added, {f"{AROUND}/{file.path}": whole.at(file.path) for file in around})


def without_around(code: Tree) -> Tree:
    """The same tree without what is around its subdirectory."""
    return code.select(lambda path: not path.startswith(f"{AROUND}/"))


def lay_out_source(code: Tree, subdirectory: str | None, into: Path) -> Path:
    """Copy a bundle's tree into the new folder `into` as its source was; returns the folder that was its root."""
    root = into / native(subdirectory) if subdirectory else into
    root.mkdir(parents=True, exist_ok=True)
    copy(code.select(lambda path: not path.startswith(f"{OURS}/")), root)
    copy(code.select(lambda path: path.startswith(f"{AROUND}/")), into, f"{AROUND}/")
    return root


def refers_outside(texts: Iterable[str], depth: int) -> bool:
    """Whether one of `texts`, the files of a project that say how it is built, refers to what is outside of the
    subdirectory; `depth` counts the folders from there down to the project. What they say is read, not run: one that
    hides it better than in `..`, `parents[1]` or `workspace = true` is not understood.
    """
    return any(_refers(text, depth) for text in texts)


def _refers(text: str, depth: int) -> bool:
    if _WORKSPACE.search(text) or any(found[0].count("..") > depth for found in _CLIMB.finditer(text)):
        return True
    for found in _PARENTS.finditer(text):
        steps = int(found[1]) if found[1] else found[2].count(".parent") - 1 if found[2] else 1
        if steps > depth:
            return True
    return False


def is_in_workspace(folder: str, read: Callable[[str], bytes | None]) -> bool:
    """Whether a pyproject.toml above the project in `folder` of a source makes it part of a uv workspace."""
    while folder:
        folder = folder.rpartition("/")[0]
        content = read(f"{folder}/pyproject.toml" if folder else "pyproject.toml")
        if content is not None and _says_workspace(content):
            return True
    return False


def _says_workspace(content: bytes) -> bool:
    try:
        tool = tomllib.loads(content.decode("utf-8-sig")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return False  # whoever reads that file for the project tells what is wrong with it
    return isinstance(tool, dict) and isinstance(tool.get("uv"), dict) and "workspace" in tool["uv"]
