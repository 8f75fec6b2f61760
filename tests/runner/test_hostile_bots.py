"""A bot that is hostile, or broken in a way that looks so, harms its own jobs and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_works import Works, bot, until

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory

PERMITS = """
import fcntl, os, sys, time
from pathlib import Path

def _write(amount):
    theirs = os.open(f"/proc/self/fd/{sys.argv[2]}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while amount:
            amount -= os.write(theirs, bytes(min(amount, 4096)))
    except BlockingIOError:
        pass

def _wait(gate):
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.001)

def forge(gate):
    _write(300)
    _wait(gate)

def fill(gate):
    _write(1 << 20)

def block(gate):
    fcntl.fcntl(int(sys.argv[2]), fcntl.F_SETFL, 0)
    _wait(gate)

def close(gate):
    os.close(int(sys.argv[2]))

def drain(number):
    try:
        while os.read(int(sys.argv[2]), 1):
            pass
    except BlockingIOError:
        pass
    return number
"""
GOOD = "def good(number): return number + 1\n"


def goes_on(works: Works) -> None:
    """The bot beside the hostile one is at work, and the runner is the one that it was."""
    (record,) = works.run("good", 1)
    assert record.result == 2


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a pipe's other end is found in /proc")
@pytest.mark.parametrize("attack", ["forge", "fill", "block", "close"])
def test_a_bot_that_tampers_with_its_permits_holds_up_nobody_else(works: Works, tmp_path: Path, attack: str) -> None:
    works.write("hostile.py", PERMITS)
    works.write("good.py", GOOD)
    works.build(bot("bad", f"hostile:{attack}", max_attempts=1, batch=5), bot("good", "good:good"))
    runner, gate = works.runner(), tmp_path / "gate"
    works.submit("bad", *[str(gate)] * 10)
    if attack in ("forge", "block"):
        until(Path(f"{gate}.begun").exists)
    else:
        until(lambda: works.worker("bad").done + works.worker("bad").failed > 0)
    goes_on(works)
    assert works.runner() == runner
    factory.stop(works.home, "works", None, works.said.append, cold=True)  # takes back what was not begun
    assert "a fault in the runner" not in (works.folder().logs / "stream.log").read_text()


def test_a_bot_that_reads_the_permits_of_its_own_jobs_has_them_done_all_the_same(works: Works) -> None:
    works.write("hostile.py", PERMITS)
    works.write("good.py", GOOD)
    state = works.build(bot("bad", "hostile:drain", max_attempts=1, batch=5), bot("good", "good:good"))
    runner = works.runner()
    records = works.run("bad", *range(10))
    assert sorted(record.result for record in records) == list(range(10))
    assert {record.attempts for record in records} == {1}
    goes_on(works)
    assert works.runner() == runner
    assert until(lambda: works.worker("bad").restarts) > 0
    reason = "here/bad.1: the worker was ended, something in it had taken the permits for its jobs; they go back"
    assert reason in (state.logs / "runner.log").read_text()


def test_a_bot_that_changes_its_job_has_it_answered_all_the_same(works: Works) -> None:
    works.write(
        "renaming.py",
        """
        def rename(job):
            job.id, job.attempt, job.bot = "another", "first", None
            if job.payload == "fail":
                raise ValueError("no")
            return "done"
        """,
    )
    works.build(bot("rename", "renaming:rename", max_attempts=2))
    done, failed = works.run("rename", "work", "fail")
    assert (done.outcome, done.result) == ("success", "done")
    assert (failed.outcome, [one.attempt for one in failed.failures]) == ("dead", [1, 2])


SPEAKING = """
import json, os, struct, sys

def speak(job):
    '''Write to the runner what the payload says, then do the job as usual.'''
    for message in job.payload:
        body = json.dumps({**message, "id": job.id if message.get("id") == "ID" else "another"}).encode()
        frame = struct.pack(">I", len(body)) + body
        while frame:
            frame = frame[os.write(int(sys.argv[1]), frame):]
    return "as usual"
"""
LONG = "x" * 1_000_000
ERROR = {"type": "E", "message": "m", "traceback": "t"}


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "done", "id": "another", "result": 1},
        {"kind": "failed", "id": "another", "error": ERROR},
        {"kind": "status", "status": LONG},
        *({"kind": "failed", "id": "ID", "error": {**ERROR, part: LONG}} for part in ERROR),
    ],
    ids=lambda message: f"{message['kind']}-{max(map(str, message.get('error', {'': ''}).values()), key=len)[:1]}",
)
def test_a_worker_that_says_what_no_shim_says_is_ended_and_its_job_is_not_left_in_its_hand(
    works: Works, message: dict[str, object]
) -> None:
    works.write("speaking.py", SPEAKING)
    works.write("good.py", GOOD)
    works.build(bot("speak", "speaking:speak", max_attempts=1), bot("good", "good:good"))
    (record,) = works.run("speak", [message])
    assert (record.outcome, record.failures[-1].type) == ("dead", "WorkerDied")
    assert "something other than its shim" in record.failures[-1].traceback
    goes_on(works)


@pytest.mark.parametrize(
    "attack",
    [
        "class E(Exception):\n    def __str__(self): raise SystemExit(4)",
        "class E(Exception): pass\nE.__module__ = None\nE.__qualname__ = 'E' * 100_000",
        "import resource\nE = ValueError\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
        "import sys\nE = ValueError\n"
        "class Out:\n    def write(self, text): raise OSError\n    def flush(self): sys.exit(7)\nsys.stdout = Out()",
    ],
    ids=["unprintable", "long-name", "no-more-files", "bad-stdout"],
)
def test_an_error_is_told_whatever_stands_in_the_way(works: Works, attack: str) -> None:
    lines = "".join(f"    {line}\n" for line in attack.splitlines())
    works.write("odd.py", f"def odd(payload):\n{lines}    raise E('well')\n")
    works.build(bot("odd", "odd:odd", max_attempts=1))
    (record,) = works.run("odd", None)
    (failure,) = record.failures
    assert failure.type == "ValueError" or failure.type.startswith(("odd.odd.<locals>.E", "None.E")), failure


PUMP = """
import os, struct, sys

def pump(job):
    '''Say as much as the payload says in one frame, as far as the runner hears it.'''
    frame = struct.pack(">I", job.payload) + b'{"kind":"done","result":"'
    os.write(int(sys.argv[1]), frame)
    for _ in range(job.payload >> 16):
        os.write(int(sys.argv[1]), b"x" * (1 << 16))
    return "as usual"

def give(payload):
    return "x" * payload

def weigh(payload):
    return len(payload)
"""


def test_a_frame_that_no_result_needs_is_not_held_in_the_runners_memory(works: Works) -> None:
    works.write("pumping.py", PUMP)
    works.write("good.py", GOOD)
    works.build(bot("pump", "pumping:pump", max_attempts=1), bot("good", "good:good"))
    before = most_memory(works.runner())
    (record,) = works.run("pump", 500 << 20)
    assert (record.outcome, record.failures[-1].type) == ("dead", "WorkerDied")
    assert "a frame of 524288000 bytes" in record.failures[-1].traceback
    goes_on(works)
    assert most_memory(works.runner()) - before < 32 << 20


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="whom the kernel ends first is Linux's")
def test_when_memory_runs_out_a_worker_and_what_it_started_end_before_the_runner(works: Works) -> None:
    works.write("score.py", "def score(file):\n    return int(open(file).read())\n")
    score = "/proc/self/oom_score_adj"
    works.build(bot("score", "score:score"), bot("child", command=["cat", score]))
    (record,) = works.run("score", score)
    runners = int(Path(f"/proc/{works.runner()}/oom_score_adj").read_text())
    assert record.result == works.run("child", None)[0].result == min(1000, runners + 100)


def most_memory(pid: int) -> int:
    """How much memory the process has had at most, in bytes; 0 where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


@pytest.mark.slow
def test_a_result_is_as_large_as_it_may_be_and_one_that_is_larger_fails_its_job_in_words(works: Works) -> None:
    works.write("pumping.py", PUMP)
    works.build(bot("give", "pumping:give", to=["weigh"], max_attempts=1), bot("weigh", "pumping:weigh"))
    most = (8 << 20) - 1024
    passed_on = works.run("give", most)
    assert [(one.outcome, one.result) for one in passed_on if one.job.bot == "weigh"] == [("success", most)]
    (record,) = works.run("give", 8 << 20)
    assert (record.outcome, record.failures[-1].type) == ("dead", "ResultTooLarge")
    assert "more than 8 MiB" in record.failures[-1].message
    with pytest.raises(FactoryError, match=r"the payload of job .* is not kept: it has more than 8 MiB as JSON"):
        works.submit("weigh", "x" * (8 << 20))
    assert works.worker("give").restarts == 0


def test_what_a_command_leaves_running_says_nothing_in_the_name_of_the_next_job(works: Works, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    child = f"while [ ! -e {gate} ]; do sleep 0.01; done; echo late >&2; echo late; touch {gate}.said"
    works.write("command.sh", f"[ -e {gate} ] || {{ trap '' PIPE; ({child}) & }}\necho said >&2\necho 7\n")
    works.build(bot("run", command=["sh", "command.sh"]))
    assert works.run("run", None)[0].result == 7
    gate.touch()
    until(Path(f"{gate}.said").exists)
    assert works.run("run", None)[0].result == 7
    log = (works.folder().logs / "here.run.1.log").read_text()
    assert log.count("said") == 2
    assert "late" not in log
