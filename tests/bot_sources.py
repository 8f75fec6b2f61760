"""Real sources of bots without a network: bare repositories over file://, and a folder of wheels as an index."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def offline(index: Path) -> dict[str, str]:
    """The variables that let uv ask `index` and nobody else."""
    return {"UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` with no configuration of this machine."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environ |= {f"GIT_{who}_NAME": "A", f"GIT_{who}_EMAIL": "a@b.c"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def repository(folder: Path, files: Mapping[str, str]) -> str:
    """A bare repository at `folder` whose one commit holds `files`; its url."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    commit(folder, files)
    return folder.as_uri()


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Add a commit of exactly `files` to the bare repository at `folder`; its id."""
    work = folder.with_name(f"{folder.name}.work")
    work.mkdir(exist_ok=True)
    for path in [path for path in work.iterdir() if path.name != ".git"]:
        subprocess.run(["rm", "-r", str(path)], check=True)
    git(work, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "a commit")
    git(work, "push", "--quiet", str(folder), "main")
    return git(work, "rev-parse", "HEAD")


def make_wheel(folder: Path, name: str, version: str, code: str, requires: Sequence[str] = ()) -> Path:
    """A pure Python wheel with one module, as a build backend would make it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {requirement}\n" for requirement in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{file},sha256={_digest(text)},{len(text.encode())}" for file, text in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(zipfile.ZipInfo(file, (2020, 1, 1, 0, 0, 0)), text)
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "\n".join([*record, f"{info}/RECORD,,\n"]))
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
