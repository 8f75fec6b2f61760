"""What an agent decides, with the time, the network and the disk in a test's hands."""

# ruff: noqa: S311 -- nothing secret is drawn by lot

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE

from factory_cdk.agent.aws import AwsError
from factory_cdk.agent.credentials import BotCredentials, session_policy
from factory_cdk.agent.following import EVERY, LONGEST, Followed, Follower
from factory_cdk.agent.gate import GateRequests, gate_request
from factory_cdk.agent.installation import end_order
from factory_cdk.agent.logs import LogShipper, SpooledLogs, batches
from factory_cdk.agent.presence import FINISH, SpotPresence
from factory_cdk.agent.release import InstalledRelease, pointer_from_text, read_installed, write_installed
from factory_cdk.agent.sector import InstanceSector
from factory_cdk.agent.spool import Position, Spooled, SpoolReader, SpoolWriter, read_position
from factory_cdk.agent.status import EVERY as STATUS_EVERY
from factory_cdk.agent.status import RunnerIdentity, StatusTable
from factory_cdk.agent.wait_handle import LARGEST, _body
from factory_cdk.diagnostics import FactoryError
from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments, SecretReference, Successor
from factory_cdk.release import BotRelease, SectorRelease
from factory_cdk.state.requests import RunnerRequest
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec
from factory_cdk.state.status import PoolStatus, Status, WorkerStatus

SSM_QUOTA = 40.0
"""GetParameters a second for an account and region (https://docs.aws.amazon.com/general/latest/gr/ssm.html)."""

ROOT_PROGRAM = 400 / 65
"""How often in a second 400 instances ask by first.py, whose timer has a minute and up to 10 s in user-data.sh.j2."""


def a_pool_spec(bot: str = "bot") -> PoolSpec:
    start, arguments = Start("target", ("a:b",)), BotArguments()
    return PoolSpec(
        "here", bot, bot, (), arguments, start, FACTORY_QUEUES, 1, "/b", "/w", (), "/python", (), None, {}, {}
    )


class Enough(Exception):
    """A loop has gone on for long enough."""


def follower(read: Callable[[], Awaitable[Followed]], slept: list[float], said: list[str], turns: int) -> Follower:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == turns:
            raise Enough

    return Follower(read, lambda _: None, lambda text, _: said.append(text), random.Random(7).random, sleep)


# Following


def test_four_hundred_sectors_stay_within_the_quota_of_ssm() -> None:
    """Built together, they ask together at first; after a minute their pauses have spread them."""

    async def read() -> Followed:
        return Followed(None, None)

    sectors = [Follower(read, lambda _: None, lambda *_: None, random.Random(number).random) for number in range(400)]
    due = [(sector.pause(), number) for number, sector in enumerate(sectors)]
    heapq.heapify(due)
    asked: list[float] = []
    while due[0][0] < 1800:
        moment, number = heapq.heappop(due)
        asked.append(moment)
        heapq.heappush(due, (moment + sectors[number].pause(), number))
    assert len(asked) / 1800 < 27
    for start in range(60, 1790):
        assert sum(start <= moment < start + 10 for moment in asked) / 10 + ROOT_PROGRAM < SSM_QUOTA


def test_throttling_is_said_once_and_backed_off_from() -> None:
    slept: list[float] = []
    said: list[str] = []
    answers = itertools.chain([AwsError("ssm", "ThrottlingException", "")] * 9, itertools.repeat(Followed("r", None)))

    async def read() -> Followed:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(Enough):
        asyncio.run(follower(read, slept, said, 10).follow())
    assert [round(pause / EVERY) for pause in slept[:3]] == pytest.approx([2, 4, 8], rel=0.3)
    assert max(slept) <= LONGEST * 1.2
    assert slept[-1] < EVERY * 1.3, "what answers again is asked as often as before"
    assert [text for text in said if "Throttling" in text] == said[:1] and "again" in said[1] and len(said) == 2


# The gate


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (None, RunnerRequest("open", request="no gate")),
        ("run", RunnerRequest("open", request="gate 3")),
        ("stop\n", RunnerRequest("closed", request="gate 3")),
        ('{"gate": "run", "keep-stopped": false}', RunnerRequest("open", keep_stopped=False, request="gate 3")),
        ('{"gate": "stop", "end": "cold", "request": "r"}', RunnerRequest("closed", end="cold", request="r")),
    ],
)
def test_what_the_gate_says(text: str | None, request_: RunnerRequest) -> None:
    assert gate_request(text, 3).runner == request_


@pytest.mark.parametrize("text", ["", "halt", '{"gate": "run", "gaet": 1}', '{"gate": "run", "end": "now"}', "{", "{}"])
def test_a_gate_that_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        gate_request(text, 1)


def test_what_was_stopped_stays_so_when_ssm_cannot_be_reached_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "gate.json"
    first = GateRequests(file, lambda: None)
    assert first.read().gate == "closed", "nothing is known yet"
    first.take(Followed(None, None))
    assert first.read().gate == "open"
    first.take(Followed(None, "stop", 1))
    assert GateRequests(file, lambda: None).read().gate == "closed"
    first.take(Followed(None, "stopp", 2))
    with pytest.raises(FactoryError, match="stopp"):
        first.read()


# Releases


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"release": 1, "bucket": "", "key": "", "sha256": "", "signal": ""}']
)
def test_a_release_parameter_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        pointer_from_text(text)


def test_a_release_whose_python_is_gone_is_installed_anew(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()
    there = replace(a_pool_spec(), python=str(python), bundle=str(tmp_path), folder=str(tmp_path))
    installed = InstalledRelease("0" * 64, RunnerSpec("f", "s", (there,), ()), {"region": "r"}, "assets")
    write_installed(tmp_path / "installed.json", installed)
    assert read_installed(tmp_path / "installed.json") == installed
    python.unlink()
    assert read_installed(tmp_path / "installed.json") is None
    (tmp_path / "installed.json").write_text('{"version": 0}')
    assert read_installed(tmp_path / "installed.json") is None


def test_a_signal_fits_whatever_the_reason() -> None:
    body = _body("FAILURE", "ü\x00\n" * 20_000 + "the end", "d" * 500, "i-0")
    assert len(body) <= LARGEST
    assert json.loads(body)["Reason"].endswith("the end")


def test_urls_of_wait_handles_are_in_no_message() -> None:
    said = {
        "release": "r",
        "bucket": "b",
        "key": "k",
        "sha256": "s",
        "signal": "https://secret",
        "booted": "https://too",
    }
    assert "https" not in repr(pointer_from_text(json.dumps(said)))


# Credentials of bots


def test_a_bot_with_credentials_reaches_its_own_secrets_and_nothing_of_the_stage() -> None:
    own = {"KEY": SecretReference(secret="mine", key="KEY"), "ARN": SecretReference(secret="arn:aws:secretsmanager:x")}
    pool_spec = replace(a_pool_spec(), secrets=own)
    installed = InstalledRelease(
        "0" * 64, RunnerSpec("f", "s", (pool_spec,), ()), {}, "assets", {"history": "f.s.jobs"}
    )
    sector = InstanceSector("f", "s", "here", "eu-west-2", "/f/s/here/release", "/f/s/gate", "/f/s/here", "/f/s/here")
    policy = json.loads(session_policy(pool_spec, installed, sector))
    denied = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    assert denied[0]["NotResource"] == ["arn:*:secretsmanager:*:*:secret:mine-??????", "arn:aws:secretsmanager:x"]
    closed = denied[1]["Resource"]
    for resource in ("parameter/f/s/here/*", "log-group:/f/s/here:*", ":f-s-*", ":::assets/*", "table/f.s.jobs*"):
        assert [one for one in closed if one.endswith(resource)], resource
    assert len(json.dumps(policy, separators=(",", ":"))) <= 2048, "what STS takes"


def test_a_session_is_asked_for_anew_before_it_ends() -> None:
    asked: list[str] = []
    lives = iter([timedelta(minutes=19), timedelta(minutes=60)])

    def assume(policy: str) -> dict[str, Any]:
        asked.append(policy)
        ends = datetime.now(UTC) + next(lives)
        return {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", "Expiration": ends}

    credentials = BotCredentials(assume, lambda *_: None)
    pool_spec = replace(a_pool_spec(), arguments=BotArguments(aws_credentials=True))
    installed = InstalledRelease("0" * 64, RunnerSpec("f", "s", (pool_spec, a_pool_spec("other")), ()), {}, "assets")
    sector = InstanceSector("f", "s", "here", "eu-west-2", "/f/s/here/release", "/f/s/gate", "/f/s/here", "/f/s/here")
    variables = credentials.variables(installed, sector)
    assert [*variables] == [("here", "bot")]
    token = variables["here", "bot"]["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    assert [credentials.answer(token)[0] for _ in range(3)] == [200, 200, 200]
    assert len(asked) == 2
    assert credentials.answer("")[0] == 403
    credentials.close()


# Spot


def test_a_spot_notice_ends_the_runner_and_gives_back_what_is_not_done_in_time() -> None:
    answers = iter([None, None, '{"action": "terminate", "time": "2026-11-29T12:00:00Z"}'])
    slept: list[float] = []
    cold: list[bool] = []

    async def sleep(seconds: float) -> None:
        if seconds == FINISH:
            assert presence.why_gone() == "this instance will be taken away: terminate at 2026-11-29T12:00:00Z"
        slept.append(seconds)

    presence = SpotPresence(lambda _: next(answers), lambda *_: None, lambda: cold.append(True), sleep)
    asyncio.run(presence.follow())
    assert slept == [5.0, 5.0, FINISH]
    assert cold == [True]


# Status


def test_a_status_costs_one_item_a_minute_and_fits() -> None:
    items: list[dict[str, Any]] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 60:
            raise Enough

    table = StatusTable(
        RunnerIdentity("here", "eu-west-2", "i-0"),
        items.append,
        lambda *_: None,
        lambda: "a secret has no value",
        random.Random(1).random,
        sleep,
        lambda: 1000.0,
    )
    for _ in range(1000):
        table.publish(Status(1, 2.0, "open", "gate 1", (WorkerStatus("here", "bot", 1, 5, "busy", 1.0, 0, 3, 0, 1),)))
    with pytest.raises(Enough):
        asyncio.run(table.follow())
    assert len(items) == 60 and sum(slept) == pytest.approx(60 * STATUS_EVERY, rel=0.05)
    assert (items[0]["run"], items[0]["id"]) == ("RUNNER#here", "status")
    said = json.loads(items[0]["status"])
    assert (said["trouble"], said["workers"][0]["state"]) == ("a secret has no value", "busy")
    workers = tuple(WorkerStatus("here", "b" * 40, n, 5, "busy", 1.0, 0, 3, 0, 1, "x" * 200) for n in range(2000))
    table.publish(Status(1, 2.0, "open", "gate 1", workers))
    assert len(json.dumps(table.item())) < 400_000


def test_a_status_that_somebody_may_wait_for_is_written_at_once() -> None:
    items: list[dict[str, Any]] = []

    async def follow() -> None:
        written = asyncio.Event()

        def put(item: dict[str, Any]) -> None:
            items.append(item)
            loop.call_soon_threadsafe(written.set)

        async def sleep(seconds: float) -> None:
            await asyncio.Event().wait()

        async def next_item() -> Status:
            await asyncio.wait_for(written.wait(), PATIENCE)
            written.clear()
            content = json.loads(items[-1]["status"])
            return Status(1, 2.0, content["gate"], content["request"])

        loop = asyncio.get_running_loop()
        identity = RunnerIdentity("here", "eu-west-2", "i-0")
        table = StatusTable(identity, put, lambda *_: None, lambda: None, lambda: 0.5, sleep, lambda: 1000.0)
        following = asyncio.create_task(table.follow())
        assert (await next_item()).gate == "starting"
        for asked in (Status(1, 2.0, "closing", "r1"), Status(1, 2.0, "closed", "r1"), Status(1, 2.0, "closed", "r2")):
            table.publish(asked)
            assert await next_item() == asked
        broken = (PoolStatus("here", "bot", "bot", False, "five deaths"),)
        table.publish(Status(1, 2.0, "closed", "r2", pools=broken))
        await next_item()
        assert "five deaths" in items[-1]["status"]
        table.publish(Status(1, 2.0, "closed", "r2", pools=broken, lost_log_bytes=1))
        for _ in range(10):
            await asyncio.sleep(0)
        following.cancel()

    asyncio.run(follow())
    assert len(items) == 5, "nobody waits for the last one"


# The spool


def messages(found: Sequence[Spooled]) -> list[Any]:
    return [one.message["n"] for one in found]


def read_all(reader: SpoolReader, most: int = 200) -> list[Any]:
    found: list[Any] = []
    while read := reader.read(most):
        found += messages(read)
        reader.acknowledge(read[-1].end)
    return found


def test_what_is_spooled_is_read_once_and_in_order_whatever_is_restarted(tmp_path: Path) -> None:
    numbers = itertools.count()
    read: list[Any] = []
    for _ in range(5):
        writer = SpoolWriter(tmp_path, segment=300)
        reader = SpoolReader(tmp_path)
        for _ in range(20):
            writer.append([(n, {"n": n}) for n in itertools.islice(numbers, 3)])
        read += read_all(reader)
        writer.append([(0, {"n": next(numbers)})])
        writer.close()
    assert read + read_all(SpoolReader(tmp_path)) == [*range(5 * 61)]
    assert len([*tmp_path.glob("*.jsonl")]) <= 2, "what was read is removed"


def test_half_a_line_of_a_writer_that_was_killed_is_passed_over(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    writer.append([(1, {"n": 1})])
    (segment,) = tmp_path.glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b'[2, {"n"')
    assert messages(SpoolReader(tmp_path).read(1000)) == [1]
    again = SpoolWriter(tmp_path)
    again.append([(3, {"n": 3})])
    assert read_all(SpoolReader(tmp_path)) == [1, 3]


def test_the_oldest_give_way_when_the_spool_is_full(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, segment=1000, largest=5000)
    for n in range(1000):
        writer.append([(n, {"n": n})])
    assert sum(one.stat().st_size for one in tmp_path.glob("*.jsonl")) <= 6000
    reader = SpoolReader(tmp_path)
    found = read_all(reader, 1000)
    assert found == [*range(found[0], 1000)] and found[0] > 0
    assert reader.dropped > 0


def test_batches_are_within_the_limits_of_cloudwatch() -> None:
    hour = 3_600_000
    events = [Spooled(n, n + 1, n * hour // 10, {"n": n, "text": "x" * (n % 7) * 20_000}) for n in range(2000)]
    events += [Spooled(n, n + 1, 0, {"n": n}) for n in range(2000, 25_000)]
    found = batches(events)
    assert [one for batch in found for one in batch] == events
    for batch in found:
        moments = [one.moment for one in batch]
        assert len(batch) <= 10_000
        assert max(moments) - min(moments) <= 24 * hour
        assert sum(len(json.dumps({**one.message, "at": one.at})) + 26 for one in batch) <= 1_048_576


class Stream:
    """A LogStream. `refusal`: why it takes nothing; `forgets`: it takes what it gets, and the answer is lost."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusal: FactoryError | None = None
        self.answer_lost = False

    def put(self, events: Sequence[dict[str, Any]]) -> None:
        if self.refusal:
            raise self.refusal
        assert [one["timestamp"] for one in events] == sorted(one["timestamp"] for one in events)
        self.texts += [one["message"] for one in events]
        if self.answer_lost:
            raise AwsError("logs", "ReadTimeoutError", "")

    def last(self) -> dict[str, Any] | None:
        return json.loads(self.texts[-1]) if self.texts else None  # type: ignore[no-any-return]

    def lines(self) -> list[Any]:
        return [json.loads(text)["text"] for text in self.texts]


def test_a_batch_whose_answer_was_lost_is_not_sent_again(tmp_path: Path) -> None:
    logs, stream, said = SpooledLogs(tmp_path, lambda: None), Stream(), list[str]()
    shipper = LogShipper(tmp_path, stream, lambda text, _: said.append(text))
    logs.add_lines("here/bot.1", "j", 1.0, [b"one", b"two"])
    assert shipper.ship()
    stream.answer_lost = True
    logs.add_lines("here/bot.1", None, 0.5, [b"three"])
    assert not shipper.ship()
    assert read_position(tmp_path) != Position(0, 0)
    stream.answer_lost = False
    logs.add_lines("here/bot.1", None, 2.0, [b"four"])
    assert LogShipper(tmp_path, stream, lambda *_: None).ship()
    assert stream.lines() == ["one", "two", "three", "four"]


def test_an_outage_is_said_once_and_its_lines_come_later(tmp_path: Path) -> None:
    logs, stream, said = SpooledLogs(tmp_path, lambda: None), Stream(), list[str]()
    shipper = LogShipper(tmp_path, stream, lambda text, _: said.append(text))
    stream.refusal = AwsError("logs", "EndpointConnectionError", "")
    for n in range(5):
        logs.add_lines("here/bot.1", "j", float(n), [b"line %d" % n])
        assert not shipper.ship()
    stream.refusal = None
    assert shipper.ship()
    assert stream.lines() == [f"line {n}" for n in range(5)]
    assert len(said) == 2


# An installed release


def test_bots_of_an_instance_are_stopped_along_the_workflow() -> None:
    def bot(name: str, *successors: str) -> BotRelease:
        return BotRelease(name, name, "d" * 64, successors=tuple(Successor(one, one, "here") for one in successors))

    bots = (bot("last"), bot("alone"), bot("next", "last", "elsewhere"), bot("first", "next"))
    assert end_order(SectorRelease("works", "prod", "here", bots)) == ("first", "next", "last", "alone")
