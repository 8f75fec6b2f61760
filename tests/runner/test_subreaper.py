"""What bots leave behind, in a session of its own and with a parent that has ended, is gone when its worker is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from local_works import Works, bot, children, lives, until

from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.status import runner_pid

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has a parent for orphans")

LEAVING = """
import os, subprocess, sys, time
from pathlib import Path

DAEMON = '''
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(float(sys.argv[2]))
'''

def daemon(file, seconds=1000, **how):
    '''Start a daemon as daemons are started; it has left its pid in `file` when this returns.'''
    subprocess.run([sys.executable, "-c", DAEMON, file, str(seconds)], check=True, **how)
    while not os.path.exists(file):
        time.sleep(0.001)

def leave(job):
    daemon(job.payload)
    return job.attempt

def leave_and_hang(job):
    if job.attempt == 1:
        daemon(job.payload)
        time.sleep(1000)
    return job.attempt

def leave_unmarked(job):
    daemon(job.payload, env={})

def leave_briefly(job):
    daemon(job.payload, 0)

def echo(payload):
    return payload
"""


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Where a daemon says its pid."""
    return tmp_path / "daemon"


def pid_in(file: Path) -> int:
    return int(until(lambda: file.exists() and file.read_text()))


def leave(works: Works, left: Path, target: str = "leave", **arguments: int) -> int:
    """Build a bot that leaves a daemon, and let it do so; the daemon."""
    works.write("leaving.py", LEAVING)
    works.build(bot("leave", f"leaving:{target}", **arguments))
    works.submit("leave", str(left))
    return pid_in(left)


def no_zombies(works: Works) -> bool:
    """Whether all children of the runner live: it looks for those that do not every now and then."""
    found = Path(f"/proc/{works.runner()}/task/{works.runner()}/children").read_text().split()
    return {int(child) for child in found} == children(works.runner())


def test_a_daemon_lives_as_long_as_its_worker_and_ends_with_it(works: Works, left: Path) -> None:
    daemon = leave(works, left)
    assert works.run("leave", str(left))[0].result == 1
    assert lives(daemon)
    os.kill(works.pid("leave"), signal.SIGKILL)
    until(lambda: not lives(daemon))
    until(lambda: works.worker("leave").restarts == 1)
    assert works.run("leave", str(left))[0].result == 1
    until(lambda: any("left behind are ended: " in line for line in factory.logs(works.home, "works")))
    until(lambda: not Path(f"/proc/{daemon}").exists())  # it was waited for
    until(lambda: no_zombies(works))


@pytest.mark.slow
def test_a_daemon_ends_when_its_job_takes_too_long(works: Works, left: Path) -> None:
    daemon = leave(works, left, "leave_and_hang", timeout=1)
    until(lambda: not lives(daemon))
    (record,) = works.run("leave", str(left))
    assert record.outcome == "success"


@pytest.mark.parametrize("how", ["demolish", "cold", "kill", "terminate"])
@pytest.mark.parametrize("target", ["leave", "leave_unmarked", "leave_and_hang"])
def test_a_daemon_ends_with_the_factory_however_that_ends(works: Works, left: Path, target: str, how: str) -> None:
    daemon, runner, state = leave(works, left, target), works.runner(), works.folder()
    if how == "demolish":
        factory.demolish(works.home, "works", None, works.said.append, lambda _: True, cold=target == "leave_and_hang")
    elif how == "cold":
        factory.stop(works.home, "works", None, works.said.append, cold=True)
    else:
        os.kill(runner, signal.SIGKILL if how == "kill" else signal.SIGTERM)
        if how == "terminate" and target == "leave_and_hang":
            os.kill(runner, signal.SIGINT)  # the second one: cold
    until(lambda: runner_pid(state) is None)
    until(lambda: not lives(daemon))


def test_a_daemon_that_hides_where_it_comes_from_ends_when_none_is_left_of_those_it_may_come_from(
    works: Works, left: Path
) -> None:
    works.write("leaving.py", LEAVING)
    works.build(bot("leave", "leaving:leave_unmarked"), bot("echo", "leaving:echo"))
    works.run("leave", str(left))
    daemon = pid_in(left)
    os.kill(works.pid("leave"), signal.SIGKILL)
    until(lambda: works.worker("leave").restarts == 1)
    assert works.run("echo", 1)[0].result == 1
    assert lives(daemon)
    os.kill(works.pid("echo"), signal.SIGKILL)
    until(lambda: not lives(daemon))


def test_daemons_that_end_by_themselves_leave_no_zombies(works: Works, tmp_path: Path) -> None:
    works.write("leaving.py", LEAVING)
    works.build(bot("leave", "leaving:leave_briefly"))
    files = [tmp_path / f"daemon{number}" for number in range(5)]
    works.run("leave", *map(str, files))
    until(lambda: not any(Path(f"/proc/{pid_in(file)}").exists() for file in files))
    assert works.worker("leave").restarts == 0


def test_a_factory_whose_guardian_was_killed_says_so_and_still_ends_what_its_workers_leave(
    works: Works, left: Path
) -> None:
    daemon, state = leave(works, left), works.folder()
    guardian = int(Path(f"/proc/{works.runner()}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guardian, signal.SIGKILL)
    until(lambda: not lives(guardian))
    os.kill(works.pid("leave"), signal.SIGKILL)
    until(lambda: not lives(daemon))
    assert "the guardian was killed" in (state.logs / "runner.log").read_text()


def test_what_a_factory_did_not_start_is_left_alone(works: Works, left: Path, tmp_path: Path) -> None:
    works.write("leaving.py", LEAVING)
    mine = tmp_path / "mine"
    program = f"import sys\nsys.path.insert(0, {str(works.code)!r})\nfrom leaving import daemon\ndaemon({str(mine)!r})"
    subprocess.run([sys.executable, "-c", program], check=True)
    other = pid_in(mine)
    try:
        daemon = leave(works, left)
        os.kill(works.runner(), signal.SIGKILL)
        until(lambda: not lives(daemon))
        assert lives(other)
    finally:
        os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize("who", ["worker", "runner"])
def test_a_daemon_that_forks_all_the_time_ends_with_its_worker_and_with_the_runner(
    works: Works, tmp_path: Path, who: str
) -> None:
    works.write(
        "hopping.py",
        """
        import os, time

        def hop(marker):
            '''Leave a process that is never the same for long.'''
            if os.fork():
                return
            os.setsid()
            while True:
                if os.fork():
                    os._exit(0)
                os.utime(marker)
                time.sleep(0.001)
        """,
    )
    marker = tmp_path / "marker"
    marker.touch()
    state = works.build(bot("hop", "hopping:hop"))
    works.run("hop", str(marker))
    first = marker.stat().st_mtime_ns
    until(lambda: marker.stat().st_mtime_ns > first)
    worker = works.pid("hop")
    mark = next(one for one in environ(worker) if one.startswith(b"FACTORY_PROCESS="))
    os.kill(worker if who == "worker" else works.runner(), signal.SIGKILL)
    if who == "runner":
        until(lambda: runner_pid(state) is None)
    until(lambda: not any(mark in environ(int(one.name)) for one in Path("/proc").iterdir() if one.name.isdigit()))
    if who == "worker":
        until(lambda: "left behind is ended" in (state.logs / "runner.log").read_text())


def environ(pid: int) -> list[bytes]:
    """The variables that a process was begun with."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
