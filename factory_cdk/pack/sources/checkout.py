"""A git source becomes a folder with the files of one commit, submodules in it where the plan asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factory_cdk.bundle import without_credentials
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import OnPercent
from factory_cdk.pack.paths import native
from factory_cdk.pack.sources.clone import COMMIT, clone_branch, fetch_commit
from factory_cdk.pack.sources.git import Git
from factory_cdk.pack.sources.objects import lay_out, listing
from factory_cdk.pack.sources.submodules import module_urls, url_of
from factory_cdk.pack.tree import bounded
from factory_cdk.plan.model import GitSource

_DEEPEST = 8
"""How many submodules may be nested."""

_MOST_MODULES = 100
"""How many submodules a source may have, those of submodules among them: ten in each, eight deep, are without end."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit laid out in `folder`. `modules` are the submodules that were left out, `pointers` the files
    of Git LFS whose contents are not there.
    """

    folder: Path
    commit: str
    modules: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of this checkout."""
        notes = []
        if self.modules:
            notes.append(f"submodules are not packed: {_some(self.modules)} (`recurse-submodules: true` packs them)")
        if self.pointers:
            notes.append(
                f"{len(self.pointers)} files are stored in Git LFS and packed without their contents: "
                + _some(self.pointers)
            )
        return tuple(notes)


def check_out(
    git: Git, source: GitSource, commit: str | None, workspace: Path, on_percent: OnPercent | None = None
) -> Checkout:
    """Fetch a source's `commit` (None: what its branch names now) and lay its files out below `workspace`.

    Raises FactoryError, with git's own words, when that is refused or fails, and for what a hostile
    repository may hold: names that climb, urls that run programs, a link where a folder is.
    """
    repository = workspace / "0.git"
    if commit is None and not (source.branch and COMMIT.fullmatch(source.branch)):
        commit = clone_branch(git, source, repository, on_percent)
    else:
        commit = commit or source.branch or ""
        fetch_commit(git, source.url, commit, repository, on_percent)
    folder = workspace / "checkout"
    folder.mkdir()
    return _Visit(git, workspace, folder, bool(source.options.get("recurse-submodules")), on_percent).visit(
        repository, source.url, commit
    )


@dataclass(slots=True)
class _Visit:
    """The laying out of a repository and of its submodules, each in a repository of its own."""

    git: Git
    workspace: Path
    folder: Path
    recurse: bool
    on_percent: OnPercent | None
    repositories: int = 1
    files: int = 0
    size: int = 0

    def visit(self, repository: Path, url: str, commit: str, at: str = "", depth: int = 0) -> Checkout:
        shown = without_credentials(url)
        found = listing(self.git, repository, commit, shown)
        self.files += len(found.blobs)
        self.size += sum(blob.size for blob in found.blobs)
        bounded(self.files, self.size, shown)
        pointers = [at + path for path in lay_out(self.git, repository, found.blobs, self.folder / native(at), shown)]
        left_out = [] if self.recurse else [at + path for path in found.modules]
        if self.recurse and found.modules:
            if depth == _DEEPEST:
                raise FactoryError(f"{shown}: submodules are nested deeper than {_DEEPEST}", "flatten them")
            urls = module_urls(self.git, repository, commit, url)
            for path, module_commit in found.modules.items():
                module_url = url_of(urls, path, module_commit, shown)
                below = self.workspace / f"{self.repositories}.git"
                if self.repositories > _MOST_MODULES:
                    raise FactoryError(f"{shown}: there are more than {_MOST_MODULES} submodules", "flatten them")
                self.repositories += 1
                fetch_commit(self.git, module_url, module_commit, below, self.on_percent)
                self._make(at + path, shown)
                inner = self.visit(below, module_url, module_commit, f"{at}{path}/", depth + 1)
                pointers += inner.pointers
        return Checkout(self.folder, commit, tuple(left_out), tuple(pointers))

    def _make(self, path: str, shown: str) -> None:
        """A new folder for a submodule, below real folders alone: never in a link, never among other files."""
        target = self.folder
        whole = self.folder / native(path)
        for part in path.split("/"):
            target /= native(part)
            if target.is_symlink() or (target.exists() and (not target.is_dir() or target == whole)):
                raise FactoryError(
                    f"{shown}: the path of the submodule {path!r} is in use by a file or a link",
                    "rename one of them in the repository",
                )
            target.mkdir(exist_ok=True)


def _some(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more
