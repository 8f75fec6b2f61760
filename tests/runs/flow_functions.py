"""What the steps of the tests' flows do: it has to be importable by their worker processes."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from pathlib import Path

from factory_cdk.runs.step_context import current_step


def note(file: str, what: str) -> None:
    with Path(file).open("a") as lines:
        lines.write(what + "\n")


def prog(file: str, progname: str, step_to_fail: str | None = None, iteration_to_fail: str = "") -> str:
    """The program of sequent's documents."""
    step = current_step()
    note(file, f"{progname} {step.name}/{step.sequence}")
    if (step.name, step.sequence) == (step_to_fail, iteration_to_fail):
        raise Exception(f"{progname} failed ({step.name}/{step.sequence})")
    return progname


def fail(file: str) -> None:
    note(file, current_step().name)
    raise ValueError("no")


def square(file: str, x: float) -> float:
    note(file, f"square {x}")
    return x * x


def square_root(file: str, x: float) -> float:
    note(file, f"square_root {x}")
    return math.sqrt(x)


def divide(file: str, x: float, y: float) -> float:
    note(file, f"divide {x} {y}")
    return x / y


def variables(file: str) -> dict[str, str]:
    note(file, current_step().name)
    return {name: value for name, value in os.environ.items() if name.startswith("FACTORY_STEP_")}


def log(file: str) -> str:
    note(file, current_step().name)
    return logging.getLogger(os.environ["FACTORY_STEP_LOGGER_NAME"]).name


def results(file: str) -> dict[str, object]:
    note(file, current_step().name)
    return dict(current_step().results)


def item(file: str) -> object:
    note(file, f"{current_step().name} {current_step().item}")
    return current_step().item


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    raise SystemExit(3)


def anything() -> object:
    return {1, 2}


def meet(folder: str, name: str, number: int) -> int:
    """Return once `number` steps are here at the same time; how many have been."""
    Path(folder, name).touch()
    deadline = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) < number:
        if time.monotonic() > deadline:
            raise TimeoutError("the others did not come")
        time.sleep(0.005)
    return number


def alone(folder: str) -> None:
    """Fail when another step is here at the same time."""
    path = Path(folder, "busy")
    path.touch(exist_ok=False)
    time.sleep(0.02)
    path.unlink()


def wait_for(file: str, started: str) -> str:
    """Say that it has started, and return when `file` is there."""
    Path(started).write_text(str(os.getpid()))
    deadline = time.monotonic() + 60
    while not Path(file).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{file} did not come")
        time.sleep(0.005)
    return "came"
