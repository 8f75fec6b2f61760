"""Shims to start, for every test of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shims import PLAIN_PYTHON, Shim


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Shim]]:
    """Starts shims, and kills what is left of them in the end."""
    started: list[Shim] = []

    def launch(python: str = PLAIN_PYTHON) -> Shim:
        started.append(Shim(tmp_path / f"shim{len(started)}.log", python))
        return started[-1]

    yield launch
    for shim in started:
        shim.hang_up()
        shim.process.kill()
        shim.process.wait()
