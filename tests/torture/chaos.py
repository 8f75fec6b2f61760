"""Kills commands of factory-cdk at random moments, and holds that the next one works and that nothing is left over.

    python tests/torture/chaos.py --rounds 50 --seed 7 [pack lock build demolish stop resume retry rescue]

A round starts one command, or two of the same at once, and kills one of them (SIGKILL) somewhere between its start and
its end. Then whatever a person would do next must work; no process, temporary file or half-written file may be left
that was not there before, and no job may be lost or done twice. The seed decides on the moments, as shares of how long
the command takes; a machine's speed decides what is hit.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

PATIENCE = 60.0
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER (linux/prctl.h): what a killed command leaves behind becomes our child, and is found."""

PLAN = """
factory:
  name: chaos
  bots:
    first: {source: {path: code}, bot_path: "bots:first"}
    second: {source: {path: code}, bot_path: "bots:second"}
    odd: {source: {path: code}, bot_path: "bots:odd"}
    far: {source: {url: '%s'}, bot_path: "bots:first", requirements_path: needs.txt}
  workflows: {flow: {first: second}}
  stages:
    test:
      workflow: flow
      here: {type: local, bots: {first: , second: , odd: {max-attempts: 1}, far: }}
"""
BOTS = """
def first(number):
    return number

def second(number):
    return number

def odd(number):
    raise ValueError(number)
"""


class Left(AssertionError):
    """Something is lost, left over, or does not work any more."""


@dataclass
class Ground:
    """A plan, its code and a home of their own, and what a command of factory-cdk does there."""

    folder: Path
    random: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    took: dict[str, float] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def prepare(self) -> None:
        """Write the plan and the bots' code, one of them in a git repository."""
        for name in ("tmp", "code", "far"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "code" / "bots.py").write_text(BOTS)
        (self.folder / "far" / "bots.py").write_text(BOTS)
        (self.folder / "far" / "needs.txt").write_text("# nothing\n")
        for number in range(300):
            (self.folder / "far" / f"more{number}.txt").write_text(f"{number}\n" * 100)
        who = ["-c", "user.name=chaos", "-c", "user.email=chaos@example.com", "-c", "gc.auto=0"]
        for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
            subprocess.run(["git", *arguments], cwd=self.folder / "far", check=True, timeout=PATIENCE)
        (self.folder / "plan.yml").write_text(PLAN % (self.folder / "far").as_uri())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `factory-cdk …`."""
        environ = {**os.environ, "FACTORY_CDK_HOME": str(self.home), "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [sys.executable, "-m", "factory_cdk", *arguments], cwd=self.folder, env=environ, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """What a command says that ends with one of `codes`."""
        began = time.monotonic()
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=PATIENCE * 3)
        self.took[arguments[0]] = time.monotonic() - began
        if process.returncode not in codes or (said.startswith("Traceback") or "\nTraceback" in said):
            raise Left(f"{' '.join(arguments)}: exit code {process.returncode}\n{said[-2000:]}")
        return said

    def kill(self, *arguments: str) -> None:
        """Run a command, or two of the same at once, and kill one of them at some moment of its life."""
        moment = self.random.random() * 1.1 * self.took.get(arguments[0], 1.0)
        processes = [self.start(*arguments) for _ in range(self.random.choice((1, 1, 2)))]
        victim, *others = processes
        with contextlib.suppress(subprocess.TimeoutExpired):
            victim.wait(moment)
        self.counts["killed" if victim.poll() is None else "too late"] += 1
        victim.kill()
        victim.communicate()
        for other in others:
            try:
                said, _ = other.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                raise Left(f"{' '.join(arguments)} hangs beside a killed one:\n{self.folder()}") from None
            if "Traceback" in said or other.returncode < 0:
                raise Left(f"beside a killed one, {' '.join(arguments)}: exit code {other.returncode}\n{said}")

    def processes(self) -> set[int]:
        """Everything that was started here and lives; what has ended is put to rest."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        return descendants(os.getpid())

    def state(self) -> str:
        """What the stage says of itself, for a message."""
        files = [*self.home.glob("factories/*/*/*.json"), *self.home.glob("factories/*/*/logs/runner*")]
        said = [f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in files]
        return "\n".join([*said, *map(command_of, self.processes())])

    def quiet(self) -> None:
        """No process is left, nothing in the folder for temporary files, and no half-written file."""
        if not until(lambda: not self.processes()):
            raise Left(f"processes are left: {[command_of(pid) for pid in self.processes()]}")
        left = list(self.temporary.rglob("*"))
        left += list(self.folder.glob(".*"))
        if self.home.exists():
            left += list(self.home.rglob("*.new"))
            left += list((self.home / "cache" / "pack" / "work").glob("*"))
        if left:
            raise Left(f"files are left: {left}")

    def jobs(self, *arguments: str) -> list[dict[str, Any]]:
        """The jobs that there are, as `jobs list` says."""
        said = self.run("jobs", "list", "--name", "chaos", "--limit", "0", "--format", "json", *arguments)
        found = json.loads(said)
        assert isinstance(found, list)
        return found

    def build(self) -> None:
        self.run("build", "--plan", "plan.yml", "--stage", "test", "--yes")

    def works(self) -> None:
        """The stage, which is built and open, does a job."""
        said = self.run("submit", "--name", "chaos", "--bot", "first", "--payload", "1", "--wait", "60", "-q")
        if [json.loads(line)["outcome"] for line in said.splitlines()] != ["success", "success"]:
            raise Left(f"a job was not done:\n{said}")

    def submit(self, bot: str, count: int) -> None:
        """Submit `count` jobs."""
        lines = self.folder / "lines"
        lines.write_text("".join(f"{number}\n" for number in range(count)))
        self.run("submit", "--name", "chaos", "--bot", bot, "--lines", "lines")
        lines.unlink()

    def demolish(self) -> None:
        self.run("demolish", "--name", "chaos", "--yes")
        if json.loads(self.run("list", "--format", "json")):
            raise Left("a stage is left")


def descendants(pid: int) -> set[int]:
    """The processes below `pid`, whatever their sessions."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            about = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if about[0] != "Z":
                parents[int(entry.name)] = int(about[1])
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return f"{pid}, gone"


def until(reached: Callable[[], Any], patience: float = PATIENCE) -> bool:
    """Whether `reached` came true within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def pack(ground: Ground) -> Iterator[None]:
    """The next pack works, and clears away what the killed one left."""
    while True:
        if ground.random.random() < 0.5:
            shutil.rmtree(ground.home, ignore_errors=True)
        ground.kill("pack", "--plan", "plan.yml")
        ground.run("pack", "--plan", "plan.yml")
        ground.quiet()
        yield


def lock(ground: Ground) -> Iterator[None]:
    """plan.lock is there whole or not at all, and the next lock is the one that there would have been."""
    file = ground.folder / "plan.lock"
    ground.run("lock", "--plan", "plan.yml")
    whole = file.read_bytes()
    while True:
        if ground.random.random() < 0.7:
            file.unlink()
        ground.kill("lock", "--plan", "plan.yml", "--upgrade")
        if file.exists() and file.read_bytes() != whole:
            raise Left("plan.lock is neither the old nor the new one")
        ground.run("lock", "--plan", "plan.yml")
        if file.read_bytes() != whole:
            raise Left("plan.lock is another one")
        ground.quiet()
        yield


def build(ground: Ground) -> Iterator[None]:
    """A killed build is finished by the next one, or was finished."""
    ground.run("pack", "--plan", "plan.yml")
    while True:
        if ground.random.random() < 0.2:
            shutil.rmtree(ground.home, ignore_errors=True)
        ground.kill("build", "--plan", "plan.yml", "--stage", "test", "--yes")
        said = ground.run("build", "--plan", "plan.yml", "--stage", "test", "--yes", codes=(0, 1))
        if "does not run" in said:
            ground.run("resume", "--name", "chaos")
            ground.counts["resumed"] += 1
        elif "is built already and runs" in said:
            ground.counts["was built"] += 1
        elif "bots could not" in said or "cannot" in said:
            raise Left(said)
        ground.works()
        ground.demolish()
        ground.quiet()
        yield


def demolish(ground: Ground) -> Iterator[None]:
    """A killed demolish is finished by the next one; then the stage can be built again."""
    while True:
        ground.build()
        ground.submit("first", 20)
        ground.kill("demolish", "--name", "chaos", *ground.random.choice((["--cold"], [])), "--yes")
        ground.run("demolish", "--name", "chaos", "--yes", codes=(0, 1))
        if json.loads(ground.run("list", "--format", "json")):
            raise Left("a stage is left")
        ground.quiet()
        yield


def finished(ground: Ground, count: int) -> bool:
    """Whether that many jobs are done."""
    return len(ground.jobs("--outcome", "success")) >= count


def _with_jobs(ground: Ground, *command: str) -> Iterator[None]:
    ground.build()
    done = 0
    while True:
        ground.submit("first", 20)
        done += 40
        if command[0] == "resume":
            ground.run("stop", "--name", "chaos", *ground.random.choice((["--cold"], [])))
        ground.kill(*command, "--name", "chaos")
        ground.run("resume", "--name", "chaos")
        if not until(partial(finished, ground, done)):
            raise Left(f"jobs are lost: {Counter(job['state'] for job in ground.jobs())}, not {done} done")
        found = Counter(job["state"] for job in ground.jobs())
        if found != {"success": done}:
            raise Left(f"{found}, and not {done} done")
        yield
        if done > 400:
            ground.demolish()
            ground.quiet()
            ground.build()
            done = 0


def stop(ground: Ground) -> Iterator[None]:
    """After a killed stop the stage goes on and does every job once."""
    return _with_jobs(ground, "stop")


def resume(ground: Ground) -> Iterator[None]:
    """After a killed resume the next one lets the stage go on, and every job is done once."""
    return _with_jobs(ground, "resume")


def retry(ground: Ground) -> Iterator[None]:
    """A dead letter is retried or dead, and keeps its id, whatever happens to `jobs retry`."""
    ground.build()
    ground.submit("odd", 30)
    ids: set[str] = set()
    while True:
        if not until(lambda: len(ground.jobs("--outcome", "dead")) == 30):
            raise Left(f"dead letters are lost: {Counter(job['state'] for job in ground.jobs())}")
        ids = ids or {job["id"] for job in ground.jobs()}
        ground.kill("jobs", "retry", "--name", "chaos", "--all")
        ground.run("jobs", "retry", "--name", "chaos", "--all", codes=(0, 1))
        if {job["id"] for job in ground.jobs()} != ids:
            raise Left("dead letters have other ids")
        yield


def rescue(ground: Ground) -> Iterator[None]:
    """What a rescue would have saved is saved by the one after it, and the stage goes on."""
    while True:
        ground.build()
        ground.run("stop", "--name", "chaos")
        ground.submit("first", 200)
        ground.run("stop", "--name", "chaos", "--cold")
        (database,) = ground.home.glob("factories/*/*/queues/queues.sqlite3")
        damage(database)
        ground.kill("jobs", "rescue", "--name", "chaos", "--yes")
        ground.run("jobs", "rescue", "--name", "chaos", "--yes", codes=(0, 1))
        said = ground.run("jobs", "check", "--name", "chaos")
        if "nothing wrong" not in said:
            raise Left(said)
        ground.run("resume", "--name", "chaos")
        if not until(lambda: len(ground.jobs("--outcome", "success")) == 400):
            raise Left(f"jobs are lost: {Counter(job['state'] for job in ground.jobs())}")
        ground.demolish()
        ground.quiet()
        yield


def damage(database: Path) -> None:
    """Make an index of the database unreadable; every job can still be read."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'jobs_of_run'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\0" * size)


SCENES: dict[str, Callable[[Ground], Iterator[None]]] = {
    scene.__name__: scene for scene in (pack, lock, build, demolish, stop, resume, retry, rescue)
}


def run(folder: Path, scene: str, rounds: int, seed: int) -> Counter[str]:
    """Play a scene; what happened, counted. Left when something is lost, left over or broken."""
    if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    ground = Ground(folder, random.Random(f"{seed} {scene}"))  # noqa: S311 - moments, no secrets
    ground.prepare()
    try:
        play = SCENES[scene](ground)
        for number in range(rounds):
            try:
                next(play)
            except Left as left:
                raise Left(f"round {number + 1} of {scene}, seed {seed}: {left}") from left
        return ground.counts
    finally:
        for pid in ground.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not ground.processes(), 10)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("scenes", nargs="*", default=list(SCENES), metavar="SCENE", help=", ".join(SCENES))
    given = parser.parse_args()
    failed = 0
    for scene in given.scenes:
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            try:
                print(scene, dict(run(Path(folder), scene, given.rounds, given.seed)), flush=True)
            except Left as left:
                failed = 1
                print(f"{scene}: {left}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
