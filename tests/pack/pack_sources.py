"""Real sources for the tests of packing: repositories, remotes, folders, indexes; and plans that name them."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from factory_cdk.pack import Lock, PackedBot, PackReport, pack
from factory_cdk.plan.model import (
    Bot,
    BotArguments,
    GitSource,
    PathSource,
    Plan,
    PypiSource,
    Sector,
    SectorBot,
    SectorType,
    Source,
    Stage,
)

BOT = {"bots/__init__.py": "", "bots/first.py": "def run(payload):\n    return payload\n"}
"""The files of a bot whose bot_path is TARGET."""

TARGET = "bots.first:run"
WHEN = "2020-02-02T02:02:02+00:00"


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git as the tests need it: no configuration but this, always the same author and time."""
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b.c", "GIT_AUTHOR_DATE": WHEN,
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b.c", "GIT_COMMITTER_DATE": WHEN,
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder, env=env, input=stdin, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


class Repository:
    """A bare repository that commits can be added to, with or without a work tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def commit(self, files: Mapping[str, str | bytes], *, branch: str = "main", links: Mapping[str, str] | None = None,
               modules: Mapping[str, str] | None = None, executable: Sequence[str] = ()) -> str:  # fmt: skip
        """A commit of exactly these files, links (path → target) and submodules (path → commit)."""
        entries: list[tuple[str, str, str]] = []
        for path, content in files.items():
            raw = content if isinstance(content, bytes) else content.encode()
            entries.append(("100755" if path in executable else "100644", self.blob(raw), path))
        for path, target in (links or {}).items():
            entries.append(("120000", self.blob(target.encode()), path))
        for path, commit in (modules or {}).items():
            entries.append(("160000", commit, path))
        return self.commit_entries(entries, branch)

    def commit_entries(self, entries: Sequence[tuple[str, str, str]], branch: str = "main") -> str:
        """A commit of raw tree entries (mode, id, path); git's index checks are kept out of it."""
        tree = self._tree({tuple(path.split("/")): (mode, identity) for mode, identity, path in entries})
        return self.commit_tree(tree, branch)

    def commit_tree(self, tree: str, branch: str = "main") -> str:
        """A commit of a tree object."""
        parent = [part for tip in self._tip(branch) for part in ("-p", tip)]
        commit = git(self.folder, "commit-tree", tree, *parent, "-m", "a commit")
        git(self.folder, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    def blob(self, content: bytes) -> str:
        return git(self.folder, "hash-object", "-w", "--stdin", stdin=content)

    def tree_of(self, rows: Sequence[tuple[str, str, str]]) -> str:
        """A tree object of exactly these rows (mode, id, name), however wrong they are."""
        raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(identity) for mode, identity, name in rows)
        return git(self.folder, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)

    def _tree(self, entries: Mapping[tuple[str, ...], tuple[str, str]]) -> str:
        rows = [(mode, identity, path[0]) for path, (mode, identity) in entries.items() if len(path) == 1]
        for folder in sorted({path[0] for path in entries if len(path) > 1}):
            below = {path[1:]: entry for path, entry in entries.items() if path[0] == folder and len(path) > 1}
            rows.append(("40000", self._tree(below), folder))
        return self.tree_of(sorted(rows, key=lambda row: row[2] + ("/" if row[0] == "40000" else "")))

    def _tip(self, branch: str) -> list[str]:
        refs = git(self.folder, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return refs.split()


def wheel(folder: Path, name: str, version: str = "1.0", *, files: Mapping[str, str] | None = None,
          requires: Sequence[str] = (), tag: str = "py3-none-any", requires_python: str = "") -> Path:  # fmt: skip
    """A wheel in the directory index `folder`; `files` may have names that a sound wheel never has."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Python: {requires_python}\n" if requires_python else ""
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    content = {
        **({f"{name}.py": f"VERSION = {version!r}\ndef run(payload): return payload\n"} if files is None else files),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},{_record_hash(text)},{len(text.encode())}\n" for path, text in content.items())
    target = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return target


def sdist(folder: Path, name: str, version: str = "1.0", files: Mapping[str, str] | None = None) -> Path:
    """A source distribution: of `files`, which have to be built to know its metadata, or with all of it in PKG-INFO."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}.tar.gz"
    content = {
        "PKG-INFO": f"Metadata-Version: {2.1 if files else 2.2}\nName: {name}\nVersion: {version}\n",
        **(files or {"pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n'}),
    }
    with tarfile.open(target, "w:gz") as archive:
        for path, text in content.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return target


def _record_hash(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def plan_of(folder: Path, *bots: Bot, python: str | None = None) -> Plan:
    """A plan in `folder` whose one stage runs `bots` on one local sector."""
    on_sector = tuple(SectorBot(bot.name, BotArguments()) for bot in bots)
    stage = Stage("test", (Sector("here", SectorType.LOCAL, on_sector, python=python),))
    return Plan(str(folder / "plan.yml"), "works", {bot.name: bot for bot in bots}, {"test": stage})


def bot(source: Source, bot_path: str | None = TARGET, name: str = "b", **rest: str) -> Bot:
    return Bot(name, source, bot_path=bot_path, **rest)  # type: ignore[arg-type]


def at_path(folder: Path, **rest: str) -> PathSource:
    return PathSource(folder.name, folder, **rest)


def pack_one(tmp_path: Path, one: Bot, env: Mapping[str, str], lock: Lock | None = None, **rest: object) -> PackedBot:
    return pack_all(tmp_path, [one], env, lock, **rest).bots[0]


def pack_all(
    tmp_path: Path, bots: Sequence[Bot], env: Mapping[str, str], lock: Lock | None = None, **rest: object
) -> PackReport:
    given = {"cache": tmp_path / "cache", "env": env, "lock": lock, **rest}
    return pack(plan_of(tmp_path, *bots), bots, **given)  # type: ignore[arg-type]


def refusal(packed: PackedBot) -> str:
    """Why a bot was not packed: message and remedy."""
    assert packed.error is not None, packed
    assert packed.error.remedy, "an error without a remedy"
    return f"{packed.error.message}\n{packed.error.remedy}"


def names(packed: PackedBot) -> list[str]:
    """The files of a bundle."""
    assert packed.error is None, packed.error
    assert packed.bundle is not None
    assert packed.bundle.archive is not None
    with zipfile.ZipFile(packed.bundle.archive) as archive:
        return archive.namelist()


def leftovers(cache: Path) -> list[str]:
    """What lies in the cache's places of work."""
    return sorted(path.name for path in (cache / "work").iterdir())


def git_source(repository: Repository, branch: str | None = None, **rest: object) -> GitSource:
    return GitSource(repository.url, branch, **rest)  # type: ignore[arg-type]


def package(name: str, version: str | None = None) -> PypiSource:
    return PypiSource(name, version)
