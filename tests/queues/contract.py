"""What every queue engine promises, as one suite. A test module subclasses `QueueContract`, and `SharedContract` where
processes share the queues, and provides the fixture `engine`; nothing in here knows which engine it is."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from queue_calls import claim, depth, extend, fail, finish, reclaim, release, settle_and_claim

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import Queues
from factory_cdk.queues.port import Depth, Failed, Failure, Finished, Forward, Job, Lease, UnstorableError, Wanted

OTHER_PROCESS = Path(__file__).with_name("other_process.py")
MIB = 1024 * 1024


@dataclass
class Engine:
    """The engine under test.

    `open` gives another handle on the same queues. `advance` lets time pass on the clock of every handle of
    this process (by waiting, where the clock is somebody else's), `second` is what a second is there. `wait` is for how
    many seconds what is there may not be seen. `factory` and `arguments` open the queues in another process.
    """

    open: Callable[[], Queues]
    advance: Callable[[float], None]
    second: float = 1.0
    wait: float = 0.0
    factory: str = ""
    arguments: list[Any] = field(default_factory=list)


def job(name: str, payload: Any = None, **more: Any) -> Job:
    return Job(name, more.pop("bot", "bot"), payload, more.pop("run", "run"), **more)


def failure(number: int = 1) -> Failure:
    return Failure("ValueError", f"bad value {number} — “ünïcode”", f"Traceback …\nline {number}", number)


class OtherProcess:
    """A process that has the queues open and does what it is told, one command at a time."""

    def __init__(self, engine: Engine) -> None:
        opening = json.dumps({"factory": engine.factory, "arguments": engine.arguments})
        self.process = subprocess.Popen(
            [sys.executable, str(OTHER_PROCESS), opening], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, *command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the other process ended with {self.process.wait()}"
        return json.loads(line)

    def do(self, *command: Any) -> Any:
        self.tell(*command)
        return self.hear()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def other_process(engine: Engine) -> Iterator[OtherProcess]:
    other = OtherProcess(engine)
    try:
        yield other
    finally:
        other.close()


class QueueContract:
    """The suite. Every test gets fresh, empty queues."""

    @pytest.fixture
    def queues(self, engine: Engine) -> Iterator[Queues]:
        queues = engine.open()
        yield queues
        queues.close()

    def take(self, engine: Engine, queues: Queues, queue: str = "q", n: int = 10, lease: float = 30) -> list[Lease]:
        """Claim until nothing more comes, or `n` have."""
        taken: list[Lease] = []
        deadline = time.monotonic() + engine.wait
        while len(taken) < n:
            more = claim(queues, queue, n - len(taken), lease=lease)
            taken += more
            if not more and time.monotonic() >= deadline:
                break
        return taken

    def ids(self, leases: list[Lease]) -> list[str]:
        return [lease.job.id for lease in leases]

    # Sending and receiving

    def test_an_empty_queue_gives_nothing(self, engine: Engine, queues: Queues) -> None:
        assert claim(queues, "q", 10, lease=30) == []

    def test_what_was_sent_is_received_whole(self, engine: Engine, queues: Queues) -> None:
        sent = Job("id-1", "my_bot", {"x": 1}, "run-9", "parent-3", 2, {"who": "me", "Ünï": "çødé 🚀"})
        queues.send("q", [sent])
        (lease,) = self.take(engine, queues)
        assert lease.job == sent
        assert lease.queue == "q"

    @pytest.mark.parametrize(
        "payload",
        [
            None,
            True,
            False,
            0,
            -(2**70),
            1.5,
            1e300,
            "",
            "text",
            "quote \" ' and \\ and \n\x00\x1f",
            "日本語 🚀 é",
            "\ud800 alone",
            [],
            {},
            [1, [2, [3, {"a": None}]]],
            {"": {"ключ": ["значение"]}, "list": [{}, []]},
        ],
        ids=lambda payload: ascii(payload)[:20],
    )
    def test_every_kind_of_json_comes_back_as_it_was(self, engine: Engine, queues: Queues, payload: Any) -> None:
        queues.send("q", [job("one", payload)])
        (lease,) = self.take(engine, queues)
        assert lease.job.payload == payload
        assert type(lease.job.payload) is type(payload)

    @pytest.mark.parametrize("size", [1000, 1024, 5000, 256 * 1024, MIB - 2, MIB, MIB + 1, 3 * MIB])
    def test_a_payload_of_any_size_comes_back_as_it_was(self, engine: Engine, queues: Queues, size: int) -> None:
        queues.send("q", [job("large", "x" * size), job("small", 1)])
        received = {lease.job.id: lease.job.payload for lease in self.take(engine, queues)}
        assert received == {"large": "x" * size, "small": 1}

    def test_a_large_result_goes_to_every_successor(self, engine: Engine, queues: Queues) -> None:
        large = {"data": "é" * MIB}
        queues.send("q", [job("one", large)])
        (lease,) = self.take(engine, queues)
        result = {"again": lease.job.payload["data"]}
        forwards = [Forward(name, job(f"one.{name}", result, parent="one")) for name in ("left", "right")]
        assert finish(queues, lease, forwards, result)
        for name in ("left", "right"):
            (child,) = self.take(engine, queues, name)
            assert child.job.payload == result

    @pytest.mark.parametrize("payload", [float("nan"), float("inf"), {"x": object()}, {1, 2}, b"bytes"])
    def test_what_is_not_json_is_refused_before_anything_is_sent(
        self, engine: Engine, queues: Queues, payload: Any
    ) -> None:
        with pytest.raises(FactoryError, match="job bad"):
            queues.send("q", [job("good", 1), job("bad", payload)])
        assert self.take(engine, queues) == []

    def test_a_result_that_is_not_json_leaves_the_job_in_hand(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        (lease,) = self.take(engine, queues)
        with pytest.raises(FactoryError, match="job one"):
            finish(queues, lease, [], {"x": float("nan")})
        assert finish(queues, lease, [], None)

    def test_jobs_come_in_the_order_in_which_they_were_sent(self, engine: Engine, queues: Queues) -> None:
        names = [f"job-{number}" for number in range(25)]
        for start in range(0, 25, 5):
            queues.send("q", [job(name) for name in names[start : start + 5]])
        received = self.ids(self.take(engine, queues, n=25))
        ordered = queues.capabilities.ordered
        assert (received if ordered else sorted(received)) == (names if ordered else sorted(names))

    def test_no_more_jobs_come_than_were_asked_for(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job(str(number)) for number in range(12)])
        assert len(claim(queues, "q", 1, lease=30)) <= 1
        assert len(claim(queues, "q", 7, lease=30)) <= 7
        assert len(self.take(engine, queues, n=3)) == 3
        assert claim(queues, "q", 0, lease=30) == []

    def test_sending_no_jobs_is_allowed(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [])
        assert self.take(engine, queues) == []

    def test_a_job_whose_id_was_seen_is_not_sent_again(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one", 1), job("one", 2)])
        queues.send("q", [job("one", 3)])
        (lease,) = self.take(engine, queues)
        assert lease.job.payload in (1, 2, 3)
        queues.send("q", [job("one", 4)])
        assert finish(queues, lease, [])
        queues.send("q", [job("one", 5)])
        assert self.take(engine, queues) == []

    def test_queues_do_not_see_each_other_s_jobs(self, engine: Engine, queues: Queues) -> None:
        names = [f"queue-{number}" for number in range(20)] + ["Ünï code/../'; --", "x" * 200]
        for name in names:
            queues.send(name, [job(f"of {name}")])
        for name in names:
            assert self.ids(self.take(engine, queues, name)) == [f"of {name}"]

    def test_another_handle_sees_what_was_sent(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        another = engine.open()
        try:
            assert self.ids(self.take(engine, another)) == ["one"]
            assert self.take(engine, queues) == []
        finally:
            another.close()

    # Delays and leases

    def test_a_delayed_job_is_ready_after_its_delay(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("later")], delay=2 * engine.second)
        assert self.take(engine, queues) == []
        assert depth(queues, "q").delayed == 1
        engine.advance(2.5 * engine.second)
        assert self.ids(self.take(engine, queues)) == ["later"]

    def test_a_leased_job_is_nobody_else_s(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        assert len(self.take(engine, queues)) == 1
        assert self.take(engine, queues) == []

    def test_a_lease_that_ends_makes_the_job_ready_with_the_attempt_counted(
        self, engine: Engine, queues: Queues
    ) -> None:
        queues.send("q", [job("one", 7)])
        (first,) = self.take(engine, queues, lease=2 * engine.second)
        engine.advance(2.5 * engine.second)
        (second,) = self.take(engine, queues, lease=2 * engine.second)
        assert (second.job.id, second.job.payload, second.job.attempt) == ("one", 7, 2)
        assert first.token != second.token
        engine.advance(2.5 * engine.second)
        (third,) = self.take(engine, queues)
        assert third.job.attempt == 3

    def test_an_extended_lease_holds_for_longer(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        (lease,) = self.take(engine, queues, lease=2 * engine.second)
        (longer,) = extend(queues, [lease], 10 * engine.second)
        assert longer.deadline > lease.deadline
        assert longer.job == lease.job
        engine.advance(3 * engine.second)
        assert self.take(engine, queues) == []
        assert finish(queues, longer, [])

    def test_extending_tells_which_leases_were_lost(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("kept"), job("lost"), job("done")])
        leases = {lease.job.id: lease for lease in self.take(engine, queues, lease=2 * engine.second)}
        assert finish(queues, leases["done"], [])
        assert len(extend(queues, [leases["kept"]], 60 * engine.second)) == 1
        engine.advance(2.5 * engine.second)
        assert self.ids(self.take(engine, queues)) == ["lost"]
        assert self.ids(extend(queues, list(leases.values()), 60)) == ["kept"]

    def test_a_stale_lease_can_do_nothing(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        (stale,) = self.take(engine, queues, lease=2 * engine.second)
        engine.advance(2.5 * engine.second)
        (held,) = self.take(engine, queues)
        assert not finish(queues, stale, [Forward("next", job("child"))], "stale")
        assert not fail(queues, stale, failure(), delay=0)
        assert not fail(queues, stale, failure(), delay=None)
        assert not release(queues, stale)
        assert extend(queues, [stale], 60) == []
        assert self.take(engine, queues, "next") == []
        assert queues.history.dead_letters("q", 10) == []
        assert finish(queues, held, [])

    def test_an_invented_lease_can_do_nothing(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        (held,) = self.take(engine, queues)
        for token in ("", "1", "1.", f"1.{'0' * 32}", "x.y", "99." + held.token):
            assert not finish(queues, Lease(held.job, "q", token, held.deadline), [])
        assert finish(queues, held, [])

    # Finishing and failing

    def test_a_finished_job_is_gone(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        (lease,) = self.take(engine, queues, lease=2 * engine.second)
        assert finish(queues, lease, [])
        assert not finish(queues, lease, [])
        engine.advance(2.5 * engine.second)
        assert self.take(engine, queues) == []

    def test_finishing_sends_every_forward(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        (lease,) = self.take(engine, queues)
        children = [Forward(f"next-{number}", job(f"child-{number}", number, parent="one")) for number in range(5)]
        assert finish(queues, lease, children, "result")
        for forward in children:
            assert [got.job for got in self.take(engine, queues, forward.queue)] == [forward.job]

    def test_a_forward_that_was_sent_before_is_recognised(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        queues.send("next", [job("child")])
        (lease,) = self.take(engine, queues)
        assert finish(queues, lease, [Forward("next", job("child"))])
        assert self.ids(self.take(engine, queues, "next")) == ["child"]

    def test_a_failed_job_is_ready_after_its_delay_as_the_next_attempt(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one", "payload")])
        (lease,) = self.take(engine, queues)
        assert fail(queues, lease, failure(), delay=2 * engine.second)
        assert self.take(engine, queues) == []
        engine.advance(2.5 * engine.second)
        (again,) = self.take(engine, queues)
        assert (again.job.id, again.job.payload, again.job.attempt) == ("one", "payload", 2)

    def test_a_failed_job_without_delay_is_ready_at_once(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one")])
        (lease,) = self.take(engine, queues)
        assert fail(queues, lease, failure(), delay=0)
        (again,) = self.take(engine, queues)
        assert again.job.attempt == 2

    def test_a_dead_letter_keeps_the_job_and_every_failure(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one", {"p": 1}, tags={"a": "b"})])
        for attempt in (1, 2, 3):
            (lease,) = self.take(engine, queues)
            assert fail(queues, lease, failure(attempt), delay=0 if attempt < 3 else None)
        assert self.take(engine, queues) == []
        (dead,) = queues.history.dead_letters("q", 10)
        assert (dead.queue, dead.job.id, dead.job.payload, dead.job.tags) == ("q", "one", {"p": 1}, {"a": "b"})
        assert dead.failures == (failure(1), failure(2), failure(3))
        assert depth(queues, "q").dead == 1

    def test_dead_letters_come_oldest_first_and_not_more_than_asked_for(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job(str(number)) for number in range(4)])
        for lease in self.take(engine, queues, n=4):
            assert fail(queues, lease, failure(), delay=None)
        found = [dead.job.id for dead in queues.history.dead_letters("q", 3)]
        assert len(found) == 3
        assert found == ["0", "1", "2"] or not queues.capabilities.ordered
        assert queues.history.dead_letters("other", 3) == []

    def test_a_released_job_is_ready_at_once_and_the_attempt_is_not_counted(
        self, engine: Engine, queues: Queues
    ) -> None:
        queues.send("q", [job("one"), job("two")])
        lease = self.take(engine, queues, n=1)[0]
        assert release(queues, lease)
        assert not release(queues, lease)
        again = {one.job.id: one.job.attempt for one in self.take(engine, queues)}
        assert again == {"one": 1, "two": 1}

    def test_depth_counts_ready_delayed_leased_and_dead(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job(str(number)) for number in range(6)])
        queues.send("q", [job("later"), job("later still")], delay=60)
        leases = self.take(engine, queues, n=3)
        assert fail(queues, leases[0], failure(), delay=None)
        if queues.capabilities.exact_depths:
            assert depth(queues, "q") == Depth(ready=3, delayed=2, leased=2, dead=1)
        assert depth(queues, "no such queue") == Depth(0, 0, 0, 0)

    # Settling many in one step

    def test_one_step_settles_forwards_and_claims(self, engine: Engine, queues: Queues) -> None:
        queues.send("a", [job(f"a{number}", number) for number in range(4)])
        leases = self.take(engine, queues, "a", n=3)
        settled = [
            Finished(leases[0], [Forward("b", job("b0", "zero"))], "zero"),
            Failed(leases[1], failure(), None),
            Finished(Lease(leases[2].job, "a", "1.stale", 0), [Forward("b", job("b2"))]),
        ]
        wanted = [Wanted("b", 5, 30), Wanted("a", 5, 30), Wanted("none", 5, 30)]
        held, claimed = settle_and_claim(queues, settled, wanted)
        assert held == [True, True, False]
        assert self.ids(claimed) == ["b0", "a3"]
        assert claimed[0].job.payload == "zero"
        assert settle_and_claim(queues, [], [Wanted("a", 0, 30)]) == ([], [])

    def test_a_step_that_is_refused_changes_nothing(self, engine: Engine, queues: Queues) -> None:
        queues.send("a", [job("a0"), job("a1")])
        first, second = self.take(engine, queues, "a")
        with pytest.raises(FactoryError):
            settle_and_claim(queues, [Finished(first, [Forward("b", job("b0"))]), Finished(second, [], object())], [])
        assert self.take(engine, queues, "b") == []
        assert finish(queues, first, [])
        assert finish(queues, second, [])

    def test_what_can_never_be_stored_is_told_from_what_can(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one"), job("two")])
        one, two = self.take(engine, queues)
        settled = [Finished(one, [], {"x": object()}), Finished(two, [], "fine")]
        with pytest.raises(UnstorableError, match="the result of job one is not JSON"):
            settle_and_claim(queues, settled, [])
        assert "the result of job one is not JSON" in str(queues.unstorable(settled[0]))
        assert queues.unstorable(settled[1]) is None
        assert queues.unstorable(Failed(one, failure(), None)) is None

    def test_many_leases_are_released_at_once(self, engine: Engine, queues: Queues) -> None:
        queues.send("q", [job("one"), job("two"), job("three")])
        one, two, three = self.take(engine, queues)
        assert finish(queues, two)
        assert asyncio.run(queues.release([one, two, three])) == [True, False, True]
        assert sorted(self.ids(self.take(engine, queues))) == ["one", "three"]

    def test_what_a_dead_runner_had_in_hand_is_reclaimed_at_once_its_attempt_failed(
        self, engine: Engine, queues: Queues
    ) -> None:
        if not queues.capabilities.exclusive_runner:
            pytest.skip("several runners have these queues")
        queues.send("q", [job("held", 1), job("next", 2)])
        queues.send("other", [job("elsewhere", 3)])
        queues.send("q", [job("later", 4)], delay=3600)
        (lease,) = self.take(engine, queues, n=1, lease=3600)
        self.take(engine, queues, "other", n=1, lease=3600)
        assert reclaim(queues) == 2
        assert reclaim(queues) == 0
        assert not finish(queues, lease, []), "whoever had it in hand has lost it"
        again = [*self.take(engine, queues, n=9), *self.take(engine, queues, "other", n=9)]
        assert [(one.job.id, one.job.attempt) for one in again] == [("held", 2), ("next", 1), ("elsewhere", 2)]
        record = queues.history.job("held")
        assert record is not None
        assert [(failure.type, failure.attempt) for failure in record.failures] == [("RunnerDied", 1)]
        assert depth(queues, "q").delayed == 1

    # Wake-ups

    def test_a_subscriber_is_woken_by_a_send_of_somebody_else_until_it_has_enough(
        self, engine: Engine, queues: Queues
    ) -> None:
        another = engine.open()

        async def listen() -> list[str]:
            woken = asyncio.Event()
            subscription = queues.subscribe(["q", "r"], woken.set)
            assert (await queues.settle_and_claim([], [Wanted("r", 1, 60)]))[1] == []
            another.send("r", [job("one")])
            await asyncio.wait_for(woken.wait(), PATIENCE)
            leases: list[Lease] = []
            while not leases:  # a wake-up may come before what it is for
                leases = (await queues.settle_and_claim([], [Wanted("r", 1, 60)]))[1]
            subscription.close()
            subscription.close()
            woken.clear()
            another.send("q", [job("two")])
            await asyncio.sleep(0)
            assert not woken.is_set()
            return self.ids(leases)

        assert asyncio.run(listen()) == ["one"]
        another.close()


class SharedContract(QueueContract):
    """The suite for queues that other processes have open too."""

    def test_a_waiting_process_is_woken_by_a_send(self, engine: Engine, queues: Queues) -> None:
        with other_process(engine) as other:
            other.tell("receive", "q", 1, 30, 20)
            queues.send("q", [job("one", "hello")])
            assert [lease["payload"] for lease in other.hear()] == ["hello"]

    def test_two_processes_share_the_work_and_do_every_step_once(self, engine: Engine, queues: Queues) -> None:
        chains = 60
        with other_process(engine) as first, other_process(engine) as second:
            for other in (first, second):
                other.tell("work", {"a": "b", "b": "c", "c": "end"}, chains, 30)
            for number in range(0, chains, 10):
                queues.send("a", [job(f"chain-{start}", start) for start in range(number, number + 10)])
            done = first.hear() + second.hear()
        assert sorted(done) == sorted(f"chain-{number}.b.c" for number in range(chains))
        ended = {lease.job.id: lease.job.payload for lease in self.take(engine, queues, "end", n=chains + 1)}
        assert ended == {f"chain-{number}.b.c.end": number + 3 for number in range(chains)}

    @pytest.mark.parametrize("steps", range(6))
    def test_a_process_killed_between_two_steps_loses_nothing(self, engine: Engine, queues: Queues, steps: int) -> None:
        commands: list[list[Any]] = [
            ["send", "a", [["one", 1], ["two", 2]]],
            ["receive", "a", 1, 5 * engine.second, engine.wait],
            ["finish", "b", "one.b"],
            ["receive", "a", 1, 5 * engine.second, engine.wait],
            ["fail"],
        ]
        with other_process(engine) as other:
            for command in commands[:steps]:
                other.do(*command)
            other.kill()
        engine.advance(10 * engine.second)
        found = {lease.job.id for name in ("a", "b") for lease in self.take(engine, queues, name)}
        expected = [set(), {"one", "two"}, {"one", "two"}, {"one.b", "two"}, {"one.b", "two"}, {"one.b", "two"}]
        assert found == expected[steps]

    def test_processes_killed_at_any_moment_lose_nothing_and_finish_nothing_twice(
        self, engine: Engine, queues: Queues
    ) -> None:
        dice = random.Random(20)  # noqa: S311
        everything = {f"chain-{number}.b.c" for number in range(40)}
        queues.send("a", [job(f"chain-{number}", number) for number in range(40)])
        done: list[str] = []
        for _ in range(8):
            with other_process(engine) as other:
                other.tell("stream", {"a": "b", "b": "c", "c": "end"}, 5 * engine.second)
                for _ in range(dice.randrange(1, 12)):
                    heard = other.hear()
                    if heard is None:
                        break
                    done.append(heard)
                other.kill()
                assert other.process.stdout is not None
                rest = other.process.stdout.read().splitlines()
                done += [json.loads(line) for line in rest if line.endswith('"')]
            engine.advance(10 * engine.second)
        while leases := [lease for name in "cba" for lease in self.take(engine, queues, name)]:
            for lease in leases:
                following = {"a": "b", "b": "c", "c": "end"}[lease.queue]
                assert finish(queues, lease, [Forward(following, job(f"{lease.job.id}.{following}"))])
                if following == "end":
                    done.append(lease.job.id)
        ended = self.ids(self.take(engine, queues, "end", n=1000))
        assert sorted(ended) == sorted(f"{name}.end" for name in everything)
        assert set(done) <= everything
        if queues.capabilities.atomic:
            assert len(done) == len(set(done))
