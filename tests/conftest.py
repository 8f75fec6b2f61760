"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emulator import Emulator, running


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulated AWS, one for a whole run of tests: give factories names of their own."""
    with running(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator
