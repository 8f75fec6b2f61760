"""How fast jobs go through a local factory: a -> b -> c, each adding one.

Prints one row per case: the queue engine alone in a loop (what a runner cannot beat), the runner with 1 and 4
workers per bot, with 1 and 10 jobs handed over at a time, and the latency of a chain through an idle factory.
Everything in one run on one machine; each case is the best of several rounds, since others may use it too.

    python benchmarks/runner_chains.py [--chains 2000] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from factory_cdk.local import factory
from factory_cdk.local.building import Order, build
from factory_cdk.local.submission import open_queues
from factory_cdk.pack.compiling import design_packed
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Successor
from factory_cdk.queues.port import Finished, Job, Lease, Outcome, Wanted
from factory_cdk.queues.sqlite import SqliteQueues
from factory_cdk.workflow.router import forwards

CHAIN = ("a", "b", "c")
NEXT = {"a": (Successor("b", "b", "here"),), "b": (Successor("c", "c", "here"),), "c": ()}


def engine_alone(chains: int, batch: int) -> float:
    """Chains per second of a loop that claims, adds one and settles, `batch` jobs per transaction."""
    with tempfile.TemporaryDirectory() as folder, SqliteQueues(Path(folder) / "queues.sqlite3") as queues:
        queues.send("a", [Job(f"j{number}", "a", 0, "run") for number in range(chains)])
        started = time.perf_counter()
        wanted = [Wanted(queue, batch, 60.0) for queue in reversed(CHAIN)]
        leases: list[Lease] = []
        done = 0
        while done < chains:
            settled = [_plus_one(lease) for lease in leases]
            done += sum(lease.queue == "c" for lease in leases)
            _, leases = queues.exchange(settled, wanted[:1] if batch == 1 and leases else wanted)
            if batch == 1 and not leases and done < chains:
                _, leases = queues.exchange((), wanted)
        return chains / (time.perf_counter() - started)


def _plus_one(lease: Lease) -> Finished:
    result = lease.job.payload + 1
    return Finished(lease, forwards(NEXT[lease.queue], lease.job, Outcome.SUCCESS, result), result)


class Running:
    """A factory of three bots, built in a folder of its own."""

    def __init__(self, folder: Path, processes: int, batch: int) -> None:
        code = folder / "code"
        code.mkdir()
        (code / "adding.py").write_text("def add(number):\n    return number + 1\n")
        source = {"source": {"path": "code"}, "bot_path": "adding:add"}
        sector = {"type": "local", "bots": {bot: {"processes": processes, "batch": batch} for bot in CHAIN}}
        plan = {
            "name": "bench",
            "bots": dict.fromkeys(CHAIN, source),
            "workflows": {"chain": {"a": {"b": "c"}}},
            "stages": {"chains": {"workflow": "chain", "here": sector}},
        }
        (folder / "plan.yml").write_text(json.dumps({"factory": plan}))
        self.home = folder / "home"
        design = design_packed(read_plan(str(folder / "plan.yml")), "chains", cache=self.home / "cache" / "pack")
        build(design, Order(self.home), lambda line: None)
        self.state = factory.find(self.home, "bench").state

    def chains_per_second(self, chains: int) -> float:
        """Submit `chains` at once; from then until the last is done."""
        factory.stop(self.home, "bench", None, lambda line: None)
        run = factory.submit(self.home, "bench", None, "a", [0] * chains).run
        started = time.perf_counter()
        factory.resume(self.home, "bench", None, lambda line: None)
        with open_queues(self.state) as queues:
            while queues.history.remaining(run):
                time.sleep(0.005)
        return chains / (time.perf_counter() - started)

    def latencies(self, chains: int) -> list[tuple[float, float]]:
        """Milliseconds from before a submission until it is on disk and until its last result is read, one chain
        at a time, idle between.
        """
        found = []
        for _ in range(chains):
            time.sleep(0.02)
            started = time.perf_counter()
            run = factory.submit(self.home, "bench", None, "a", [0]).run
            durable = time.perf_counter()
            for _ in factory.wait(self.home, "bench", None, run):
                pass
            found.append(((durable - started) * 1000, (time.perf_counter() - started) * 1000))
        return found

    def demolish(self) -> None:
        """Take it down."""
        factory.demolish(factory.find(self.home, "bench"), lambda line: None, lambda left: True)


def measure(chains: int, rounds: int) -> list[dict[str, Any]]:
    """One row per case."""
    rows: list[dict[str, Any]] = [
        {
            "case": f"engine alone, {batch} per transaction",
            "chains_per_second": round(max(engine_alone(chains, batch) for _ in range(rounds))),
        }
        for batch in (1, 10)
    ]
    for processes in (1, 4):
        for batch in (1, 10):
            with tempfile.TemporaryDirectory() as folder:
                running = Running(Path(folder), processes, batch)
                try:
                    best = max(running.chains_per_second(chains) for _ in range(rounds))
                    row = {"case": f"runner, {processes} per bot, batch {batch}", "chains_per_second": round(best)}
                    if processes == batch == 1:
                        latencies = running.latencies(200)
                        row["submit_p50_ms"] = round(statistics.median(durable for durable, _ in latencies), 2)
                        milliseconds = sorted(done for _, done in latencies)
                        row["idle_p50_ms"] = round(statistics.median(milliseconds), 2)
                        row["idle_p99_ms"] = round(milliseconds[int(len(milliseconds) * 0.99)], 2)
                    rows.append(row)
                finally:
                    running.demolish()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments.chains, arguments.rounds)
    if arguments.json:
        print(json.dumps({"cores": os.cpu_count(), "chains": arguments.chains, "rows": rows}, indent=2))
        return
    print(f"{os.cpu_count()} cores, {arguments.chains} chains of three jobs, best of {arguments.rounds}")
    for row in rows:
        print(f"{row['case']:36} {row['chains_per_second']:7} chains/s")
        if "idle_p50_ms" in row:
            print(
                f"{'  one chain, idle between':36} {row['idle_p50_ms']:7} ms p50, {row['idle_p99_ms']} ms p99, "
                f"of which the submission's sync is {row['submit_p50_ms']} ms p50"
            )


if __name__ == "__main__":
    main()
