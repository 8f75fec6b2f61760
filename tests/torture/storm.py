"""A storm over a factory: a chain and a fan-out at work while processes are killed and suspended and the clock steps.

    python tests/torture/storm.py --seconds 600 --seed 7

Real processes throughout: a runner with its workers, a submitter, commands. SIGKILL hits workers, the runner (which is
resumed), its guardian, the submitter and the command that resumes; SIGSTOP holds workers and the runner for longer than
a lease; the wall clock steps, by up to a year, for all of them. Then everything is done to its end and judged
(`storm_oracle`). The seed decides what happens in which order; what it meets is up to the processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import storm_oracle
from stepping_clock import SteppingClock

import factory_cdk.worker
from factory_cdk.compile import compile_packed
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.build import build
from factory_cdk.lifecycle.local.drain import drain
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.plan.load import read_plan
from factory_cdk.queues.client import Search
from factory_cdk.state.runner_spec import Timings
from factory_cdk.state.stage_queues import open_queues
from factory_cdk.state.status import runner_pid

HERE = Path(__file__).parent
RUNNER = "factory_cdk.runner"
SHIM = str(Path(factory_cdk.worker.__file__).with_name("__main__.py"))
LEASE = 1.0
TEMPO = Timings(
    retry_first=0.02, retry_most=0.1, restart_first=0.05, restart_most=0.2, lease_most=LEASE, loop_deaths=10_000
)
FOLLOWING = {
    "split": ["press"],
    "press": ["copy", "count", "paint"],
    "paint": ["pack"],
    "pack": [],
    "count": [],
    "copy": [],
}
ARGUMENTS = {"press": {"processes": 2}, "paint": {"batch": 10}, "count": {"batch": 3}, "copy": {"timeout": 1}}
PLAN = {
    "name": "storm",
    "bots": {bot: {"source": {"path": "code"}, "bot_path": "storm_bots:work"} for bot in FOLLOWING},
    "stages": {
        "test": {
            "workflow": "flow",
            "here": {
                "type": "local",
                "bots": {bot: {"max-attempts": 1000, **ARGUMENTS.get(bot, {})} for bot in FOLLOWING},
            },
        }
    },
    "workflows": {"flow": {"split": {"press": [{"paint": "pack"}, "count", "copy"]}}},
}
CALM = 0.2
"""The share of the time, at its start, in which nothing but workers in the middle of a job is killed, one at a time."""

COLD = "end runner cold"

EVENTS = {
    "kill worker": 30,
    "kill submitter": 6,
    "kill runner": 5,
    "kill guardian": 1,
    "kill command": 3,
    "end runner": 2,
    "stop": 2,
    "suspend worker": 6,
    "suspend runner": 3,
    "suspend submitter": 2,
    "step clock": 8,
}
"""What happens, and how often compared with the rest."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a storm came to: its faults (none, if all is well), what happened how often, and how many milliseconds after
    a worker was killed in the calm its job ran again, sorted.
    """

    seed: int
    faults: tuple[str, ...]
    counts: Mapping[str, int]
    again: tuple[float, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}", *(f"{count:8} {what}" for what, count in self.counts.items())]
        if found := self.again:
            p50, p99 = (found[int(len(found) * share)] for share in (0.5, 0.99))
            lines.append(f"jobs of {len(found)} killed workers ran again after {p50:.1f} ms p50, {p99:.1f} ms p99")
        return "\n".join([*lines, *(f"FAULT: {fault}" for fault in self.faults)])


@dataclass
class Storm:
    """The storm over the factory under `folder`; `happened` is what was done to it, with the time (monotonic)."""

    folder: Path
    seed: int
    clock: SteppingClock
    happened: list[tuple[float, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.notes = self.folder / "home", self.folder / "notes"
        self.notes.mkdir()
        self.environ = {
            **os.environ,
            **self.clock.variables,
            "FACTORY_CDK_HOME": str(self.home),
            "STORM_NOTES": str(self.notes),
        }
        self._dice = random.Random(self.seed)  # noqa: S311
        self._suspended: list[tuple[float, int]] = []
        self._submitter: subprocess.Popen[bytes] | None = None
        self._command: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        """Build the factory, for processes that see the stepping clock."""
        code = self.folder / "code"
        code.mkdir()
        (code / "storm_bots.py").write_text((HERE / "storm_bots.py").read_text())
        plan = self.folder / "plan.yml"
        plan.write_text(json.dumps({"factory": PLAN}))
        design = compile_packed(read_plan(str(plan)), "test", cache=self.home / "cache" / "pack")
        with environment(self.environ):
            build(design, BuildOptions(self.home, timings=TEMPO), lambda line: None)
        self.state = factory.find(self.home, "storm").folder

    def rage(self, seconds: float) -> None:
        """Let it happen, for so long."""
        start = time.monotonic()
        while (passed := time.monotonic() - start) < seconds:
            self._look_after()
            if passed < seconds * CALM:
                self._do("kill busy")
                time.sleep(self._dice.uniform(0.2, 0.4))
            else:
                (event,) = self._dice.choices(list(EVENTS), list(EVENTS.values()))
                self._do(event)
                time.sleep(self._dice.choice([0, 0.02, 0.1, 0.4]))

    def calm_down(self, patience: float) -> None:
        """End the submitter in order, and let everything be done that is left. FactoryError when it is not, in time."""
        if self._submitter is None or self._submitter.poll() is not None:
            self._submitter = self._start_submitter()
        self._resume_suspended(all_of_them=True)
        self._submitter.terminate()
        self._submitter.wait()
        if self._command:
            self._command.wait()
        self._call("resume")
        drain(factory.find(self.home, "storm"), lambda line: None, patience)

    def judge(self) -> Report:
        """What it came to; the factory is drained."""
        notes = storm_oracle.read_notes(self.notes)
        with open_queues(self.state) as queues:
            records = queues.history.find(Search())
        cold = [(when, self._ended_by(when)) for when, what, _ in self.happened if what == COLD]
        found = storm_oracle.faults(notes, records, FOLLOWING, cold)
        offsets = {round((begin.wall - begin.moment) / 10) for begin in notes.begins}
        started = {round((record.finished or 0) / 3600) for record in records}
        counts = Counter(what for _, what, _ in self.happened)
        counts |= {
            "jobs acknowledged": len(notes.acknowledged),
            "jobs done": len(records),
            "attempts begun": len(notes.begins),
            "attempts lost": sum(len(record.failures) for record in records),
            "clocks of workers": len(offsets),
            "hours on the runner's clock": len(started),
        }
        return Report(self.seed, tuple(found), counts, tuple(sorted(self._latencies(notes))))

    def _ended_by(self, told: float) -> float:
        """When a runner that was told to end had ended: it may have been suspended, and was resumed only afterwards."""
        return min((when for when, what, _ in self.happened if what == "command resume" and when > told))

    def save(self) -> None:
        """Keep what demolishing would take away."""
        (self.folder / "happened.json").write_text(json.dumps(self.happened, indent=0))
        shutil.copytree(self.state.logs, self.folder / "logs")

    def demolish(self) -> list[str]:
        """Take it down; which of its processes are left, if any."""
        self._call("demolish", "--yes")
        return [
            f"process {process} is left"
            for process in {int(file.name.partition(".")[0]) for file in self.notes.glob("*.notes")}
            if SHIM in _command_line(process)
        ]

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        for process in (self._submitter, self._command):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self._resume_suspended(all_of_them=True)
        while self.state.path.exists() and (runner := runner_pid(self.state)) is not None:
            _send(runner, signal.SIGKILL)  # its guardian ends the workers
            time.sleep(0.01)

    # What happens

    def _do(self, event: str) -> None:
        verb, _, whom = event.partition(" ")
        if verb == "step":
            self.clock.step(self._dice.choice([-1, 1]) * self._dice.choice([2, 60, 3600, 86400, 365 * 86400]))
        elif verb == "stop":
            if self._command is None:
                self._command = self._start_command("stop")
        elif (process := self._process(whom)) is None:
            return
        elif verb == "suspend":
            if _send(process, signal.SIGSTOP):
                longer = self._dice.uniform(0.1, 1.0) if whom == "submitter" else LEASE * self._dice.uniform(1.2, 2.5)
                self._suspended.append((time.monotonic() + longer, process))
        else:
            if (event, process) in [before[1:] for before in self.happened]:
                event = COLD  # a second SIGTERM: jobs in hand go back as if they had not been begun
            self.happened.append((time.monotonic(), event, process))
            _send(process, signal.SIGKILL if verb == "kill" else signal.SIGTERM)
            return
        self.happened.append((time.monotonic(), event, 0))

    def _process(self, whom: str) -> int | None:
        """A process of that kind that lives."""
        if whom in ("submitter", "command"):
            found = self._submitter if whom == "submitter" else self._command
            return found.pid if found and found.poll() is None else None
        runner = runner_pid(self.state)
        if not runner or whom == "runner":
            return runner or None
        children = _children(runner)
        workers = [child for child in children if SHIM in _command_line(child)]
        found = {
            "worker": workers,
            "busy": [worker for worker in workers if self._is_busy(worker)],
            "guardian": [parent for parent in [_parent(runner)] if RUNNER in _command_line(parent)],
        }[whom]
        return self._dice.choice(found) if found else None

    def _is_busy(self, worker: int) -> bool:
        """Whether the worker noted last that it began something."""
        lines = [line for file in self.notes.glob(f"{worker}.*.notes") for line in file.read_text().splitlines()]
        return bool(lines) and lines[-1].startswith("begin")

    def _look_after(self) -> None:
        """Start again what is gone, and let go on what was suspended for long enough."""
        self._resume_suspended()
        if self._submitter is None or self._submitter.poll() is not None:
            self._submitter = self._start_submitter()
        if self._command and self._command.poll() is not None:
            self._command = None
        if self._command is None and factory.find(self.home, "storm").state not in ("running", "stopping"):
            self._command = self._start_command("resume")

    def _resume_suspended(self, *, all_of_them: bool = False) -> None:
        now = time.monotonic()
        for due, process in list(self._suspended):
            if all_of_them or due <= now:
                self._suspended.remove((due, process))
                _send(process, signal.SIGCONT)

    def _start_submitter(self) -> subprocess.Popen[bytes]:
        command = [str(HERE / "storm_submitter.py"), str(self.home), str(self.notes), str(self._dice.random())]
        return subprocess.Popen([sys.executable, *command], env=self.environ)

    def _start_command(self, verb: str, *options: str) -> subprocess.Popen[bytes]:
        self.happened.append((time.monotonic(), f"command {verb}", 0))
        command = [sys.executable, "-m", "factory_cdk", verb, "--name", "storm", *options]
        with (self.folder / "commands.log").open("ab") as log:
            return subprocess.Popen(command, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _call(self, verb: str, *options: str) -> None:
        code = self._start_command(verb, *options).wait()
        assert code == 0, f"{verb} ended with {code}:\n{(self.folder / 'commands.log').read_text()[-2000:]}"

    def _latencies(self, notes: storm_oracle.Notes) -> Iterator[float]:
        """Milliseconds from killing a worker in the calm to the next beginning of the job that it had begun."""
        for killed, what, process in self.happened:
            if what != "kill busy":
                continue
            begun = [begin for begin in notes.begins if begin.process == process and begin.moment < killed]
            if begun and (begun[-1].job, begun[-1].attempt) not in {*notes.ends, *notes.fails}:
                job = begun[-1].job
                again = min(begin.moment for begin in notes.begins if begin.job == job and begin.moment > killed)
                yield (again - killed) * 1000


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _parent(process: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _command_line(process: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def _send(process: int, number: signal.Signals) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)
        return True
    return False


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with `variables`, for processes that are started inside."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(folder: Path, seconds: float, seed: int) -> Report:
    """A storm of so many seconds over a factory in `folder`, and what it came to."""
    storm = Storm(folder, seed, SteppingClock(folder))
    storm.build()
    try:
        storm.rage(seconds)
        storm.calm_down(60 + 2 * seconds)
        report = storm.judge()
        storm.save()
        left = storm.demolish()
    finally:
        storm.end()
    return replace(report, faults=(*report.faults, *left))


def main() -> int:
    """Run and print; 1 when anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="a new folder to leave everything in")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    if arguments.keep:
        arguments.keep.mkdir()
        report = run(arguments.keep.absolute(), arguments.seconds, seed)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report = run(Path(folder), arguments.seconds, seed)
    print(report)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
