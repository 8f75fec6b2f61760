"""Workers that die, hang and cannot be loaded; jobs that fail."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from local_works import QUICK, Works, bot, children, lives, until

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.status import read_status, runner_pid

MARKING = '''
import os, time
from pathlib import Path

def mark(folder, name):
    """Leave a line `pid time` in the file `name`."""
    with open(Path(folder) / name, "a") as file:
        print(os.getpid(), time.time(), file=file)

def hold(job):
    """Say which attempt begins, then wait for the gate."""
    folder = Path(job.payload)
    mark(folder, f"attempt{job.attempt}")
    while not (folder / "gate").exists():
        time.sleep(0.001)
    return job.attempt
'''


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def marked(marks: Path, name: str) -> tuple[int, float]:
    """The pid and time that a bot has left in `name`, once it has."""
    pid, moment = until(lambda: (marks / name).read_text().endswith("\n") and (marks / name).read_text().split())
    return int(pid), float(moment)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_job_of_a_killed_worker_runs_again_at_once_and_the_attempt_counts(
    works: Works, marks: Path, processes: int
) -> None:
    works.write("marking.py", MARKING)
    works.timings = replace(QUICK, lease_most=3600.0)  # what waited for the end of the lease would wait in vain
    works.build(bot("hold", "marking:hold", processes=processes, visibility_timeout=3600))
    run = works.submit("hold", str(marks))
    pid, _ = marked(marks, "attempt1")
    killed = time.time()
    os.kill(pid, signal.SIGKILL)
    other, again = marked(marks, "attempt2")
    (marks / "gate").touch()
    (record,) = works.wait(run)
    assert other != pid
    assert (record.outcome, record.result, record.attempts) == ("success", 2, 2)
    assert record.failures[0].type == "WorkerDied"
    assert "SIGKILL" in record.failures[0].message
    print(f"{processes} workers: running again after {(again - killed) * 1000:.1f} ms")  # benchmarks/ measure that
    assert until(lambda: works.worker("hold", 1).restarts + works.worker("hold", processes).restarts)


@pytest.mark.skipif(sys.platform != "linux", reason="children are looked for in /proc")
def test_a_killed_worker_is_replaced_by_one_new_process_which_ends_with_the_runner(works: Works, marks: Path) -> None:
    works.write("marking.py", MARKING + "import sys\nprint('loaded', flush=True)\n")
    state = works.build(bot("hold", "marking:hold"))
    before = children(works.runner())
    log = state.logs / "here.hold.1.log"
    assert log.read_text() == "loaded\n", "the bot is loaded once"
    run = works.submit("hold", str(marks))
    pid, _ = marked(marks, "attempt1")
    assert before == {pid}, "a worker has one process"
    os.kill(pid, signal.SIGKILL)
    other, _ = marked(marks, "attempt2")
    assert until(lambda: works.worker("hold").pid == other)
    assert children(works.runner()) == {other}
    (marks / "gate").touch()
    assert works.wait(run)[0].result == 2
    last = children(works.runner())
    os.kill(works.runner(), signal.SIGKILL)
    until(lambda: not any(lives(pid) for pid in last))


def test_a_job_that_kills_every_worker_becomes_a_dead_letter_with_all_its_failures(works: Works) -> None:
    works.write("poison.py", "import os, signal\ndef drink(payload):\n    os.kill(os.getpid(), signal.SIGSEGV)\n")
    works.build(bot("poison", "poison:drink", max_attempts=3))
    (record,) = works.run("poison", None)
    assert (record.outcome, record.attempts) == ("dead", 3)
    assert [failure.attempt for failure in record.failures] == [1, 2, 3]
    assert "SIGSEGV" in record.failures[2].message


def test_an_exception_is_retried_then_a_dead_letter_and_never_passed_on(works: Works) -> None:
    works.write(
        "failing.py", "def fail(job):\n    raise ValueError(f'attempt {job.attempt}')\ndef take(x):\n    return x\n"
    )
    works.build(bot("fail", "failing:fail", to=["take"], max_attempts=2), bot("take", "failing:take"))
    records = works.run("fail", "x")
    assert [(record.job.bot, record.outcome, record.attempts) for record in records] == [("fail", "dead", 2)]
    assert [failure.message for failure in records[0].failures] == ["attempt 1", "attempt 2"]
    assert "failing.py" in records[0].failures[0].traceback
    assert factory.left(works.home, "works") == factory.Left(0, 1)


def test_an_exception_with_text_that_utf_8_cannot_hold_is_kept(works: Works) -> None:
    works.write("odd.py", "def work(payload):\n    raise OSError('\\udcff' + payload)\n")
    works.build(bot("odd", "odd:work", max_attempts=1))
    (record,) = works.run("odd", "\ud800")
    assert (record.outcome, record.failures[0].message) == ("dead", "\\udcff\\ud800")


def test_a_bot_that_holds_the_interpreters_lock_does_not_lose_its_lease(works: Works) -> None:
    works.write(
        "greedy.py",
        """
        import ctypes

        def hold(seconds):
            ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
            return "kept"
        """,
    )
    works.timings = replace(QUICK, lease_most=0.3)
    works.build(bot("greedy", "greedy:hold"))
    (record,) = works.run("greedy", 1.5)
    assert (record.outcome, record.result, record.attempts) == ("success", "kept", 1)
    assert read_status(works.folder()).lost_leases == 0  # type: ignore[union-attr]


def test_a_worker_that_dies_over_and_over_before_it_is_ready_is_stopped_and_reported(works: Works, marks: Path) -> None:
    works.write(
        "fickle.py",
        f"""
        import os
        from pathlib import Path

        if Path({str(marks / "bad")!r}).exists():
            os._exit(7)

        def work(payload):
            return payload
        """,
    )
    works.write("steady.py", "def work(x):\n    return x\n")
    works.build(bot("fickle", "fickle:work"), bot("steady", "steady:work"))
    (marks / "bad").touch()
    os.kill(works.pid("fickle"), signal.SIGKILL)
    status = until(lambda: (found := read_status(works.folder())) and found.pools[0].broken and found)
    assert "crash loop: 5 deaths before ready" in status.pools[0].broken
    assert "exited with 7" in status.pools[0].broken
    assert works.worker("fickle").state == "broken"
    assert works.run("steady", 1)[0].result == 1
    (marks / "bad").unlink()
    factory.resume(works.home, "works", None, works.said.append)
    assert works.run("fickle", 2)[0].result == 2


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('nearly there')\nimport no_such_thing\nwork = no_such_thing.work\n", "No module named 'no_such_thing'"),
        ("print('nearly there', flush=True)\nimport os; os._exit(9)\nwork = 1\n", "exited with 9 before it was ready"),
        ("print('nearly there')\nwork = None\ndel work\n", "has no 'work'"),
    ],
)
def test_a_bot_that_cannot_be_loaded_takes_the_rest_down_with_the_reason_and_its_log(
    works: Works, code: str, reason: str
) -> None:
    works.write("broken.py", code)
    works.write("sound.py", "def work(x):\n    return x\n")
    with pytest.raises(FactoryError) as refused:
        works.build(bot("sound", "sound:work", processes=2), bot("broken", "broken:work"))
    assert reason in refused.value.message
    assert "nearly there" in refused.value.message
    assert "bot broken of here" in refused.value.message
    assert factory.list_factories(works.home) == []


def test_a_ctrl_c_is_heard_that_wakes_nobody(works: Works, marks: Path) -> None:
    """As one that comes just before the build begins to wait for its bots: here another thread gets it."""
    loading = marks / "loading"
    works.write("slow.py", f"import time\nopen({str(loading)!r}, 'w').close()\ntime.sleep(1000)\nwork = print\n")

    def interrupt() -> None:
        until(loading.exists)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        works.build(bot("slow", "slow:work"))
    interrupting.join()
    assert factory.list_factories(works.home) == []


def test_a_bot_that_cannot_be_loaded_leaves_the_rest_when_the_plan_says_so(works: Works) -> None:
    mended = works.code.parent / "no_such_thing.py"
    works.write("broken.py", f"import sys\nsys.path.append({str(mended.parent)!r})\nfrom no_such_thing import work\n")
    works.write("sound.py", "def work(x):\n    return x\n")
    with pytest.raises(FactoryError) as refused:
        works.build(bot("sound", "sound:work"), bot("broken", "broken:work"), demolish_on_failure=False)
    assert "factory-cdk demolish --name works --stage test" in (refused.value.remedy or "")
    assert until(lambda: works.worker("sound").state == "stopped")
    (found,) = factory.list_factories(works.home)
    assert found.state == "stopped"
    mended.write_text("def work(x):\n    return [x]\n")
    factory.resume(works.home, "works", "test", works.said.append)
    assert works.run("broken", 1)[0].result == [1]


def test_requirements_that_cannot_be_installed_are_told_in_uvs_words_and_nothing_is_left(works: Works) -> None:
    works.write("sound.py", "def work(x):\n    return x\n")
    works.write("requirements.txt", "--no-index\nno-such-package-of-ours==1.0\n")
    with pytest.raises(FactoryError) as refused:
        works.build(bot("sound", "sound:work"))
    assert "no-such-package-of-ours" in refused.value.message
    assert factory.list_factories(works.home) == []
    assert not (works.home / "environments").exists()


def test_the_children_of_a_killed_worker_die_too(works: Works, marks: Path) -> None:
    works.write(
        "parent.py",
        "import subprocess, time\nfrom pathlib import Path\ndef work(job):\n"
        "    if job.attempt > 1: return 'done'\n"
        "    child = subprocess.Popen(['sleep', '1000'])\n"
        "    Path(job.payload).write_text(f'{child.pid}\\n')\n    time.sleep(1000)\n",
    )
    works.build(bot("parent", "parent:work"))
    run = works.submit("parent", str(marks / "child"))
    child = int(until(lambda: (marks / "child").read_text().strip()))
    os.kill(works.pid("parent"), signal.SIGKILL)
    assert works.wait(run)[0].result == "done"
    until(lambda: not lives(child))


def test_a_runner_that_is_gone_is_no_runner(works: Works) -> None:
    works.write("sound.py", "def work(x):\n    return x\n")
    state = works.build(bot("sound", "sound:work"))
    os.kill(works.runner(), signal.SIGKILL)
    until(lambda: runner_pid(state) is None)
    assert factory.find(works.home, "works").state == "killed"


FORGING = '''
import json, os, struct, sys

def forge(job):
    """Write to the runner what the payload says, then do the job as usual."""
    body = job.payload.replace("ID", job.id).encode()
    os.write(int(sys.argv[1]), struct.pack(">I", len(body)) + body)
    return "as usual"
'''


@pytest.mark.parametrize("number", ["1e999", "NaN"])
def test_a_result_that_cannot_be_stored_fails_its_job_and_no_other(works: Works, number: str) -> None:
    works.write("forging.py", FORGING)
    works.build(bot("forge", "forging:forge", max_attempts=1))
    (record,) = works.wait(works.submit("forge", f'{{"kind":"done","id":"ID","result":[{number}]}}'))
    assert record.outcome == "dead"
    assert record.failures[-1].type == ("ResultNotJson" if number == "1e999" else "WorkerDied")
    until(lambda: works.worker("forge").restarts == 1)  # else the next job may be in the hand of one that lied
    (record,) = works.wait(works.submit("forge", '{"kind":"status","status":"well"}'))
    assert (record.outcome, record.result) == ("success", "as usual")


@pytest.mark.parametrize(
    "frame",
    [
        '{"kind":"done","id":"ID"}',
        '{"kind":"done","result":1}',
        '{"kind":"failed","id":"ID","error":"x"}',
        '{"kind":"returned","ids":5}',
        '{"kind":["done"]}',
    ],
)
def test_a_malformed_frame_costs_its_worker_and_never_the_runner(works: Works, frame: str) -> None:
    works.write("forging.py", FORGING)
    works.build(bot("forge", "forging:forge", max_attempts=1))
    (record,) = works.wait(works.submit("forge", frame))
    assert record.outcome == ("success" if "[" in frame else "dead")
    (record,) = works.wait(works.submit("forge", '{"kind":"status","status":"well"}'))
    assert (record.outcome, record.result) == ("success", "as usual")
