"""The local factory beside what it could be compared with, in one run: throughput, latency, idling, starting.

    python benchmarks/local_factory.py [--rounds 3] [--chains 6000] [--quick] [--without celery] [--json FILE]

A chain is three jobs, a → b → c, each of which adds one; all chains are submitted, durably, before the clock starts.
The contestants take turns, round by round, and medians are reported, so that a noisy machine disturbs all alike:
a direct call; the floor (contestants/floor.py), a SQLite loop of 60 lines without a process boundary, and the same
with worker processes; our queue engine alone; the factory; huey (SqliteHuey, each commit synced, and none); celery on
redis (acks_late). Each has as many worker processes as the factory. CPU is what the factory's processes use per chain.
`batch` is how many jobs of each bot the loops take in a transaction, how many a worker of the factory is handed at
once at least (quick jobs are handed over ahead of it, runner/slot.py), and celery's prefetch multiplier.

huey, celery and redis-py come with the extra `bench` (pip install -e '.[bench]'), redis itself from the system
(Debian, Ubuntu: apt-get install redis-server); who is missing is named and left out. Linux alone: it reads /proc.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contestants import direct, engine, floor, kills, others
from contestants.factory import Chains, Running
from figures import Figure, as_text, machine, write_json

DIRECT = "direct call"
FLOOR = "floor: plain loop"
SERVED = "floor: worker processes"
ENGINE = "engine alone"
FACTORY = "factory"
HUEY = "huey, fsync"
CELERY = "celery on redis"
OPTIONAL = ("huey", "celery")
BATCHES = (1, 10)
MANY = 20


@dataclass
class Entry:
    """A contestant with `workers` per bot (None: it has none) and `batch` jobs at once (None: it knows no such thing).

    `seconds` runs so many chains in a folder; `share` of the chains is enough for it.
    """

    name: str
    workers: int | None
    batch: int | None
    seconds: Callable[[Path, int], float]
    share: float = 1.0
    per_second: list[float] = field(default_factory=list)
    cpu: list[Chains] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Chains per second, the median of the rounds."""
        return statistics.median(self.per_second)

    def run(self, folder: Path | None, chains: int) -> None:
        """One round."""
        count = max(20, int(chains * self.share))
        with tempfile.TemporaryDirectory(dir=folder) as own:
            self.per_second.append(count / self.seconds(Path(own), count))


def entries(workers: Sequence[int], without: Sequence[str]) -> list[Entry]:
    """Everybody who takes part."""
    found = [Entry(DIRECT, None, None, lambda _, n: direct.calls(n))]
    for batch in BATCHES:
        found += [
            Entry(FLOOR, None, batch, lambda at, n, batch=batch: floor.plain(at, n, batch)),
            Entry(ENGINE, None, batch, lambda at, n, batch=batch: engine.fused(at, n, batch)),
        ]
    for many in workers:
        for batch in BATCHES:
            run = lambda at, n, m=many, b=batch: floor.with_processes(at, n, m, b)  # noqa: E731
            found.append(Entry(SERVED, many, batch, run))
            found.append(_factory_entry(many, batch))
        if "huey" not in without:
            for name, fsync in ((HUEY, True), ("huey, no sync at all", False)):
                run = lambda at, n, m=many, f=fsync: others.huey(at, n, 3 * m, fsync=f)  # noqa: E731
                found.append(Entry(name, many, None, run, share=0.1))
        if "celery" not in without:
            for batch in BATCHES:
                run = lambda at, n, m=many, b=batch: others.celery(at, n, 3 * m, b)  # noqa: E731
                found.append(Entry(CELERY, many, batch, run, share=0.1))
    return found


def _factory_entry(workers: int, batch: int) -> Entry:
    cpu: list[Chains] = []

    def seconds(folder: Path, chains: int) -> float:
        with Running(folder, processes=workers, batch=batch) as running:
            running.chains(max(20, chains // 10))  # warm
            measured = running.chains(chains)
        cpu.append(measured)
        return chains / measured.per_second

    return Entry(FACTORY, workers, batch, seconds, cpu=cpu)


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    found = sorted(values)
    return statistics.median(found), found[int(len(found) * 0.99)]


def latencies(folder: Path | None, count: int) -> list[Figure]:
    """Milliseconds of a chain through an idle factory, beside a durable submission and a bare fsync."""
    with tempfile.TemporaryDirectory(dir=folder) as own, Running(Path(own)) as running:
        running.latencies(max(5, count // 10))  # warm
        measured = running.latencies(count)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        submission = quantiles([1000 * one for one in engine.submissions(Path(own), count)])[0]
        sync = quantiles([1000 * one for one in engine.syncs(Path(own), count)])[0]
    p50, p99 = quantiles([done for _, done in measured])
    submitted = quantiles([durable for durable, _ in measured])[0]
    parts = f"of which {submitted:.2f} ms to submit it ({submission:.2f} ms in the engine; a bare fsync {sync:.2f} ms)"
    return [
        Figure("a chain through an idle factory, p50", p50, "ms", 5, beside=f"submission to last result, {parts}"),
        Figure("the same, p99", p99, "ms"),
    ]


def killed(folder: Path | None, count: int) -> Figure:
    """Milliseconds from a worker's SIGKILL until its job runs again."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        p50, p99 = quantiles(kills.milliseconds(Path(own), count))
    return Figure("a killed worker's job runs again, p99", p99, "ms", 100, beside=f"p50 {p50:.1f} ms, {count} kills")


def idling(folder: Path | None, bots: int, seconds: float) -> list[Figure]:
    """What a factory of so many bots with a worker each uses while nothing happens."""
    with tempfile.TemporaryDirectory(dir=folder) as own, Running(Path(own), names(bots)) as running:
        running.idle(min(2, seconds))  # what starting leaves to be done comes before
        idle = running.idle(seconds)
    who = f"of a core: {idle.workers} workers and the runner, {seconds:g} s"
    found = [Figure(f"CPU of {idle.workers} idle workers", idle.cpu_percent, "%", 0.5, beside=who)]
    return found + [
        Figure(f"memory of {'the' if name == 'runner' else 'each'} {name}", pss, "MB", beside=f"PSS; USS {uss:.1f} MB")
        for name, (pss, uss) in idle.megabytes.items()
    ]


def readiness(folder: Path | None, bots: int, rounds: int) -> Figure:
    """Seconds of `build` of so many bots, the whole command, with the environments and code of a build before."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        running = Running(Path(own), names(bots))
        found = []
        for _ in range(rounds + 1):
            found.append(running.build())
            running.demolish()
    many = f"{bots} bot{'s' * (bots != 1)}"
    goal = 1.5 if bots > 1 else None
    return Figure(
        f"`build` of {many}, environments cached", statistics.median(found[1:]), "s", goal, beside="until ready"
    )


def names(bots: int) -> list[str]:
    """The names of so many bots."""
    return [f"bot{number}" for number in range(1, bots + 1)]


def comparison(measured: Sequence[Entry]) -> list[Figure]:
    """The factory beside everybody else."""
    rates = {(entry.name, entry.workers, entry.batch): entry.rate for entry in measured}
    found = [
        Figure(
            f"chains, engine alone, batch {batch}",
            rates[ENGINE, None, batch] / rates[FLOOR, None, batch],
            "x",
            beside=f"{rates[ENGINE, None, batch]:,.0f} chains/s, beside the floor's {rates[FLOOR, None, batch]:,.0f}",
        )
        for batch in BATCHES
    ]
    for entry in measured:
        if entry.name != FACTORY:
            continue
        case = f"{entry.workers} worker{'s' * (entry.workers != 1)} per bot, batch {entry.batch}"
        plain, served = rates[FLOOR, None, entry.batch], rates[SERVED, entry.workers, entry.batch]
        beside = f"{entry.rate:,.0f} chains/s, beside the floor's {plain:,.0f} (with worker processes {served:,.0f})"
        found.append(Figure(f"chains, {case}", entry.rate / plain, "x", 0.5, at_least=True, beside=beside))
        for name, batch, goal in ((HUEY, None, 2), (CELERY, entry.batch, 10)):
            other = rates.get((name, entry.workers, batch))
            if other is not None:
                ratio = entry.rate / other
                beside = f"{other:,.0f} chains/s"
                found.append(Figure(f"… beside {name}", ratio, "x", goal, at_least=True, beside=beside))
    return found


def as_rows(measured: Sequence[Entry]) -> str:
    """Every contestant, as a table for a terminal."""
    floors = {entry.batch: entry.rate for entry in measured if entry.name == FLOOR}
    rows = [f"{'chains':26}{'per bot':>8}{'batch':>6}{'chains/s':>10}{'of floor':>10}   CPU per chain"]
    for entry in measured:
        ratio = "" if entry.name == DIRECT else f"{entry.rate / floors[entry.batch or 1]:.3f}"
        cpu = ""
        if entry.cpu:
            runner = statistics.median(one.runner_us for one in entry.cpu)
            workers = statistics.median(one.workers_us for one in entry.cpu)
            cpu = f"   runner {runner:.0f} us, workers {workers:.0f} us"
        rows.append(
            f"{entry.name:26}{entry.workers or '-':>8}{entry.batch or '-':>6}{entry.rate:10.0f}{ratio:>10}{cpu}"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of each contestant (default 3)")
    parser.add_argument(
        "--chains", type=int, default=6000, help="of a round (default 6000); a tenth for huey and celery"
    )
    parser.add_argument(
        "--quick", action="store_true", help="once and little of everything: that it runs, not how fast"
    )
    parser.add_argument("--without", nargs="+", choices=OPTIONAL, default=[], help="leave these out")
    parser.add_argument("--folder", type=Path, help="where databases go (a real disk; default: the system's)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    quick = chosen.quick
    rounds = 1 if quick else chosen.rounds
    absent = {name: reason for name, reason in others.missing().items() if name not in chosen.without}
    for name, reason in absent.items():
        print(f"{name} is left out: {reason}")
    measured = entries((1,) if quick else (1, 4), [*chosen.without, *absent])
    for number in range(1, rounds + 1):
        for entry in measured:
            if sys.stderr.isatty():
                print(f"\r\033[Kround {number}: {entry.name}", end="", file=sys.stderr)
            entry.run(chosen.folder, 40 if quick else chosen.chains)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    many = 2 if quick else MANY
    found = [
        *comparison(measured),
        *latencies(chosen.folder, 5 if quick else 200),
        killed(chosen.folder, 1 if quick else 20),
        *idling(chosen.folder, many, 1 if quick else 10),
        *(readiness(chosen.folder, bots, 1 if quick else 5) for bots in ((many,) if quick else (1, many))),
    ]
    print(f"{machine()}; medians of {rounds} {'rounds' if rounds > 1 else 'round'}\n")
    print(f"{as_rows(measured)}\n\n{as_text(found)}")
    if chosen.json:
        write_json(chosen.json, found)


if __name__ == "__main__":
    main()
