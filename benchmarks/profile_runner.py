"""Where the time of a local factory's runner goes, per chain: a sampling profile (py-spy) of chains a → b → c.

    python benchmarks/profile_runner.py [--workers 1] [--batch 1] [--chains 20000] [--folder FOLDER]

The factory is the one of benchmarks/local_factory.py; py-spy looks 500 times a second at the line that its runner is
at. A commit writes to the log and, every 2000 pages, moves it into the database and waits for the disk. On a busy
machine the parts include waits for a core.

py-spy comes with the extra `bench` (pip install -e '.[bench]'). Where the system lets nobody look into a process that
is not a child of theirs (Ubuntu: kernel.yama.ptrace_scope), it needs root.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contestants.factory import Running
from figures import machine

RATE = 500
"""Samples per second."""

LINES = 12
"""So many of the lines at which it is most are shown."""

PARTS = {
    "Writing.__enter__": "queues: beginning a transaction",
    "Writing.begin_at_once": "queues: beginning a transaction",
    "Writing.__exit__": "queues: commits, and the disk",
    "QueueFile.checkpoint": "queues: checkpoints, in a thread",
    "Steps._insert": "queues: sending on (SQLite)",
    "Steps._settle": "queues: finishing (SQLite)",
    "Steps._claim": "queues: claiming (SQLite)",
    "SqliteQueues.settle_and_claim": "queues: the rest, in Python",
    "WorkerProcess._read_messages": "what workers say: sockets, frames, hands, routes",
    "WorkerProcess._read_output": "what bots print",
    "QueueExchange._give": "jobs for workers: hands, frames",
    "WorkerProcess.send": "jobs for workers: sockets",
    "Runner._publish": "the status",
}
"""What a function is a part of, with all that it calls and that is no part of its own."""

OTHER = "the loop, and the rest"


@contextmanager
def sampling(tool: str, pid: int, samples: Path) -> Iterator[None]:
    """Let py-spy look at a process meanwhile, and write to `samples` what it saw."""
    command = [tool, "record", "--pid", str(pid), "--rate", str(RATE), "--nonblocking", "--duration", "86400"]
    with subprocess.Popen(
        [*command, "--format", "raw", "--output", str(samples)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        said = process.stdout.readline()  # that it looks, or why not
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            said += process.stdout.read()
    if not samples.exists():
        sys.exit(f"py-spy: {said.strip()}")


def busy(samples: Path) -> list[tuple[list[str], int]]:
    """The stacks of the runner's loop, outermost function first, and how often each was seen; without its waits."""
    found = []
    for line in samples.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        if "_run_once" in stack and "select (selectors.py" not in stack:
            found.append((stack.split(";"), int(count)))
    return found


def part(stack: Iterable[str]) -> str:
    """The part that a stack belongs to: that of its innermost function that has one."""
    names = (frame.partition(" (")[0] for frame in reversed(list(stack)))
    return next((PARTS[name] for name in names if name in PARTS), OTHER)


def table(counts: Counter[str], microseconds: float, most: int | None = None) -> str:
    """Rows of microseconds per chain, for samples of so many each, and of their share."""
    total = sum(counts.values())
    return "\n".join(
        f"{count * microseconds:8.1f} us {count / total:6.1%}  {what}" for what, count in counts.most_common(most)
    )


def main() -> None:
    """Profile, and print where the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, help="per bot (default 1)")
    parser.add_argument("--batch", type=int, default=1, help="jobs that a worker is handed at once (default 1)")
    parser.add_argument("--chains", type=int, default=20000, help="(default 20000)")
    parser.add_argument("--folder", type=Path, help="where the database goes (a real disk; default: the system's)")
    chosen = parser.parse_args()
    tool = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if tool is None:
        sys.exit("py-spy is missing: pip install -e '.[bench]'")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as own:
        samples = Path(own) / "samples"
        with Running(Path(own), processes=chosen.workers, batch=chosen.batch) as running:
            running.chains(max(20, chosen.chains // 10))  # warm
            with sampling(tool, running.runner, samples):
                measured = running.chains(chosen.chains)
        stacks = busy(samples)
    microseconds = 1e6 / RATE / chosen.chains
    parts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for stack, count in stacks:
        parts[part(stack)] += count
        lines[stack[-1]] += count
    at_work = sum(parts.values()) * microseconds
    took = f"{1e6 / measured.per_second:.1f} us of a chain (CPU: {measured.runner_us:.1f} us)"
    print(f"{machine()}; {chosen.workers} per bot, batch {chosen.batch}: {measured.per_second:,.0f} chains/s")
    print(f"the runner is at work for {at_work:.1f} of the {took}:\n")
    print(f"{table(parts, microseconds)}\n\nthe lines at which it is most:\n\n{table(lines, microseconds, LINES)}")


if __name__ == "__main__":
    main()
