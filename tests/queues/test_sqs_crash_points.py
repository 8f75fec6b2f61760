"""Whoever works on the queues in SQS may die at every point of the protocol: nothing is lost, nothing is done twice.

docs/aws-queues.md has these points as a table.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from emulator import Emulator
from killed_there import KILLED, forwards, jobs
from queue_calls import claim, fail, finish
from sqs_stage import MAX_RECEIVES, SqsStage, made, unique

from factory_cdk.queues.port import Failure, Outcome
from factory_cdk.queues.sqs.engine import SqsQueues

pytestmark = pytest.mark.e2e

PROGRAM = Path(__file__).with_name("killed_there.py")
DOCS = Path(__file__).parents[2] / "docs" / "aws-queues.md"

POINTS = [
    ("send", "jobs recorded"),
    ("send", "jobs sent"),
    ("finish", "received"),
    ("finish", "claimed"),
    ("finish", "held"),
    ("finish", "jobs recorded"),
    ("finish", "jobs sent"),
    ("finish", "recorded"),
    ("finish", "deleted"),
    ("fail", "recorded"),
    ("fail", "shown"),
    ("die", "recorded"),
    ("die", "buried"),
    ("die", "deleted"),
    ("give back", "given back"),
    ("give back", "sent anew"),
    ("retry", "retry recorded"),
    ("retry", "retry sent"),
    ("sweep", "death recorded"),
    ("sweep", "buried anew"),
]
WITHOUT_TABLE = [
    *[("send", point) for point in ("jobs recorded", "jobs sent")],
    *[
        ("finish", point)
        for point in ("received", "claimed", "held", "jobs recorded", "jobs sent", "recorded", "deleted")
    ],
    *[("fail", point) for point in ("recorded", "deleted", "sent anew")],
    *[("give back", point) for point in ("given back", "sent anew")],
]
IDS = [job.id for job in jobs(3)]
CHAINS = {f"{job_id}{ending}" for job_id in IDS for ending in ("", ".b", ".b.end")}


def stage_of(aws: Emulator, monkeypatch: pytest.MonkeyPatch, *, history: bool) -> SqsStage:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return made(aws, unique("crash"), ["a", "b", "end"], history=history)


def prepare(stage: SqsStage, queues: SqsQueues, scenario: str) -> None:
    """Bring the three jobs to where `scenario` begins."""
    if scenario == "send":
        return
    queues.send("a", jobs(3))
    if scenario == "retry":
        for lease in claim(queues, "a", 3, lease=60):
            assert fail(queues, lease, Failure("Error", "no", "", 1), delay=None)
    if scenario == "sweep":  # their runners die again and again, before they can say why
        for _ in range(MAX_RECEIVES):
            assert len(claim(queues, "a", 3, lease=60)) == 3
            stage.aws.put_forward(100)
        assert claim(queues, "a", 3, lease=60) == []
        assert stage.messages("a", dead=True) == 3


def killed_at(stage: SqsStage, scenario: str, point: str) -> None:
    """Have another process do `scenario` until it is killed at `point`; then all leases end."""
    command = [sys.executable, str(PROGRAM), json.dumps(stage.arguments), scenario, point]
    assert subprocess.run(command, check=False).returncode == KILLED
    stage.aws.put_forward(100)


def mend(queues: SqsQueues, scenario: str) -> None:
    """What whoever was not answered does again."""
    match scenario:
        case "send":
            queues.send("a", jobs(3))
        case "die":
            return
        case "retry":
            queues.history.retry(IDS)
        case "sweep":
            queues.history.sweep()


def work(stage: SqsStage, queues: SqsQueues) -> list[str]:
    """Do every job that is there, until none comes any more; answers the ids of those that were finished."""
    finished = []
    for _ in range(2):  # also those whose leases have to end first
        while leases := [lease for queue in ("b", "a") for lease in claim(queues, queue, 10, lease=60)]:
            finished += [lease.job.id for lease in leases if finish(queues, lease, forwards(lease), lease.job.payload)]
        stage.aws.put_forward(100)
    return finished


def ended(stage: SqsStage, queues: SqsQueues) -> list[str]:
    """The ids of the jobs that have come to the end, as often as they did."""
    ids = []
    while leases := claim(queues, "end", 10, lease=60):
        ids += [lease.job.id for lease in leases if finish(queues, lease)]
    stage.aws.put_forward(100)
    return ids + [lease.job.id for lease in claim(queues, "end", 10, lease=60)]


@pytest.mark.parametrize(("scenario", "point"), [one for one in POINTS if one[0] not in ("die", "sweep")])
def test_a_process_that_dies_at_a_point_loses_nothing_and_nothing_is_done_twice(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch, scenario: str, point: str
) -> None:
    stage = stage_of(aws, monkeypatch, history=True)
    with stage.open() as queues:
        prepare(stage, queues, scenario)
        killed_at(stage, scenario, point)
        mend(queues, scenario)
        before = [job_id for job_id in IDS if is_done(queues, job_id)]
        finished = work(stage, queues)
        assert sorted(before + finished) == sorted(CHAINS - {f"{job_id}.b.end" for job_id in IDS})
        assert sorted(ended(stage, queues)) == sorted(f"{job_id}.b.end" for job_id in IDS)
        assert queues.history.remaining("run") == 0
        assert {record.job.id: record.outcome for record in queues.history.outcomes("run")} == dict.fromkeys(
            CHAINS, Outcome.SUCCESS
        )
        assert [stage.messages(queue) for queue in ("a", "b", "end")] == [0, 0, 0]
        assert queues.history.dead_letters("a", 10) == []
        assert stage.messages("a", dead=True) == 0


def is_done(queues: SqsQueues, job_id: str) -> bool:
    record = queues.history.job(job_id)
    return record is not None and record.outcome is not None


@pytest.mark.parametrize(("scenario", "point"), [one for one in POINTS if one[0] in ("die", "sweep")])
def test_a_job_that_died_is_a_dead_letter_once_wherever_its_runner_died(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch, scenario: str, point: str
) -> None:
    stage = stage_of(aws, monkeypatch, history=True)
    with stage.open() as queues:
        prepare(stage, queues, scenario)
        killed_at(stage, scenario, point)
        mend(queues, scenario)
        for lease in claim(queues, "a", 10, lease=60):  # those that had not got so far
            assert fail(queues, lease, Failure("Error", "no", "", lease.job.attempt), delay=None)
        stage.aws.put_forward(100)
        dead = queues.history.dead_letters("a", 10)
        assert sorted(letter.job.id for letter in dead) == IDS
        assert all(letter.failures for letter in dead)
        assert stage.messages("a") == 0
        assert stage.messages("a", dead=True) >= 3
        assert queues.history.retry(IDS) == [True] * 3
        assert stage.messages("a", dead=True) == 0
        assert sorted(work(stage, queues)) == sorted(CHAINS - {f"{job_id}.b.end" for job_id in IDS})
        assert sorted(ended(stage, queues)) == sorted(f"{job_id}.b.end" for job_id in IDS)


@pytest.mark.parametrize(("scenario", "point"), WITHOUT_TABLE)
def test_without_a_history_nothing_is_lost_though_it_may_be_done_twice(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch, scenario: str, point: str
) -> None:
    stage = stage_of(aws, monkeypatch, history=False)
    with stage.open() as queues:
        prepare(stage, queues, scenario)
        killed_at(stage, scenario, point)
        mend(queues, scenario)
        work(stage, queues)
        assert set(ended(stage, queues)) == {f"{job_id}.b.end" for job_id in IDS}
        assert [stage.messages(queue) for queue in ("a", "b")] == [0, 0]


def test_the_documented_table_has_every_point() -> None:
    rows = re.findall(r"^\| (\w[\w ]*) \| after `([^`]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == POINTS
