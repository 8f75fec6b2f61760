"""How fast steps follow each other: `python benchmarks/runs.py [--small]`, in one run beside rivals and a plain loop.

A chain of 1,000 steps, a fan of 1 -> 7,000 -> 1, and 100,000 steps, of which each returns 10 kB, with the memory of the
process that runs the flow before and after. Beside them the same chain as a loop that writes a row of SQLite for each
step, and as sequent and eventor run it where they are installed (`pip install sequent`: their releases need an older
setuptools than Python 3.12 has).
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from factory_cdk.runs.flow import Flow

KILOBYTES = 10


def nothing() -> int:
    """What a step of a chain does."""
    return 1


def ten_kilobytes() -> str:
    """What each of many steps returns."""
    return "x" * (KILOBYTES * 1024)


def chain(folder: Path, steps: int) -> Flow:
    """So many steps, one after the other."""
    flow = Flow("chain", store=folder / "chain.db")
    before = None
    for number in range(steps):
        before = flow.step(f"s{number}", nothing, needs=before)
    return flow


def fan(folder: Path, width: int) -> Flow:
    """One step, so many beside each other, and one."""
    flow = Flow("fan", max_concurrent=2, store=folder / "fan.db")
    first = flow.step("first", nothing)
    flow.step("last", nothing, needs=[flow.step(f"s{number}", nothing, needs=first) for number in range(width)])
    return flow


def many(folder: Path, steps: int) -> Flow:
    """So many items."""
    flow = Flow("many", max_concurrent=2, store=folder / "many.db")
    flow.step("all", ten_kilobytes, for_each=range(steps))
    return flow


def loop(folder: Path, steps: int) -> None:
    """What a person would write: a row for each step, committed before the next."""
    connection = sqlite3.connect(folder / "loop.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE steps (name TEXT PRIMARY KEY, result)")
    for number in range(steps):
        connection.execute("INSERT INTO steps VALUES (?, ?)", (f"s{number}", nothing()))
    connection.close()


def sequent(folder: Path, steps: int) -> None:
    """The chain, by sequent."""
    import sequent as rival  # noqa: PLC0415 - installed by who wants to compare

    flow = rival.Sequent(name="chain", store=str(folder / "sequent.db"), config={"sleep_between_loops": 0.01})
    before = None
    for number in range(steps):
        requires = ((before, rival.STEP_SUCCESS),) if before is not None else ()
        before = flow.add_step(f"s{number}", func=nothing, requires=requires)
    flow.run()
    flow.close()


def eventor(folder: Path, steps: int) -> None:
    """The chain, by eventor."""
    import eventor as rival  # noqa: PLC0415 - installed by who wants to compare

    flow = rival.Eventor(name="chain", store=str(folder / "eventor.db"), config={"sleep_between_loops": 0.01})
    events = [flow.add_event(f"e{number}") for number in range(steps + 1)]
    for number in range(steps):
        step = flow.add_step(f"s{number}", func=nothing, triggers={rival.STEP_SUCCESS: (events[number + 1],)})
        flow.add_assoc(events[number], step)
    flow.trigger_event(events[0], 1)
    flow.run()
    flow.close()


def report(what: str, steps: int, work: Callable[[], object]) -> None:
    """Print how long `work` takes."""
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    print(f"{what:<34} {steps:>8,} steps {seconds:>8.2f} s {seconds / steps * 1000:>8.3f} ms a step", flush=True)


def megabytes() -> float:
    """The memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of everything")
    part = 10 if parser.parse_args().small else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = 1000 // part
        report("a loop that writes SQLite", steps, lambda: loop(folder, steps))
        flow = chain(folder, steps)
        report("Flow, a chain", steps, flow.run)
        for rival, run in (("sequent", sequent), ("eventor", eventor)):
            if importlib.util.find_spec(rival) is None:
                print(f"{rival:<34} is not installed")
            else:
                few = max(3, 10 // part)  # it takes a second for each
                report(f"{rival}, a chain", few, lambda run=run, few=few: run(folder, few))  # type: ignore[misc]
        width = 7000 // part
        flow = fan(folder, width)
        report(f"Flow, 1 -> {width:,} -> 1", width + 2, flow.run)
        steps = 100_000 // part
        flow = many(folder, steps)
        before = megabytes()
        report(f"Flow, {KILOBYTES} kB from each", steps, flow.run)
        grown = megabytes() - before
        print(f"memory: {before:.0f} MB before, {grown:+.0f} MB after {steps * KILOBYTES / 1000:,.0f} MB of results")


if __name__ == "__main__":
    main()
