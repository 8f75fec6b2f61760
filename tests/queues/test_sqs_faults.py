"""AWS that throttles, is down, cuts connections, refuses credentials or has lost a queue: nothing is lost, and it is
said once.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from email.utils import formatdate
from pathlib import Path

import pytest
from aws_proxy import Call, Fault, Proxy, proxied
from emulator import Emulator
from exchanging import Works
from patience import until
from queue_calls import claim, finish, settle_and_claim
from sqs_stage import SqsStage, client, made, unique

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.client import Search
from factory_cdk.queues.port import Failed, Failure, Finished, Forward, Job, Outcome, Wanted
from factory_cdk.queues.sqs.calls import Calls
from factory_cdk.queues.sqs.engine import SqsQueues

pytestmark = pytest.mark.e2e

ROUTE = {"a": "b", "b": "c", "c": None}


@pytest.fixture
def stage(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> SqsStage:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return made(aws, unique("faults"), ["a", "b", "c"])


@pytest.fixture
def proxy(stage: SqsStage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Everything that is opened from now on goes through it."""
    with proxied(stage.aws.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def jobs(number: int) -> list[Job]:
    return [Job(f"run-{one}", "a", one, "run") for one in range(number)]


def assert_all_done_once(stage: SqsStage, works: Works, number: int) -> None:
    """Every chain has come to its end, and each of its jobs was recorded once."""
    expected = {f"run-{one}{ending}" for one in range(number) for ending in ("", ".b", ".b.c")}
    with stage.open() as queues:
        records = queues.history.find(Search(run="run"))
        assert {record.job.id: record.outcome for record in records} == dict.fromkeys(expected, Outcome.SUCCESS)
        assert queues.history.remaining("run") == 0
    assert set(works.done) == expected
    with stage.open() as queues:

        def empty() -> bool:
            """A second message of a job leases nothing and is deleted; one that a poll has in hand comes later."""
            stage.aws.put_forward(1000)
            assert [lease for queue in ROUTE for lease in claim(queues, queue, 10, lease=60)] == []
            return [stage.messages(queue) for queue in ROUTE] == [0, 0, 0]

        until(empty)


def worked(queues: SqsQueues, number: int) -> Works:
    works = Works(queues, ROUTE)
    asyncio.run(works.run(3 * number))
    return works


def test_ten_seconds_of_throttling_every_call_lose_nothing_and_hold_the_loop_up_no_moment(
    stage: SqsStage, proxy: Proxy
) -> None:
    with stage.open() as queues:
        queues.send("a", jobs(20))
        begun = time.monotonic()
        proxy.choose = lambda _: Fault.THROTTLED if time.monotonic() < begun + 10 else None
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        async def work() -> Works:
            counting = asyncio.create_task(count_turns())
            works = Works(queues, ROUTE)
            await works.run(60)
            counting.cancel()
            return works

        works = asyncio.run(work())
    assert sum(call.operation.startswith("sqs.") for call in proxy.calls) < 1000
    assert turns > 100, "the loop went on"
    assert len([line for line in works.said if line.startswith("ERROR")]) <= 1
    assert_all_done_once(stage, works, 20)


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNAVAILABLE, Fault.CUT, Fault.ANSWER_LOST])
def test_a_third_of_all_calls_may_fail_and_every_job_is_done_once(stage: SqsStage, proxy: Proxy, fault: Fault) -> None:
    dice, lock = random.Random(7), threading.Lock()  # noqa: S311

    def choose(_: Call) -> Fault | None:
        with lock:
            return fault if dice.random() < 0.3 else None

    with stage.open() as queues:
        queues.send("a", jobs(20))
        proxy.choose = choose
        # Messages whose receipt nobody has come again when their time is up.
        with _time_passing(stage) if fault is Fault.ANSWER_LOST else nullcontext():
            works = worked(queues, 20)
        proxy.choose = lambda _: None
    assert_all_done_once(stage, works, 20)


@contextmanager
def _time_passing(stage: SqsStage) -> Iterator[None]:
    """The clock of SQS goes thirty times as fast; nothing else may put it forward in the block."""

    def let_pass() -> None:
        while not stop.wait(1):
            stage.aws.put_forward(30)

    stop = threading.Event()
    thread = threading.Thread(target=let_pass)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_submission_whose_answers_are_lost_is_there_once(stage: SqsStage, proxy: Proxy) -> None:
    lost: set[str] = set()

    def choose(call: Call) -> Fault | None:
        if call.operation in lost:
            return None
        lost.add(call.operation)
        return Fault.ANSWER_LOST

    with stage.open() as queues:
        proxy.choose = choose
        queues.send("a", [*jobs(3), Job("run-large", "a", "x" * 10_000, "run")])
        assert {"sqs.SendMessageBatch", "dynamodb.BatchExecuteStatement", "s3.PUT"} <= lost
        proxy.choose = lambda _: None
        assert len(queues.history.find(Search(run="run"))) == 4
        leases = claim(queues, "a", 10, lease=60)
        assert sorted(lease.job.id for lease in leases) == ["run-0", "run-1", "run-2", "run-large"]


def test_a_claim_whose_answer_is_lost_is_a_claim(stage: SqsStage, proxy: Proxy) -> None:
    lost: list[str] = []

    def choose(call: Call) -> Fault | None:
        if call.operation == "dynamodb.BatchExecuteStatement" and not lost:
            lost.append(call.operation)
            return Fault.ANSWER_LOST
        return None

    with stage.open() as queues:
        queues.send("a", jobs(3))
        proxy.choose = choose
        leases = claim(queues, "a", 3, lease=60)
        assert lost
        assert [(lease.job.id, lease.job.attempt) for lease in leases] == [(f"run-{one}", 1) for one in range(3)]
        lost.clear()
        assert all(finish(queues, lease) for lease in leases)


def test_a_service_that_stays_down_is_a_factory_error_of_the_same_words_each_time(
    stage: SqsStage, proxy: Proxy
) -> None:
    proxy.choose = lambda _: Fault.UNAVAILABLE
    told = set()
    for _ in range(2):
        with (
            SqsQueues(stage.location, clock=stage.now, calls=Calls(patience=0.5)) as queues,
            pytest.raises(FactoryError, match="is not available") as raised,
        ):
            claim(queues, "a", 1, lease=60)
        told.add((raised.value.message, raised.value.remedy))
    assert len(told) == 1
    assert raised.value.remedy is not None


def test_a_send_that_failed_is_done_once_when_it_is_repeated(stage: SqsStage, proxy: Proxy) -> None:
    with SqsQueues(stage.location, clock=stage.now, calls=Calls(patience=0.5)) as queues:
        proxy.choose = lambda call: Fault.CUT if call.operation == "sqs.SendMessageBatch" else None
        with pytest.raises(FactoryError, match="cannot be reached"):
            queues.send("a", jobs(3))
        proxy.choose = lambda _: None
        queues.send("a", jobs(3))
        assert len(claim(queues, "a", 10, lease=60)) == 3
        stage.aws.put_forward(30)
        assert claim(queues, "a", 10, lease=60) == []


@pytest.mark.parametrize("cut", ["sqs.SendMessageBatch", "sqs.DeleteMessageBatch", "sqs.ReceiveMessage"])
def test_a_step_that_failed_half_way_is_answered_as_done_when_it_is_repeated(
    stage: SqsStage, proxy: Proxy, cut: str
) -> None:
    with SqsQueues(stage.location, clock=stage.now, calls=Calls(patience=0.5)) as queues:
        queues.send("a", jobs(3))
        leases = claim(queues, "a", 3, lease=60)
        settled = [
            Finished(leases[0], [Forward("b", Job("run-0.b", "b", 0, "run", "run-0"))], 0),
            Finished(leases[1]),
            Failed(leases[2], Failure("Error", "no", "", 1), None),
        ]
        proxy.choose = lambda call: Fault.CUT if call.operation == cut else None
        wanted = [Wanted("b", 5, 60)]
        if cut == "sqs.ReceiveMessage":  # what was settled is told, and nothing is leased
            assert settle_and_claim(queues, settled, wanted) == ([True, True, True], [])
            with pytest.raises(FactoryError, match="cannot be reached"):
                settle_and_claim(queues, [], wanted)
            settled = []
        else:
            for _ in range(2):
                with pytest.raises(FactoryError, match="cannot be reached"):
                    settle_and_claim(queues, settled, wanted)
        proxy.choose = lambda _: None
        held, taken = settle_and_claim(queues, settled, wanted)
        assert all(held)
        assert [lease.job.id for lease in taken] == ["run-0.b"]
        assert settle_and_claim(queues, settled, []) == ([False] * len(settled), [])
        stage.aws.put_forward(1000)
        assert claim(queues, "a", 5, lease=60) == []
        assert {record.job.id: record.state for record in queues.history.outcomes("run")} == {
            "run-0": "success",
            "run-1": "success",
            "run-2": "dead",
        }


def test_expired_credentials_are_said_once_and_new_ones_are_taken(
    stage: SqsStage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "credentials"

    def log_in(key: str) -> None:
        profile.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret-of-{key}\n")

    log_in("OLD")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    with stage.open() as queues:
        queues.send("a", jobs(5))
        proxy.choose = lambda call: Fault.EXPIRED if "Credential=OLD/" in call.authorization else None
        works = Works(queues, ROUTE)

        def log_in_again() -> None:
            until(lambda: works.said)
            log_in("NEW")

        thread = threading.Thread(target=log_in_again)
        thread.start()
        asyncio.run(works.run(15))
        thread.join()
    (said,) = works.said
    assert "have expired; trying again (log in to AWS again)" in said
    assert "secret" not in said
    assert_all_done_once(stage, works, 5)


def test_a_queue_that_is_deleted_is_said_once_and_what_is_in_hand_is_kept(stage: SqsStage) -> None:
    sqs = client(stage.aws, "sqs")
    name = stage.location.queues["b"].queue
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
    with stage.open() as queues:
        queues.send("a", jobs(3))
        works = Works(queues, ROUTE)

        def make_again() -> None:
            until(lambda: works.said)
            stage.aws.put_forward(100)  # SQS refuses the name for a minute
            sqs.create_queue(QueueName=name)

        thread = threading.Thread(target=make_again)
        thread.start()
        asyncio.run(works.run(9))
        thread.join()
    assert len(works.said) == 1
    assert works.said[0].startswith(f"ERROR queue {name} does not exist; trying again (build the stage")
    assert_all_done_once(stage, works, 3)


def test_the_time_is_that_of_aws_whatever_this_machine_thinks(stage: SqsStage, proxy: Proxy) -> None:
    ahead = 240.0
    proxy.date = formatdate(time.time() + ahead, usegmt=True)
    with SqsQueues(stage.location) as queues:
        queues.send("a", jobs(1))
        (lease,) = claim(queues, "a", 1, lease=60)
        assert lease.deadline == pytest.approx(time.time() + ahead + 60, abs=30)
        assert finish(queues, lease)
        record = queues.history.job("run-0")
        assert record is not None
        assert record.finished == pytest.approx(time.time() + ahead, abs=30)
