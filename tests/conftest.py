"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from emulator import Emulator, running
from leftovers import no_process_is_left

# A job that a shell put into the background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """All that the tests of this process have started has ended, once they have."""
    with no_process_is_left():
        yield


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulated AWS, one for a whole run of tests: give factories names of their own."""
    with running(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator
