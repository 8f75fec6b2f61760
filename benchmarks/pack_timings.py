"""Times of packing a plan, cold and warm, beside plain `git clone` and `uv pip compile` of the same sources.

    python benchmarks/pack_timings.py [--files 400] [--rounds 3] [--requirement attrs --requirement click]

Makes six git repositories, served over file://, and two folders, each with the given requirements; packs them with
an empty cache, again, and again under a lock; and does the same by hand, one after the other, with the shallow clones
that people write. Requirements come from the index that uv is configured for; every cold round has an empty uv cache.
The rounds take turns, so that a noisy machine is noisy for all; the median of each is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uv

from factory_cdk.pack import locked_anew, pack
from factory_cdk.plan.model import Bot, GitSource, PathSource, Plan

REPOSITORIES, FOLDERS = 6, 2


def write_code(folder: Path, files: int, requirements: list[str]) -> None:
    """A bot of so many files."""
    for number in range(files):
        target = folder / f"package{number % 20}" / f"module{number}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"# {folder.name} {number}\n" + "x = 1\n" * 100, encoding="utf-8")
    (folder / "bot.py").write_text("def run(payload):\n    return payload\n", encoding="utf-8")
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")


def git(folder: Path, *arguments: str) -> None:
    """Run git in `folder`."""
    identity = ("-c", "user.name=b", "-c", "user.email=b@c.d")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def sources(folder: Path, files: int, requirements: list[str]) -> list[Bot]:
    """Bots of real repositories and folders below `folder`."""
    bots = []
    for number in range(REPOSITORIES):
        work = folder / f"work{number}"
        write_code(work, files, requirements)
        git(work, "init", "--quiet", "--initial-branch=main")
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--message=x")
        bots.append(Bot(f"git{number}", GitSource(f"file://{work}", "main"), bot_path="bot:run"))
    for number in range(FOLDERS):
        code = folder / f"code{number}"
        write_code(code, files, requirements)
        bots.append(Bot(f"path{number}", PathSource(code.name, code), bot_path="bot:run"))
    return bots


def by_hand(bots: list[Bot], folder: Path, env: dict[str, str]) -> None:
    """What one would type: a shallow clone and a lock file for each bot."""
    for bot in bots:
        place = folder / bot.name
        if isinstance(bot.source, GitSource):
            clone = ["git", "clone", "--quiet", "--depth=1", "--branch=main", bot.source.url, str(place)]
            subprocess.run(clone, check=True, env=env)
        elif isinstance(bot.source, PathSource):
            shutil.copytree(bot.source.folder, place)
        subprocess.run(
            [uv.find_uv_bin(), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version=3.11",
             "--output-file=lock.txt", "requirements.txt"],
            cwd=place, check=True, capture_output=True, env=env,
        )  # fmt: skip


def timed(work: Callable[[], object]) -> float:
    """The seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Print a table of seconds."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--files", type=int, default=400, help="files of each bot (default 400)")
    options.add_argument("--rounds", type=int, default=3, help="rounds of each (default 3)")
    options.add_argument("--requirement", action="append", default=None, help="(default: attrs, click, jinja2)")
    given = options.parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bots = sources(folder, given.files, given.requirement or ["attrs", "click", "jinja2"])
        plan = Plan(str(folder / "plan.yml"), "bench", {bot.name: bot for bot in bots}, {})
        for number in range(given.rounds):
            env = {**os.environ, "UV_CACHE_DIR": str(folder / f"uv-hand{number}")}
            hand = folder / f"hand{number}"
            hand.mkdir()
            seconds.setdefault("by hand, cold", []).append(timed(lambda: by_hand(bots, hand, env)))  # noqa: B023
            shutil.rmtree(hand)
            hand.mkdir()
            seconds.setdefault("by hand, again", []).append(timed(lambda: by_hand(bots, hand, env)))  # noqa: B023
            env = {**os.environ, "UV_CACHE_DIR": str(folder / f"uv{number}")}
            cache = folder / f"cache{number}"

            def packed(lock: object = None) -> None:
                report = pack(plan, bots, cache=cache, env=env, lock=lock)  # type: ignore[arg-type]  # noqa: B023
                report.refuse_failures()

            seconds.setdefault("pack, cold", []).append(timed(packed))
            seconds.setdefault("pack, again", []).append(timed(packed))
            lock = locked_anew(plan, pack(plan, bots, cache=cache, env=env), None)
            seconds.setdefault("pack, again, locked", []).append(timed(lambda: packed(lock)))  # noqa: B023
    print(f"{len(bots)} bots of {given.files} files, median of {given.rounds} rounds, {os.cpu_count()} cores")
    for what, measured in seconds.items():
        print(f"{what.ljust(20)} {statistics.median(measured):7.3f} s   ({min(measured):.3f} to {max(measured):.3f})")


if __name__ == "__main__":
    sys.exit(main())
