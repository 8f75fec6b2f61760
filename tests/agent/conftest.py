from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_works import REGION, Instance
from bot_sources import make_wheel
from emulator import Emulator
from metadata_server import metadata_service

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def region(aws: Emulator) -> Emulator:
    """The emulator with a bootstrapped region."""
    aws.bootstrap(REGION)
    return aws


@pytest.fixture
def instance(region: Emulator, tmp_path: Path, worker_id: str) -> Iterator[Instance]:
    """An instance whose agent is not started yet; an index of one package, `greetings`, is beside it."""
    index = tmp_path / "index"
    make_wheel(index, "greetings", "1.0", "def greet(name):\n    return 'hello ' + name\n")
    with metadata_service() as metadata:
        one = Instance(region, metadata, tmp_path, f"s{worker_id.removeprefix('gw')}x{next(_numbers)}", index)
        try:
            yield one
        finally:
            one.end()
