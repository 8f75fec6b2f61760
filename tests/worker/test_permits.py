"""A worker passes over the jobs that its runner has taken back, and over no others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shims import Shim, job

BOT = """
import os

def hold(payload):
    if payload:
        with open(payload) as gate:  # a FIFO: begun once a writer is there, done once it has closed
            gate.read()
    return payload
"""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@pytest.fixture
def shim(tmp_path: Path, start: Callable[..., Shim]) -> Shim:
    (tmp_path / "held.py").write_text(BOT)
    shim = start()
    assert shim.start(tmp_path, "held:hold")["kind"] == "ready"
    return shim


def test_jobs_that_were_taken_back_are_not_begun_and_those_that_follow_are(shim: Shim, gate: Path) -> None:
    shim.say("jobs", jobs=[job(str(gate), id="j0"), job(None, id="j1"), job(None, id="j2")])
    with gate.open("w"):  # j0 is being done
        assert shim.take_back() == 2
        shim.say("jobs", jobs=[job(None, id="j3")])
    assert [shim.hear()["id"] for _ in range(2)] == ["j0", "j3"]
    assert shim.passed == 2


def test_taken_back_again_and_again(shim: Shim, gate: Path) -> None:
    """Numbers go round after 256 jobs."""
    for turn in range(60):
        jobs = [job(None, id=f"{turn}.{number}") for number in range(1, 10)]
        shim.say("jobs", jobs=[job(str(gate), id=f"{turn}.0"), *jobs])
        with gate.open("w"):
            assert shim.take_back() == len(jobs)
        assert shim.hear()["id"] == f"{turn}.0"
    assert shim.do(None, id="last")["id"] == "last"
    assert shim.passed == 60 * 9


def test_what_was_taken_back_is_not_returned_once_more(shim: Shim, gate: Path) -> None:
    shim.say("jobs", jobs=[job(str(gate), id="j0"), job(None, id="j1")])
    with gate.open("w"):
        assert shim.take_back() == 1
        shim.say("jobs", jobs=[job(None, id="j2")])
        shim.say("stop")
    assert shim.hear()["id"] == "j0"
    assert shim.hear() == {"kind": "returned", "ids": ["j2"]}
    assert shim.passed == 1
    assert shim.ends() == 0


def test_nobody_has_a_permit_twice(shim: Shim) -> None:
    """Whatever the two sides take at the same time: each job is either done or taken back.

    The last job of a turn is done for certain: the worker has then passed over all that was taken back, as it has to
    before the numbers go round.
    """
    done, back = [], 0
    for turn in range(200):
        shim.say("jobs", jobs=[job(None, id=f"{turn}.{number}") for number in range(10)])
        try:
            taken = shim.take_back()
        except BlockingIOError:
            taken = 0
        back += taken
        ids = [shim.hear()["id"] for _ in range(10 - taken)]
        assert ids == [f"{turn}.{number}" for number in range(10 - taken)]
        done += ids
        assert shim.do(None, id=f"{turn}.last")["id"] == f"{turn}.last"
    assert len(done) + back == 2000
    assert shim.passed == back
