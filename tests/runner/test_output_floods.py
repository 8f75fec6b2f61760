"""A worker that talks without end, on its socket or its log, takes a bounded share of the runner's every turn."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from local_works import PATIENCE, Works, bot, lives, until

from factory_cdk.runner.process import TURN_MESSAGES, TURN_OUTPUT, WorkerProcess
from factory_cdk.runner.time_budget import SHARE, WINDOW

FLOODS = {
    "messages": """
import os, struct, sys
body = b'{"kind":"status","status":"well"}'
while True:
    os.write(int(sys.argv[1]), (struct.pack(">I", len(body)) + body) * 1000)
""",
    "output": "import os\nwhile True: os.write(1, b'y\\n' * 10_000)",
}


@pytest.mark.parametrize("flood", FLOODS)
def test_one_turn_of_the_loop_takes_no_more_than_its_share_of_a_flood(tmp_path: Path, flood: str) -> None:
    heard = asyncio.run(asyncio.wait_for(turns_of(FLOODS[flood], tmp_path), PATIENCE))
    assert sum(heard) >= 100 * TURN_MESSAGES
    turn = TURN_MESSAGES if flood == "messages" else TURN_OUTPUT
    assert max(heard) <= 2 * turn  # the place of this test's own step within a turn may change


async def turns_of(program: str, folder: Path) -> list[int]:
    """How many messages and bytes of output were heard in each turn of the loop, until it is a flood."""
    loop = asyncio.get_running_loop()
    process = WorkerProcess(
        lambda descriptor, _permits: [sys.executable, "-c", program, str(descriptor)], str(folder), os.environ
    )
    heard, ended = [0], loop.create_future()

    def count(what: Any) -> None:
        heard[-1] += len(what) if isinstance(what, bytes) else 1

    process.report_to(on_message=count, on_output=count, on_end=ended.set_result)
    while not ended.done():
        if sum(heard) >= 100 * TURN_MESSAGES:
            process.kill()
        heard.append(0)
        await asyncio.sleep(0)
    return heard


CHATTY = """
import os, struct, sys
for number in range(20):
    os.write(1, b"y" * 10_000)
    body = b'{"kind":"status","status":"%d"}' % number
    os.write(int(sys.argv[1]), struct.pack(">I", len(body)) + body)
"""


def test_what_was_printed_before_a_message_comes_before_it_however_long_it_has_to_wait(tmp_path: Path) -> None:
    """Else the lines of a job would lose its id, and its failure what it printed, wherever the machine is busy."""

    async def listen() -> list[int]:
        loop = asyncio.get_running_loop()
        process = WorkerProcess(
            lambda descriptor, _permits: [sys.executable, "-c", CHATTY, str(descriptor)], str(tmp_path), os.environ
        )
        printed, before, ended = [0], [], loop.create_future()

        def take_long(output: bytes) -> None:
            printed[0] += len(output)
            until = loop.time() + 2 * SHARE * WINDOW
            while loop.time() < until:
                pass

        process.report_to(on_message=lambda _: before.append(printed[0]), on_output=take_long, on_end=ended.set_result)
        assert await asyncio.wait_for(ended, PATIENCE) == 0
        return before

    before = asyncio.run(listen())
    assert len(before) == 20
    assert [count for number, count in enumerate(before, 1) if count < number * 10_000] == []


LARGE = """
import os, struct, sys
body = b'{"kind":"large","list":[' + b"1," * (4 << 20) + b'1]}'  # takes any machine a while to read
while True:
    frame = struct.pack(">I", len(body)) + body
    while frame:
        frame = frame[os.write(int(sys.argv[1]), frame):]
"""


@pytest.mark.slow
def test_between_two_large_messages_there_is_time_for_others(tmp_path: Path) -> None:
    async def moments() -> list[float]:
        loop = asyncio.get_running_loop()
        process = WorkerProcess(
            lambda descriptor, _permits: [sys.executable, "-c", LARGE, str(descriptor)], str(tmp_path), os.environ
        )
        heard: list[float] = []
        ended = loop.create_future()

        def hear(_: object) -> None:
            heard.append(loop.time())
            if len(heard) > 5:
                process.kill()

        process.report_to(on_message=hear, on_output=print, on_end=ended.set_result)
        await ended
        return heard

    heard = asyncio.run(asyncio.wait_for(moments(), PATIENCE))
    pauses = [after - before for before, after in itertools.pairwise(heard)]
    assert min(pauses) >= WINDOW * 0.9


@pytest.mark.parametrize("flood", FLOODS)
def test_a_process_that_a_dead_worker_left_behind_cannot_hold_up_the_runner(
    works: Works, tmp_path: Path, flood: str
) -> None:
    works.write(
        "leaving.py",
        f"""
        import os
        from pathlib import Path

        def leave(job):
            if job.attempt > 1:
                return "done"
            if os.fork() == 0:
                os.setsid()  # out of the worker's group
                Path(job.payload + ".new").write_text(str(os.getpid()))
                os.rename(job.payload + ".new", job.payload)
                try:
                    exec({FLOODS[flood]!r})
                finally:
                    os._exit(0)
            while not os.path.exists(job.payload):
                pass
            os._exit(1)
        """,
    )
    works.build(bot("leave", "leaving:leave"))
    (record,) = works.run("leave", str(tmp_path / "child"))
    assert (record.result, record.attempts) == ("done", 2)
    assert record.failures[0].type == "WorkerDied"
    until(lambda: not lives(int((tmp_path / "child").read_text())))
