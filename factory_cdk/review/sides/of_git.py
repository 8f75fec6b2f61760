"""A plan as a commit of its repository has it: read from git's objects, nothing checked out and nothing fetched."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.lockfile import NAME as LOCK
from factory_cdk.pack.paths import native
from factory_cdk.pack.sources.git import Git, git_with
from factory_cdk.pack.sources.ignore import IGNORE_FILES
from factory_cdk.pack.sources.objects import lay_out, listing
from factory_cdk.plan.load import load_plan
from factory_cdk.plan.model import Bot, PathSource, Plan, PypiSource
from factory_cdk.review.sides.of_plan import lines_of, plan_side
from factory_cdk.review.sides.side import PlanSide, StageSide

_BRANCH = re.compile(r"(?!HEAD\b)[A-Za-z0-9][A-Za-z0-9._/-]*")
"""What may be the name of a branch or a tag: `main~1` cannot be fetched."""


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository around a plan's file: its top folder, the plan's path in it (`/` between the parts), and git."""

    top: Path
    path: str
    git: Git

    def commit(self, ref: str) -> str:
        """The commit that `ref` names here. FactoryError when it names none."""
        said = self.git.say(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"], cwd=self.top)
        if said.code:
            named = _BRANCH.fullmatch(ref)
            fetch = f"`git fetch origin {ref}`, then `--against FETCH_HEAD`" if named else "`git fetch --unshallow`"
            raise FactoryError(
                f"git has no commit `{ref}` here",
                f"fetch it first ({fetch}; in GitHub Actions: `fetch-depth: 0` of actions/checkout), "
                "or correct --against",
            )
        return said.stdout.decode().strip()


def repository_of(file: str) -> Repository:
    """The repository that the plan in `file` is in. FactoryError when it is in none."""
    git = git_with({**os.environ}, threading.Event()).in_work_tree()
    folder = Path(file).absolute().parent
    if not folder.is_dir():
        raise FactoryError(f"{folder} is not a folder", "correct --plan")
    said = git.say(["rev-parse", "--show-toplevel", "--show-prefix"], cwd=folder)
    if said.code:
        reason = said.stderr.strip().splitlines()[:1]
        raise FactoryError(
            f"{file} is not in a git work tree: {''.join(reason)}", "use --against-plan or --against-assembly instead"
        )
    top, prefix = said.stdout.decode("utf-8", "surrogateescape").split("\n")[:2]
    return Repository(Path(top), f"{prefix}{Path(file).name}", git)


@contextlib.contextmanager
def side_of_commit(repository: Repository, ref: str, *, cache: Path, region: str | None = None) -> Iterator[PlanSide]:
    """The plan of `repository` as it was at `ref`.

    What is needed of the commit is laid out in a private folder that lasts as long as the context. FactoryError when
    `ref` names no commit, or git's objects cannot be read.
    """
    commit = repository.commit(ref)
    label = f"{ref} ({commit[:9]})" if not commit.startswith(ref) else commit[:9]
    with tempfile.TemporaryDirectory(prefix="factory-cdk-review-") as folder:
        top = Path(folder).resolve() / "tree"
        yield Commit(repository, commit, label, top, cache, region).side()


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and the folder `top` that what is read of it is laid out in."""

    repository: Repository
    commit: str
    label: str
    top: Path
    cache: Path
    region: str | None

    def side(self) -> PlanSide:
        """The plan as the commit has it."""
        self.top.mkdir()
        path = self.repository.path
        self._lay_out(path, posixpath.join(posixpath.dirname(path), LOCK))
        file = self.top / native(path)
        shown = f"{self.label.partition(' ')[0]}:{path}"
        if any(one.is_symlink() for one in (file, file.with_name(LOCK))):
            said = f"{shown}: the plan or its plan.lock is a symbolic link, which is not followed"
            return PlanSide(self.label, None, (), _no_stage, problems=(said,))
        if not file.is_file():
            return PlanSide(self.label, None, (), _no_stage, missing=True)
        loaded = load_plan(file)
        problems = lines_of(loaded, shown)
        if loaded.readable is None:
            return PlanSide(self.label, None, (), _no_stage, problems=problems)
        return plan_side(
            loaded.readable,
            self.label,
            cache=self.cache,
            region=self.region,
            inside=self.top,
            problems=problems,
            notes=self._lay_out_sources(loaded.readable),
        )

    def _lay_out(self, *paths: str, deep: bool = True) -> list[str]:
        """Write the files at `paths` of the commit, and with `deep` all below them, else those in them alone, into the
        folder; returns those that git LFS keeps.
        """
        git, top = self.repository.git, self.repository.top
        try:
            found = listing(git, top, self.commit, self.label, paths)
            new = [
                blob
                for blob in found.blobs
                if (deep or posixpath.dirname(blob.path) in paths) and not os.path.lexists(self.top / native(blob.path))
            ]
            return lay_out(git, top, new, self.top, self.label)
        except FactoryError as error:
            if "promisor" not in error.message:
                raise
            remedy = "this is a partial clone: clone without `--filter`, or fetch the commit with `git fetch --refetch`"
            raise FactoryError(error.message, remedy) from error

    def _lay_out_sources(self, plan: Plan) -> tuple[str, ...]:
        """Lay out the path sources of `plan` and the requirements files beside it; returns notes for people."""
        beside = {
            posixpath.dirname(posixpath.normpath(posixpath.join(posixpath.dirname(self.repository.path), name)))
            for bot in plan.bots.values()
            if isinstance(bot.source, PypiSource) and (name := bot.requirements_path)
        }
        if beside:
            self._lay_out(*([] if "" in beside else sorted(beside)), deep=False)
        wanted = {path for bot in plan.bots.values() if (path := self._inside(bot)) is not None}
        if not wanted:
            return ()
        above = {posixpath.join(folder, name) for path in wanted for folder in _above(path) for name in IGNORE_FILES}
        pointers = self._lay_out(*([] if "" in wanted else sorted(wanted | above)))
        self._look_like_a_work_tree()
        if not pointers:
            return ()
        said = f"{len(pointers)} files are in Git LFS, and not in the objects of {self.label}"
        return (f"{said}: their bots look changed",)

    def _inside(self, bot: Bot) -> str | None:
        """The path in the repository of a bot's folder (`""`: its top); None for other sources and other places."""
        if not isinstance(bot.source, PathSource):
            return None
        folder = Path(os.path.normpath(bot.source.folder))
        if not folder.is_relative_to(self.top):
            return None
        relative = folder.relative_to(self.top).as_posix()
        return "" if relative == "." else relative

    def _look_like_a_work_tree(self) -> None:
        """Let git see the folder as a work tree of this commit: versions that it makes of tags are those of the commit,
        and ignore files above a source have their say.
        """
        asked = ["rev-parse", "--git-path", "objects", "--git-path", "shallow", "--show-object-format"]
        objects, shallow, algorithm = self._lines(*asked)
        tags = self._lines("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags")
        folder = self.top / ".git"
        (folder / "objects" / "info").mkdir(parents=True)
        (folder / "refs").mkdir()
        version = "0" if algorithm == "sha1" else f"1\n[extensions]\n\tobjectFormat = {algorithm}"
        content = {
            "HEAD": self.commit,
            "config": f"[core]\n\tbare = false\n\trepositoryFormatVersion = {version}",
            "packed-refs": "\n".join(tags),
            "objects/info/alternates": str(self.repository.top / objects),
        }
        for name, text in content.items():
            (folder / name).write_text(f"{text}\n", "utf-8", "surrogateescape")
        if (cut := self.repository.top / shallow).is_file():
            (folder / "shallow").write_bytes(cut.read_bytes())

    def _lines(self, *arguments: str) -> list[str]:
        said = self.repository.git.say(arguments, cwd=self.repository.top)
        if said.code:
            raise self.repository.git.failure(said, "reading", str(self.repository.top))
        return said.stdout.decode("utf-8", "surrogateescape").splitlines()


def _above(path: str) -> Iterator[str]:
    """The folders above `path`, from the top (`""`) on."""
    parts = path.split("/")[:-1]
    for count in range(len(parts) + 1):
        yield "/".join(parts[:count])


def _no_stage(name: str) -> StageSide:
    raise KeyError(name)
