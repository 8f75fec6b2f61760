"""Every attempt that failed is in its bot's log: an error, with its traceback, under its job's id."""

from __future__ import annotations

import pytest
from local_works import Works, bot
from shell import Shell

from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.log_filter import LogFilter, matcher

BAD = """
import os, signal, sys

def hot(job):
    print("attempt", job.attempt, end="")
    sys.stdout.flush()
    if job.attempt < 3:
        raise ValueError("too hot\\nreally")
    print(" cool")

def die(payload):
    print("last words")
    os._exit(3)

def sleep(payload):
    signal.pause()

def unstorable(payload):
    return {1, 2}
"""


def lines(works: Works, wanted: LogFilter) -> list[str]:
    """What is wanted of the log, without its time and label."""
    is_wanted = matcher(wanted)
    return [line.split(" ", 2)[2] for line in factory.logs(works.home, "works") if is_wanted(line)]


@pytest.fixture
def bad(works: Works) -> Works:
    works.write("bad.py", BAD)
    return works


def test_a_failed_attempt_is_logged_with_its_traceback_and_what_comes_next(bad: Works) -> None:
    bad.build(bot("hot", "bad:hot"))
    (record,) = bad.run("hot", 1)
    job = record.job.id
    found = [line.removeprefix(f"{job} | ") for line in lines(bad, LogFilter(job=job))]
    first = found.index("attempt 2")
    assert found[:2] == ["attempt 1", "ERROR attempt 1 of 3 failed: ValueError: too hot"]
    assert found[2:4] == ["really", "Traceback (most recent call last):"]
    assert found[first - 1] == "INFO it is tried again in 0.02 s"
    assert found[-1] == "attempt 3 cool", "the half line of the attempt before is one"
    severe = [line.removeprefix(f"{job} | ") for line in lines(bad, LogFilter(level="ERROR"))]
    assert severe == [line for line in found if not line.startswith(("attempt", "INFO"))]
    own = (bad.folder().logs / "here.hot.1.log").read_text()
    assert "ERROR attempt 2 of 3 failed: ValueError: too hot\n" in own


def test_a_worker_that_dies_or_takes_too_long_is_logged_under_its_job(bad: Works) -> None:
    bad.build(bot("die", "bad:die", max_attempts=1), bot("sleep", "bad:sleep", max_attempts=1, timeout=0.05))
    (died,), (slept,) = bad.run("die", 1), bad.run("sleep", 1)
    assert lines(bad, LogFilter(job=died.job.id)) == [
        f"{died.job.id} | last words",
        f"{died.job.id} | ERROR attempt 1 of 1 failed: WorkerDied: the worker exited with 3",
        f"{died.job.id} | INFO it is a dead letter now",
    ]
    assert died.failures[0].traceback == "last words"
    assert any("failed: JobTimeout: not done after 0.05 s" in line for line in lines(bad, LogFilter(job=slept.job.id)))
    assert not any("- |" in line for line in lines(bad, LogFilter(level="ERROR"))), "the runner goes on"


def test_a_result_that_is_not_json_is_an_error_in_the_log(bad: Works) -> None:
    bad.build(bot("odd", "bad:unstorable", max_attempts=1))
    (record,) = bad.run("odd", 1)
    severe = lines(bad, LogFilter(job=record.job.id, level="ERROR"))
    assert severe[0].startswith(
        f"{record.job.id} | ERROR attempt 1 of 1 failed: ResultNotJson: what odd returned, a set"
    )


@pytest.mark.slow
def test_logs_take_the_start_of_an_id_and_say_when_there_is_nothing(shell: Shell) -> None:
    shell.build()
    (dead,) = shell.submit("--bot", "odd", "--payload", "2", code=1)
    logs = ("logs", "--name", "journey", "--job")
    assert "ERROR attempt 1 of 1 failed: ValueError: 2 is even" in shell.run(*logs, dead["id"][:6])[0]
    assert shell.run(*logs, "zz") == ("", "no lines match\n")


def test_an_exception_without_a_message_is_named_alone(bad: Works) -> None:
    bad.write("bare.py", "def work(payload):\n    raise KeyboardInterrupt\n")
    bad.build(bot("bare", "bare:work", max_attempts=1))
    (record,) = bad.run("bare", 1)
    assert f"{record.job.id} | ERROR attempt 1 of 1 failed: KeyboardInterrupt" in lines(bad, LogFilter(level="ERROR"))
