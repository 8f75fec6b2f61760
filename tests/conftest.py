"""Fixtures that the tests of several rooms share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from emulator import Emulator, running
from leftovers import no_process_is_left
from repeatable import load_profile

pytest_plugins = ("local_fixtures",)

LONGEST_TEST = 600
"""Seconds."""

# A job that a shell put into the background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

load_profile()  # before any test's own settings are made, which take from it what they do not say


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """All that the tests of this process have started has ended, once they have."""
    with no_process_is_left():
        yield


@pytest.fixture(autouse=True)
def _no_test_hangs() -> Iterator[None]:
    """A test that waits for ever fails, and does not hold up the others until somebody ends all of them."""

    def fail(*_: object) -> None:
        raise TimeoutError(f"this test has taken more than {LONGEST_TEST} s: it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(0 if {"STORM_SECONDS", "FACTORY_CDK_SOAK"} & os.environ.keys() else LONGEST_TEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulated AWS, one for a whole run of tests: give factories names of their own."""
    with running(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator
