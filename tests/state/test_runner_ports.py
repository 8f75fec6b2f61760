"""A runner is the same whatever serves its ports: the real one, with real workers and an SQLite queue, on ports in
memory, in this process; and both implementations of the ports keep what the protocols promise.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
from memory_ports import Outside, ProcessList
from patience import PATIENCE
from queue_calls import depth

from factory_cdk.diagnostics import FactoryError
from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments, SecretReference, Successor
from factory_cdk.queues.opening import Location, MemoryLocation, Queues, SqliteLocation, open_queues
from factory_cdk.queues.port import Job, JobRecord
from factory_cdk.runner.purge import tidy
from factory_cdk.runner.runner import Runner
from factory_cdk.state.files import write_json
from factory_cdk.state.folder_ports import ports_of
from factory_cdk.state.ports import RequestSource, SpecStore
from factory_cdk.state.requests import RunnerRequest, ask, ask_for_spec
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, Timings, spec_as_json
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.state.status import Status, read_status

T = TypeVar("T")

VALUE = "s3cret-that-nobody-else-sees"
VERSIONS = """
import os, time
from pathlib import Path

def old(payload):
    print("old gets", payload)
    if payload == "secret":
        return len(os.environ["KEY"])
    if payload.startswith("/"):
        Path(payload + ".begun").touch()
        while not Path(payload).exists():
            time.sleep(0.001)
    return "old " + payload

def new(payload):
    return "new " + payload

def check(payload):
    return payload
"""


async def until(reached: Callable[[], T | None]) -> T:
    """What `reached` answers, asked until that is true, while the runner goes on."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := reached()):
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)
    return answer


def pool_spec(code: Path, bot: str, target: str, *successors: str, **more: object) -> PoolSpec:
    spec = PoolSpec(
        sector="here",
        bot=bot,
        queue=bot,
        successors=tuple(Successor(one, one, "here") for one in successors),
        arguments=BotArguments(max_attempts=2),
        start=Start("target", (target,)),
        transport=FACTORY_QUEUES,
        processes=1,
        bundle="/bundle",
        folder=str(code),
        roots=(str(code),),
        python=sys.executable,
        bins=(str(Path(sys.executable).parent),),
        bytecode=None,
        variables={"FACTORY_BOT": bot},
        secrets={},
    )
    return replace(spec, **more)  # type: ignore[arg-type]


@dataclass
class Running:
    """A runner at work, what is around it, and its queues as others see them."""

    outside: Outside
    queues: Queues
    guardian: ProcessList
    ended: Awaitable[None]

    def send(self, run: str, *payloads: str) -> None:
        self.queues.send(
            "make", [Job(f"{run}-{number}", "make", payload, run) for number, payload in enumerate(payloads, 1)]
        )

    async def done(self, run: str) -> list[JobRecord]:
        """Every job of `run`, once all are final."""
        await until(lambda: not self.queues.history.remaining(run))
        return list(self.queues.history.outcomes(run))

    async def answered(self, request: str, gate: str) -> None:
        await until(lambda: (self.outside.last.request, self.outside.last.gate) == (request, gate))

    async def decided(self, request: str) -> str:
        """What became of the request for another spec."""

        def outcome() -> str | None:
            update = self.outside.last.update
            return update.outcome if update and update.request == request and update.outcome != "starting" else None

        return await until(outcome)

    async def open(self) -> None:
        await self.answered(self.outside.ask(gate="open"), "open")

    async def end(self, how: str = "cold") -> None:
        self.outside.ask(end=how)
        await self.ended


@pytest.fixture
def spec(tmp_path: Path) -> RunnerSpec:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "versions.py").write_text(VERSIONS)
    key = {"KEY": SecretReference()}
    pools = (
        pool_spec(tmp_path / "code", "make", "versions:old", "check", secrets=key),
        pool_spec(tmp_path / "code", "check", "versions:check"),
    )
    timings = Timings(retry_first=0.02, restart_first=0.05, lease_most=5.0, poll=0.02, loop_deaths=2)
    return RunnerSpec("works", "test", pools, ("make", "check"), timings=timings)


def with_target(spec: RunnerSpec, target: str) -> RunnerSpec:
    """The spec whose bot `make` has other code."""
    make, *others = spec.pool_specs
    return replace(spec, pool_specs=(replace(make, start=Start("target", (target,))), *others))


@asynccontextmanager
async def running(spec: RunnerSpec, tmp_path: Path, location: Location | None = None) -> AsyncIterator[Running]:
    """A runner of `spec` that has started its workers, with the queues at `location`, else an SQLite file; it is ended
    at the end of the block.
    """
    location = location or SqliteLocation(tmp_path / "queues" / "queues.sqlite3")
    outside, guardian = Outside(spec, {("here", "make"): {"KEY": VALUE}}), ProcessList()
    with open_queues(location) as queues, open_queues(location) as others:
        runner = Runner(
            outside.ports,
            outside.specs.read(),
            outside.secrets.values(spec),
            queues,
            guardian,
            tidy=functools.partial(tidy, location),
        )
        ended = asyncio.create_task(runner.run())
        try:
            await until(
                lambda: outside.status.published and all(one.state == "stopped" for one in outside.last.workers)
            )
            yield Running(outside, others, guardian, ended)
        finally:
            if not ended.done():
                outside.ask(end="cold")
            await ended
    assert sorted(guardian.watched) == sorted(guardian.forgotten)  # no process is left


@pytest.mark.parametrize("location", [None, MemoryLocation()], ids=["sqlite", "memory"])
def test_a_runner_lives_from_its_start_to_a_warm_end_on_ports_in_memory(
    spec: RunnerSpec, tmp_path: Path, location: Location | None
) -> None:
    async def live() -> Outside:
        async with running(spec, tmp_path, location) as here:
            outside = here.outside
            here.send("first", "a", "b")
            await here.answered(outside.ask(gate="closed"), "closed")
            assert depth(here.queues, "make").ready == 2  # a closed gate lets no job through
            await here.open()
            assert sorted(one.result for one in await here.done("first")) == ["old a", "old a", "old b", "old b"]
            here.send("secret", "secret")
            assert {one.result for one in await here.done("secret")} == {len(VALUE)}

            assert await here.decided(outside.ask_for_spec(with_target(spec, "versions:new"))) == "done"
            assert outside.specs.present.pool_specs[0].start.words == ("versions:new",)
            here.send("second", "a")
            assert {one.result for one in await here.done("second")} == {"new a"}
            assert await here.decided(outside.ask_for_spec(with_target(spec, "versions:nothing"))) == "failed"
            assert outside.specs.present.pool_specs[0].start.words == ("versions:new",)
            assert await here.decided(outside.ask_for_spec(spec)) == "done"

            gate = tmp_path / "gate"
            here.send("third", str(gate))
            await until(gate.with_name("gate.begun").exists)
            await here.answered(outside.ask(gate="closed", end="warm"), "ending")
            gate.touch()
            await here.ended
            third = here.queues.history.outcomes("third")
            assert [one.result for one in third] == [f"old {gate}"] * 2  # and what follows from it, as `end_order` says
            return outside

    outside = asyncio.run(live())
    assert outside.last.gate == "ended"
    assert [one.gate for one in outside.status.published if one.request == "r1"][-1] == "closed"
    assert ("here/make.1", "first-1", "old gets a") in outside.logs.lines
    assert "old gets a\nold gets b\n" in outside.logs.text("here/make.1")
    said = [text for label, _, text in outside.logs.lines if label == "runner"]
    started = "INFO rolling update: starting the new workers"
    done = "INFO rolling update: the new workers took over; jobs in hand of those before: 0"
    broken = "BotNotFound: versions has no 'nothing' (bot_path: versions:nothing)"
    failed = f"ERROR rolling update failed: bot make of here cannot be loaded: {broken}"
    updates = [text for text in said if "rolling update" in text]
    assert updates == [started, done, started, failed, started, done]
    assert said[-1] == "INFO runner ended"
    assert outside.logs.closed
    assert outside.requests.listeners == []
    assert VALUE not in f"{outside.logs.lines} {outside.logs.output} {outside.status.published}"


def test_what_ports_refuse_is_logged_and_the_runner_goes_on(spec: RunnerSpec, tmp_path: Path) -> None:
    refusal = FactoryError("the port refuses", "try again")

    async def live() -> None:
        async with running(spec, tmp_path) as here:
            outside = here.outside
            await here.open()
            outside.requests.refusal = outside.status.refusal = outside.specs.refusal = refusal
            outside.ask(gate="closed")
            outside.ask_for_spec(spec, "unreadable")
            logged = [
                ("runner", None, "ERROR the port refuses; the last request stays in force"),
                ("runner", None, "ERROR the status could not be published: the port refuses"),
                ("runner", None, "WARNING the next spec cannot be read; the workers stay as they are"),
            ]
            await until(lambda: all(line in outside.logs.lines for line in logged))
            outside.status.refusal = None
            assert await here.decided(outside.ask_for_spec(with_target(spec, "versions:new"))) == "failed"
            here.send("run", "a")
            assert {one.result for one in await here.done("run")} == {"old a"}  # its gate is open, its code the same
            assert outside.last.gate == "open"
            assert outside.specs.present == spec
            outside.requests.refusal = None

    asyncio.run(live())


def test_a_runner_whose_stage_is_gone_puts_its_jobs_back_and_ends(spec: RunnerSpec, tmp_path: Path) -> None:
    async def live() -> None:
        async with running(spec, tmp_path) as here:
            await here.open()
            here.send("run", str(tmp_path / "gate"))
            await until((tmp_path / "gate.begun").exists)
            here.outside.presence.gone = "the parameter /works/test was removed"
            await here.ended
            assert depth(here.queues, "make").ready == 1
            gone = "ERROR the parameter /works/test was removed: there is nothing left to run"
            assert ("runner", None, gone) in here.outside.logs.lines

    asyncio.run(live())


def test_lost_log_bytes_are_published(spec: RunnerSpec, tmp_path: Path) -> None:
    async def live() -> None:
        async with running(spec, tmp_path) as here:
            here.outside.logs.lost = 7
            await here.open()
            assert here.outside.last.lost_log_bytes == 7

    asyncio.run(live())


# Both implementations


@pytest.fixture(params=["folder", "memory"])
def told(request: pytest.FixtureRequest, tmp_path: Path, spec: RunnerSpec) -> Told:
    if request.param == "memory":
        outside = Outside(spec, {})
        return Told(outside.specs, outside.requests, outside.ask, outside.ask_for_spec)
    folder = stage_folder(tmp_path, "works", "test")
    folder.path.mkdir(parents=True)
    write_json(folder.spec, spec_as_json(spec))
    ports = ports_of(folder)
    return Told(ports.specs, ports.requests, functools.partial(ask, folder), functools.partial(ask_for_spec, folder))


@dataclass
class Told:
    """The ports by which a runner is told something, and how others tell it."""

    specs: SpecStore
    requests: RequestSource
    ask: Callable[..., str]
    ask_for_spec: Callable[[RunnerSpec], str]


def test_a_spec_is_asked_for_once_and_is_the_present_one_when_it_is_accepted(told: Told, spec: RunnerSpec) -> None:
    async def talk() -> None:
        wanted = with_target(spec, "versions:new")
        assert (told.specs.read(), told.specs.take_next()) == (spec, None)
        told.ask_for_spec(spec)
        request = told.ask_for_spec(wanted)
        assert told.specs.take_next() == (request, wanted)
        assert (told.specs.read(), told.specs.take_next()) == (spec, None)
        told.specs.accept(wanted)
        assert told.specs.read() == wanted

    asyncio.run(talk())


def test_whoever_subscribed_hears_of_requests_and_specs_until_it_unsubscribes(told: Told, spec: RunnerSpec) -> None:
    async def talk() -> None:
        heard = asyncio.Event()
        assert told.requests.read() == RunnerRequest()
        unsubscribe = told.requests.subscribe(heard.set)
        request = told.ask(gate="open", keep_stopped=False)
        await asyncio.wait_for(heard.wait(), PATIENCE)
        assert told.requests.read() == RunnerRequest("open", keep_stopped=False, request=request)
        heard.clear()
        told.ask_for_spec(spec)
        await asyncio.wait_for(heard.wait(), PATIENCE)
        heard.clear()
        unsubscribe()
        ended = told.ask(gate="closed", end="warm")
        assert told.requests.read() == RunnerRequest("closed", end="warm", request=ended)
        for _ in range(3):  # whoever is to hear it does so in the next turn of the loop
            await asyncio.sleep(0)
        assert not heard.is_set()

    asyncio.run(talk())


def test_a_folder_s_ports_notice_that_it_was_replaced_and_write_nothing_into_the_other(tmp_path: Path) -> None:
    folder = stage_folder(tmp_path, "works", "test")
    folder.path.mkdir(parents=True)
    ports = ports_of(folder)
    status = Status(1, 0.0, "open", "r1")
    ports.status.publish(status)
    assert ports.presence.why_gone() is None
    assert read_status(folder) == status
    folder.path.rename(tmp_path / "elsewhere")
    assert ports.presence.why_gone() == f"{folder.path} was removed"
    folder.path.mkdir()
    assert ports.presence.why_gone() == f"{folder.path} was removed"
    ports.status.publish(status)
    assert not folder.status.exists()
