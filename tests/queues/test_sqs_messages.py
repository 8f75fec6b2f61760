"""What SQS does to messages that other engines know nothing of: receives that count, limits, strangers, duplicates."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from emulator import Emulator
from patience import PATIENCE
from queue_calls import claim, depth, extend, fail, finish, release
from sqs_stage import KEEP, MAX_RECEIVES, SqsStage, client, made, unique

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.client import Search
from factory_cdk.queues.port import Failure, Forward, Job, Outcome, Wanted
from factory_cdk.queues.sqs.delivery import LONGEST_LEASE
from factory_cdk.queues.sqs.engine import SqsQueues
from factory_cdk.queues.sqs.polling import Poll

LARGE = "x" * 100_000


@pytest.fixture
def stage(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> SqsStage:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return made(aws, unique("works"), ["q", "next"])


@pytest.fixture
def queues(stage: SqsStage) -> Iterator[SqsQueues]:
    with stage.open() as queues:
        yield queues


def job(name: str, payload: Any = None) -> Job:
    return Job(f"run-{name}", "bot", payload, "run")


def failure(attempt: int = 1) -> Failure:
    return Failure("ValueError", "no\x00 \N{SNOWMAN}", "Traceback", attempt)


def url(stage: SqsStage, queue: str, *, dead: bool = False) -> str:
    names = stage.location.queues[queue]
    name = names.dead_letters if dead else names.queue
    return str(client(stage.aws, "sqs").get_queue_url(QueueName=name)["QueueUrl"])


def letters(stage: SqsStage, queue: str) -> list[tuple[str, str | None]]:
    """The texts and reasons of the messages in a dead-letter queue, which stay there."""
    found = client(stage.aws, "sqs").receive_message(
        QueueUrl=url(stage, queue, dead=True),
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
        MessageAttributeNames=["All"],
    )
    return [
        (one["Body"], one.get("MessageAttributes", {}).get("Reason", {}).get("StringValue"))
        for one in found.get("Messages", ())
    ]


# Receives


def test_jobs_that_are_given_back_again_and_again_never_die_of_it(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1"), job("2")])
    for _ in range(3 * MAX_RECEIVES):
        leases = claim(queues, "q", 2, lease=60)
        assert [lease.job.attempt for lease in leases] == [1, 1]
        assert all(release(queues, lease) for lease in leases)
    assert stage.messages("q") == 2
    assert stage.messages("q", dead=True) == 0


def test_jobs_that_fail_again_and_again_die_when_their_runner_says_so(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1")])
    for attempt in range(1, 2 * MAX_RECEIVES):
        (lease,) = claim(queues, "q", 1, lease=60)
        assert lease.job.attempt == attempt
        assert fail(queues, lease, failure(attempt), delay=0)
    assert stage.messages("q", dead=True) == 0


def test_a_job_whose_runners_all_die_is_recorded_as_dead_with_the_reason(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1", {"x": 1})])
    for _ in range(MAX_RECEIVES):
        assert len(claim(queues, "q", 1, lease=60)) == 1
        stage.aws.put_forward(100)
    assert claim(queues, "q", 1, lease=60) == []
    assert queues.history.sweep() == 1
    assert queues.history.sweep() == 0
    (dead,) = queues.history.dead_letters("q", 10)
    assert dead.job.payload == {"x": 1}
    assert [one.type for one in dead.failures] == ["LeaseExpired"] * (MAX_RECEIVES - 1) + ["Redriven"]
    ((text, reason),) = letters(stage, "q")
    assert json.loads(text)["id"] == "run-1"
    assert reason is not None
    assert reason.startswith("Redriven: ")


# Dead letters


def test_a_dead_letter_is_a_message_of_its_own_with_the_error(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1", LARGE)])
    (lease,) = claim(queues, "q", 1, lease=60)
    assert fail(queues, lease, failure(), delay=None)
    assert stage.messages("q") == 0
    ((text, reason),) = letters(stage, "q")
    assert "Traceback" in json.loads(text)["failures"][0]
    assert reason == "ValueError: no\\x00 \\u2603"


def test_a_retried_job_leaves_no_letter_behind_and_others_stay(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1"), job("2")])
    for lease in claim(queues, "q", 2, lease=60):
        assert fail(queues, lease, failure(), delay=None)
    assert queues.history.retry(["run-1"]) == [True]
    assert [json.loads(text)["id"] for text, _ in letters(stage, "q")] == ["run-2"]
    (lease,) = claim(queues, "q", 2, lease=60)
    assert (lease.job.id, lease.job.attempt) == ("run-1", 1)


def test_the_record_of_a_dead_job_is_kept_when_that_of_a_done_one_is_forgotten(
    stage: SqsStage, queues: SqsQueues
) -> None:
    queues.send("q", [job("1"), job("2")])
    one, two = claim(queues, "q", 2, lease=60)
    assert finish(queues, one)
    assert fail(queues, two, failure(), delay=None)
    stage.aws.put_forward(KEEP + 3600)
    assert [record.job.id for record in queues.history.find(Search())] == ["run-2"]
    assert queues.history.job("run-1") is None
    items = client(stage.aws, "dynamodb").scan(TableName=stage.location.table)["Items"]
    assert {item["id"]["S"]: "expires" in item for item in items} == {"run-1": True, "run-2": False}


# Strangers


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('{"Records": []}', "it was not sent by factory-cdk"),
        ("[1, 2]", "it was not sent by factory-cdk"),
        ('{"factory_cdk": 99}', "its format, 99, is not known"),
        ('{"factory_cdk": 1, "id": "x"}', "it is incomplete"),
        ('{"factory_cdk": 1, "id": 7, "bot": "b", "run": "r", "queue": "q"}', "it is incomplete"),
    ],
)
def test_a_message_that_is_not_ours_is_set_aside_with_the_reason_and_holds_nothing_up(
    stage: SqsStage, queues: SqsQueues, text: str, reason: str
) -> None:
    sqs = client(stage.aws, "sqs")
    sqs.send_message(QueueUrl=url(stage, "q"), MessageBody=text)
    queues.send("q", [job("1")])
    assert [lease.job.id for lease in claim(queues, "q", 5, lease=60)] == ["run-1"]
    assert stage.messages("q") == 1
    ((kept, why),) = letters(stage, "q")
    assert kept == text
    assert why is not None
    assert why.startswith(f"set aside: {reason}")
    assert queues.history.sweep() == 0
    assert len(letters(stage, "q")) == 1


def test_a_stranger_too_large_to_be_sent_on_is_kept_in_the_bucket(stage: SqsStage, queues: SqsQueues) -> None:
    text = "y" * (1024 * 1024)
    client(stage.aws, "sqs").send_message(QueueUrl=url(stage, "q"), MessageBody=text)
    assert claim(queues, "q", 5, lease=60) == []
    ((kept, _),) = letters(stage, "q")
    key = kept.removeprefix("object ")
    found = client(stage.aws, "s3").get_object(Bucket=stage.location.bucket, Key=key)
    assert found["Body"].read().decode() == text


# Payloads


def test_a_large_payload_and_the_result_made_of_it_are_one_object(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1", LARGE)])
    (lease,) = claim(queues, "q", 1, lease=60)
    assert finish(queues, lease, [Forward("next", Job("run-1.n", "bot", lease.job.payload, "run"))], lease.job.payload)
    listed = client(stage.aws, "s3").list_objects_v2(Bucket=stage.location.bucket)
    assert [one["Key"].startswith("payloads/") for one in listed["Contents"]] == [True]
    assert [record.result for record in queues.history.outcomes("run")] == [LARGE]


def test_a_job_whose_payload_is_gone_dies_of_it(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1", LARGE), job("2")])
    s3 = client(stage.aws, "s3")
    for one in s3.list_objects_v2(Bucket=stage.location.bucket)["Contents"]:
        s3.delete_object(Bucket=stage.location.bucket, Key=one["Key"])
    assert [lease.job.id for lease in claim(queues, "q", 5, lease=60)] == ["run-2"]
    (dead,) = queues.history.dead_letters("q", 5)
    assert [one.type for one in dead.failures] == ["PayloadGone"]
    assert len(letters(stage, "q")) == 1


# Delays and leases


@pytest.mark.parametrize("delay", [1000.0, 50_000.0, 300_000.0])
def test_a_delay_beyond_what_sqs_knows_is_kept(stage: SqsStage, queues: SqsQueues, delay: float) -> None:
    queues.send("q", [job("1")], delay=delay)
    left = delay
    while left > 3600:
        stage.aws.put_forward(3600)
        left -= 3600
        assert claim(queues, "q", 1, lease=60) == []
    stage.aws.put_forward(left + 900)
    (lease,) = claim(queues, "q", 1, lease=60)
    assert lease.job.attempt == 1
    assert stage.messages("q", dead=True) == 0


def test_a_lease_ends_twelve_hours_after_the_job_was_received(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1")])
    (lease,) = claim(queues, "q", 1, lease=3600)
    begun = lease.deadline - 3600
    for hours in range(1, 12):
        stage.aws.put_forward(3500)
        (lease,) = extend(queues, [lease], 7200)
        assert lease.deadline <= begun + LONGEST_LEASE, f"after {hours} hours"
    assert lease.deadline == pytest.approx(begun + LONGEST_LEASE, abs=5)
    stage.aws.put_forward(6000)
    (again,) = claim(queues, "q", 1, lease=3600)
    assert again.job.attempt == 2
    assert not finish(queues, lease)


# Duplicates


def test_a_second_message_of_a_job_is_recognised(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1", 5)])
    sqs = client(stage.aws, "sqs")
    (message,) = sqs.receive_message(QueueUrl=url(stage, "q"), VisibilityTimeout=0)["Messages"]
    for _ in range(2):
        sqs.send_message(QueueUrl=url(stage, "q"), MessageBody=message["Body"])
    (lease,) = claim(queues, "q", 10, lease=600)
    assert finish(queues, lease, [Forward("next", Job("run-1.n", "bot", 5, "run"))], 5)
    stage.aws.put_forward(1000)
    assert claim(queues, "q", 10, lease=60) == []
    assert stage.messages("q") == 0
    assert [one.job.id for one in claim(queues, "next", 10, lease=60)] == ["run-1.n"]


def test_a_subscriber_for_whom_only_a_second_message_came_is_woken_by_the_next_job(
    stage: SqsStage, queues: SqsQueues
) -> None:
    """That message is what was polled for, and leases nothing: more is wanted than before it came."""
    queues.send("q", [job("1")])
    sqs = client(stage.aws, "sqs")
    (message,) = sqs.receive_message(QueueUrl=url(stage, "q"), VisibilityTimeout=0)["Messages"]
    (lease,) = claim(queues, "q", 1, lease=60)
    assert finish(queues, lease)

    async def leased_when_woken() -> list[str]:
        woken = asyncio.Event()
        subscription = queues.subscribe(["q"], woken.set)
        assert await leased() == []  # from now on it is polled for
        sqs.send_message(QueueUrl=url(stage, "q"), MessageBody=message["Body"])
        await woken.wait()
        woken.clear()
        assert await leased() == []
        await asyncio.to_thread(queues.send, "q", [job("2")])
        await woken.wait()
        last = await leased()
        subscription.close()
        return last

    async def leased() -> list[str]:
        return [lease.job.id for lease in (await queues.settle_and_claim([], [Wanted("q", 1, 60)]))[1]]

    assert asyncio.run(asyncio.wait_for(leased_when_woken(), PATIENCE)) == ["run-2"]


def test_two_runners_with_messages_of_one_job_do_not_both_get_it(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1")])
    sqs = client(stage.aws, "sqs")
    (message,) = sqs.receive_message(QueueUrl=url(stage, "q"), VisibilityTimeout=0)["Messages"]
    for _ in range(9):
        sqs.send_message(QueueUrl=url(stage, "q"), MessageBody=message["Body"])
    taken: list[str] = []

    def take() -> None:
        with stage.open() as another:
            taken.extend(lease.job.id for lease in claim(another, "q", 5, lease=600))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == ["run-1"]


def test_a_job_that_was_cancelled_is_not_given_out(stage: SqsStage, queues: SqsQueues) -> None:
    queues.send("q", [job("1"), job("2")])
    assert queues.history.cancel(["run-1"]) == [True]
    assert [lease.job.id for lease in claim(queues, "q", 5, lease=60)] == ["run-2"]
    assert stage.messages("q") == 1
    assert queues.history.retry(["run-1"]) == [True]
    assert [lease.job.id for lease in claim(queues, "q", 5, lease=60)] == ["run-1"]


# Without a history


def test_without_a_table_the_capabilities_and_the_history_say_what_cannot_be_done(
    aws: Emulator, stage: SqsStage
) -> None:
    bare = made(aws, unique("bare"), ["q"], history=False)
    with bare.open() as queues:
        assert not queues.capabilities.history
        queues.send("q", [job("1", LARGE)])
        (lease,) = claim(queues, "q", 1, lease=60)
        assert fail(queues, lease, failure(1), delay=0)
        (lease,) = claim(queues, "q", 1, lease=60)
        assert (lease.job.attempt, lease.job.payload) == (2, LARGE)
        assert fail(queues, lease, failure(2), delay=None)
        assert depth(queues, "q").dead == 1
        (dead,) = queues.history.dead_letters("q", 5)
        assert (dead.job.id, dead.outcome, dead.failures) == ("run-1", Outcome.DEAD, (failure(1), failure(2)))
        with pytest.raises(FactoryError, match="this stage keeps no history"):
            queues.history.find(Search())
    assert stage.location.table is not None


# Polls


def test_a_poll_gives_back_what_is_not_wanted_any_more(stage: SqsStage, queues: SqsQueues) -> None:
    begun, go_on, back = threading.Event(), threading.Event(), threading.Event()
    queues.send("q", [job("1")])
    received = queues._delivery.receive("q", 1, 60)
    returned: list[str] = []

    def receive(queue: str, n: int, lease: float) -> list[Any]:
        begun.set()
        assert go_on.wait(60)
        return received

    def give_back(messages: Any) -> None:
        returned.extend(one.receipt for one in messages)
        back.set()

    poll = Poll("q", receive, give_back, lambda: None, stage.now)
    assert poll.take(1, 60) == []
    assert begun.wait(60)
    poll.want_none()
    go_on.set()
    assert back.wait(60)
    assert returned == [received[0].receipt]
    assert poll.take(0, 60) == []
