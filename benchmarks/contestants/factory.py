"""A local factory, built and run as a user's would be: chains, an idle chain, and what it uses while idle."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from factory_cdk.home import VARIABLE
from factory_cdk.jobs.submit import open_queues
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.queues.client import Search
from factory_cdk.state.status import read_status, runner_pid

CHAIN = ("a", "b", "c")
NAME, STAGE = "bench", "chains"

ADD = "def add(number):\n    return number + 1\n"


def write_plan(folder: Path, bots: Sequence[str], processes: int, batch: int, code: str, target: str) -> Path:
    """A plan of `bots`, one after the other in a workflow, each of which is the `target` of `code`; its file."""
    (folder / "code").mkdir()
    (folder / "code" / "bot.py").write_text(code)
    source = {"source": {"path": "code"}, "bot_path": f"bot:{target}"}
    workflow: object = bots[-1]
    for bot in reversed(bots[:-1]):
        workflow = {bot: workflow}
    plan = {
        "name": NAME,
        "bots": dict.fromkeys(bots, source),
        "workflows": {"chain": workflow if isinstance(workflow, dict) else [workflow]},
        "stages": {
            STAGE: {
                "workflow": "chain",
                "here": {"type": "local", "bots": {bot: {"processes": processes, "batch": batch} for bot in bots}},
            }
        },
    }
    path = folder / "plan.yml"
    path.write_text(json.dumps({"factory": plan}))
    return path


@dataclass(frozen=True)
class Chains:
    """How a round of chains went: chains per second, and the microseconds of CPU per chain of runner and workers."""

    per_second: float
    runner_us: float
    workers_us: float


@dataclass(frozen=True)
class Idle:
    """What an idle factory uses: CPU in percent of one core, and the megabytes of the runner and of each worker
    (proportional and unique set sizes).
    """

    cpu_percent: float
    megabytes: dict[str, tuple[float, float]]
    workers: int


class Running:
    """A factory under `folder`, by the command line: built, and demolished at the end."""

    def __init__(
        self,
        folder: Path,
        bots: Sequence[str] = CHAIN,
        processes: int = 1,
        batch: int = 1,
        *,
        code: str = ADD,
        target: str = "add",
    ) -> None:
        self.home = folder / "home"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),  # compiled once, as what pip installs
            VARIABLE: str(self.home),
        }
        self._plan = write_plan(folder, bots, processes, batch, code, target)

    def build(self) -> float:
        """Seconds from the start of `build` until it returns: every bot is ready then."""
        begun = time.perf_counter()
        self._command("build", "--plan", str(self._plan), "--stage", STAGE)
        return time.perf_counter() - begun

    def demolish(self) -> None:
        """Take it down."""
        self._command("demolish", "--name", NAME, "--yes")

    def __enter__(self) -> Running:
        self.build()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.demolish()

    def chains(self, count: int) -> Chains:
        """Submit `count` chains to a closed gate, and open it; measured from the first job's start to the last one's
        end, as the history has them.
        """
        factory.stop(self.home, NAME, None, lambda line: None)
        run = factory.submit(self.home, NAME, None, "a", range(count)).run
        before = self._cpu_seconds()
        factory.resume(self.home, NAME, None, lambda line: None)
        with open_queues(factory.find(self.home, NAME).folder) as queues:
            while queues.history.remaining(run):
                time.sleep(0.01)
            records = queues.history.find(Search(run=run))
        begun = min(record.first_started or 0 for record in records)
        ended = max(record.finished or 0 for record in records)
        runner, workers = (after - earlier for after, earlier in zip(self._cpu_seconds(), before, strict=True))
        return Chains(count / (ended - begun), 1e6 * runner / count, 1e6 * workers / count)

    def latencies(self, count: int) -> list[tuple[float, float]]:
        """Milliseconds from before a submission until it is on disk, and until its last result is read; one chain at
        a time, idle between.
        """
        found = []
        for _ in range(count):
            time.sleep(0.02)
            begun = time.perf_counter()
            run = factory.submit(self.home, NAME, None, "a", [0]).run
            durable = time.perf_counter()
            last = [record.result for record in factory.wait(self.home, NAME, None, run)]
            assert last[-1] == len(CHAIN)
            found.append(((durable - begun) * 1000, (time.perf_counter() - begun) * 1000))
        return found

    def idle(self, seconds: float) -> Idle:
        """What it uses while nothing happens for `seconds`."""
        runner = self.runner
        everybody = [runner, *_children(runner)]
        before = sum(_cpu_seconds(pid) for pid in everybody)
        begun = time.perf_counter()
        time.sleep(seconds)
        used = (sum(_cpu_seconds(pid) for pid in everybody) - before) / (time.perf_counter() - begun)
        workers = self._worker_pids()
        megabytes = {"runner": _megabytes([runner]), "worker": _megabytes(workers)}
        return Idle(100 * used, megabytes, len(workers))

    def _command(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "factory_cdk", *arguments]
        said = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr

    @property
    def runner(self) -> int:
        """The process id of its runner."""
        pid = runner_pid(factory.find(self.home, NAME).folder)
        assert pid, "the runner does not run"
        return pid

    def _worker_pids(self) -> list[int]:
        status = read_status(factory.find(self.home, NAME).folder)
        assert status
        return [worker.pid for worker in status.workers if worker.pid]

    def _cpu_seconds(self) -> tuple[float, float]:
        """What the runner and all workers have used so far."""
        return _cpu_seconds(self.runner), sum(_cpu_seconds(pid) for pid in self._worker_pids())


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process, by its CPU clock (clock_getcpuclockid(3)): /proc counts ticks of 10 ms, and an
    idle runner uses one of them in ten seconds.
    """
    return time.clock_gettime((~pid << 3) | 2)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _megabytes(pids: Sequence[int]) -> tuple[float, float]:
    """The median proportional and unique set size of some processes."""
    sizes = []
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        kilobytes = {name.rstrip(":"): int(value) for name, value, *_ in (line.split() for line in lines)}
        sizes.append((kilobytes["Pss"] / 1024, (kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]) / 1024))
    return statistics.median(pss for pss, _ in sizes), statistics.median(uss for _, uss in sizes)
