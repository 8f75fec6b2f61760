"""A Debian as on an instance, and the packages of Python that its runner needs: made once, kept in the user's cache."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import factory_cdk

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = (
    *("ca-certificates", "cloud-init", "dbus", "iproute2", "nftables"),
    *("python3", "python3-venv", "systemd", "systemd-sysv"),
)
TOOLS = ("debootstrap", "ip", "mount", "nsenter", "setpriv", "unshare")
RUNNER = Path(factory_cdk.__file__).with_name("runner_requirements.txt")
TRY = "mount --make-rprivate / && mkdir a b c && mount -t overlay o -o lowerdir=a,upperdir=b,workdir=c a"


def debian() -> Path:
    """The folder of the system; nobody writes to it. The test is skipped where this machine cannot have it."""
    if os.getuid():
        pytest.skip("a Debian of its own needs root")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"a Debian of its own needs {', '.join(missing)}")
    return _made(f"{SUITE}-{_digest(*PACKAGES)}", _bootstrap)


def wheels() -> Path:
    """A folder with what the runner on an instance needs, for pip; an instance asks no index in a test."""
    return _made(f"wheels-{_digest(RUNNER.read_text(), PYTHON)}", _download)


def refuse_without_namespaces(folder: Path) -> None:
    """Skip the test where namespaces and overlays may not be made, as in a container; `folder` is for the attempt."""
    command = ["unshare", "--mount", "--pid", "--fork", "--net", "--cgroup", "sh", "-c", TRY]
    tried = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a Debian of its own cannot be started here: {tried.stderr.strip()}")


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def _made(name: str, make: Callable[[Path], subprocess.CompletedProcess[str]]) -> Path:
    """The folder `name` of the cache, which `make` fills beside it. What cannot be fetched skips the test."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "factory-cdk-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder, beside = cache / name, cache / f".{name}"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of one run make it once
        if not folder.exists():
            shutil.rmtree(beside, ignore_errors=True)
            done = make(beside)
            if done.returncode:
                shutil.rmtree(beside, ignore_errors=True)
                said = (done.stdout + done.stderr).strip().splitlines()[-1:]
                pytest.skip(f"{done.args[0]} could not fetch what a Debian of its own needs: {' '.join(said)}")
            beside.rename(folder)
    return folder


def _bootstrap(folder: Path) -> subprocess.CompletedProcess[str]:
    """A minimal system, then its packages by its own apt-get: debootstrap takes no heed of what is configured first."""
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=False)
    done = run(["debootstrap", "--variant=minbase", SUITE, str(folder)])
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES], ["clean"]):
        inside = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            f"--mount-proc={folder}/proc",
            "chroot",
            str(folder),
            "apt-get",
        ]
        if done.returncode == 0:
            done = run([*inside, *command], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    (folder / "etc" / "machine-id").write_text("")  # every machine gets its own
    return done


def _download(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--python-version", PYTHON),
        *("--require-hashes", "--requirement", str(RUNNER), "--dest", str(folder)),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)
