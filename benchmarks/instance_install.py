"""The steps of installing an offline release, beside `python -m venv` and `pip install` of the same wheels, in one run.

    python benchmarks/instance_install.py [--rounds 3] [--wheels FOLDER] [--json FILE]

What is installed is what the runner needs (24 packages and uv): first as the runner, by the install script of a release
as it runs on an instance, then as the requirements of two bots with different ones, by the agent's own functions. Both
contestants have the same wheels as files, and neither asks an index; uv has no cache, as on a new instance. They take
turns, round by round, and medians are reported. The wheels are fetched once, into the pack cache of this user, or are
those of `--wheels`. Neither the network of AWS nor its disks are in it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from figures import Figure, as_text, machine, write_json

from factory_cdk.bootstrap import render_install
from factory_cdk.home import pack_cache
from factory_cdk.install.environments import build_all, environment
from factory_cdk.install.wheels import name_of_wheel, unpacked_wheels
from factory_cdk.pack.cache import BundleCache
from factory_cdk.pack.wheels.of_runner import files_of
from factory_cdk.pack.wheels.pip import pip_with
from factory_cdk.plan.model import Offline, Platform
from factory_cdk.runner_wheel import runner_requirements, runner_wheel, runner_wheels
from factory_cdk.wheels import Target, wheels_key

OFFLINE = Offline(os.uname().machine, f"3.{sys.version_info.minor}")
STEPS = ("the runner, by the install script", "archives of wheels unpacked", "environments of two bots")


def archive() -> Path:
    """The archive of the runner's wheels, fetched unless the pack cache has it."""
    cache = BundleCache(pack_cache())
    cache.prepare()
    for _ in files_of(Path.cwd(), OFFLINE, cache, pip_with(os.environ, threading.Event())):
        pass
    return cache.file(wheels_key(runner_wheels(Target(OFFLINE.architecture, OFFLINE.python)).sha256))


def ours(wheels: Path, folder: Path) -> dict[str, float]:
    """Seconds of each step of ours."""
    files, wheel = folder / "runner-files", runner_wheel()
    files.mkdir(parents=True)
    shutil.copyfile(wheels, files / "wheels.zip")
    (files / wheel.name).write_bytes(wheel.content)
    (files / "requirements.txt").write_text(runner_requirements())
    script = folder / "install.sh"
    text = render_install(wheel.name, wheel.sha256, Platform.LINUX, OFFLINE)
    script.write_text(text.replace("[ -d /run/systemd/system ]", "false"))  # no agent is set up on this machine
    python = str(getattr(sys, "_base_executable", sys.executable))
    environ = {"PATH": "/usr/bin:/bin", "FACTORY_CDK_ROOT": str(folder), "FACTORY_CDK_PYTHON": python}
    install = ["sh", str(script)]
    taken = {STEPS[0]: timed(lambda: subprocess.run(install, env=environ, check=True, stdout=subprocess.DEVNULL))}
    home = folder / "agent"
    taken[STEPS[1]] = timed(lambda: unpacked_wheels(wheels, home / "wheels" / "0"))
    found = unpacked_wheels(wheels, home / "wheels" / "0")
    lines = [f"{name_of_wheel(one)} @ {one.as_uri()}" for one in found]
    wanted = [environment(home, part, OFFLINE.python) for part in (lines, lines[:-1])]
    os.environ["UV_CACHE_DIR"] = str(home / "cache" / "uv")
    taken[STEPS[2]] = timed(lambda: build_all(wanted, lambda _: None, asks_indexes=False))
    return taken


def theirs(wheels: Path, folder: Path) -> float:
    """Seconds of `python -m venv` and `pip install` for the runner and for each of two bots."""
    with zipfile.ZipFile(wheels) as opened:
        opened.extractall(folder / "wheels")
    names = [str(path) for path in sorted((folder / "wheels").iterdir())]

    def install() -> None:
        for number, part in enumerate((names, names, names[:-1])):
            place = folder / str(number)
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            pip = [place / "bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
            subprocess.run([*pip, "--disable-pip-version-check", *part], check=True)

    return timed(install)


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wheels", type=Path, help="the archive of the runner's wheels")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    wheels = options.wheels or archive()
    steps: list[dict[str, float]] = []
    floors: list[float] = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            steps.append(ours(wheels, Path(one)))
            floors.append(theirs(wheels, Path(other)))
    floor = statistics.median(floors)
    whole = statistics.median(sum(one.values()) for one in steps)
    figures = [Figure(step, statistics.median(one[step] for one in steps), "s") for step in STEPS]
    beside = f"to {floor:.1f} s of `python -m venv` and `pip install`, on {machine()}"
    figures.append(Figure("all of it", whole / floor, "x", goal=0.5, beside=beside))
    print(as_text(figures))
    if options.json:
        write_json(options.json, figures)


if __name__ == "__main__":
    main()
