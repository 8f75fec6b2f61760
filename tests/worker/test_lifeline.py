"""A worker whose runner is gone ends at once, whatever it is doing, and takes its children along."""

from __future__ import annotations

import ast
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE

import factory_cdk.worker

PACKAGE = Path(factory_cdk.worker.__file__).parent

BOTS = """
import ctypes, os, subprocess, sys, time

def idle(payload):
    return None

def spins(fifo):
    open(fifo, "w").close()
    while True:
        pass

def holds_the_lock(fifo):
    open(fifo, "w").close()
    ctypes.PyDLL(None).pause()

def has_a_child(fifo):
    with open(fifo, "w") as pipe:
        subprocess.Popen(["sleep", "1000"], stdout=pipe)
        pipe.write("begun")
    time.sleep(1000)
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "bots.py").write_text(BOTS)
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


def test_an_idle_worker_ends_when_the_socket_does(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "bots:idle")
    shim.hang_up()
    assert shim.ends() == -signal.SIGKILL


def test_a_worker_that_never_got_its_first_message_ends_too(start: Callable[..., Any]) -> None:
    shim = start()
    shim.hang_up()
    assert shim.ends() == -signal.SIGKILL


def test_a_busy_worker_ends_in_the_middle_of_its_job(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "bots:spins")
    shim.say("jobs", jobs=[_job(str(code / "fifo"))])
    with reading(code / "fifo") as begun:
        assert begun() == b""
    shim.hang_up()
    assert shim.ends() == -signal.SIGKILL


def test_the_children_of_a_bot_end_with_it(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "bots:has_a_child")
    shim.say("jobs", jobs=[_job(str(code / "fifo"))])
    with reading(code / "fifo") as held_by_child:
        assert held_by_child() == b"begun"
        shim.hang_up()
        assert held_by_child() == b"", "ends once nobody holds the other end"
    shim.ends()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_a_bot_that_holds_the_interpreters_lock_ends_when_its_parent_dies(code: Path, tmp_path: Path) -> None:
    parent = f"""
import os, socket, subprocess, sys, time
sys.path.insert(0, {str(PACKAGE.parent.parent)!r})
from factory_cdk.worker.frames import encode
ours, theirs = socket.socketpair()
os.set_inheritable(ours.fileno(), True)
worker = subprocess.Popen([sys.executable, "-I", {str(PACKAGE / "__main__.py")!r}, str(theirs.fileno())],
    pass_fds=[theirs.fileno(), ours.fileno()], start_new_session=True)  # the socket stays open in the worker itself
job = ["j", "b", {str(code / "fifo")!r}, "r", None, 1, {{}}]
start = dict(kind="start", bot="b", mode="target", words=["bots:holds_the_lock"])
start.update(roots=[{str(code)!r}], bytecode=None, variables={{}})
ours.sendall(encode(start) + encode(dict(kind="jobs", jobs=[job])))
print(worker.pid, flush=True)
time.sleep(1000)
"""
    runner = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    assert runner.stdout is not None
    worker = int(runner.stdout.readline())
    pidfd = os.pidfd_open(worker)
    try:
        with reading(code / "fifo") as begun:
            assert begun() == b""
        runner.kill()
        assert _ends(pidfd)
    finally:
        runner.kill()
        runner.wait()
        runner.stdout.close()
        os.close(pidfd)


def test_the_socket_is_closed_in_programs_that_a_bot_starts(start: Callable[..., Any], code: Path) -> None:
    (code / "lists.py").write_text(
        "import os, subprocess\n"
        "def sockets(payload):\n"
        "    listing = subprocess.run(['ls', '-l', '/proc/self/fd'], stdout=subprocess.PIPE).stdout\n"
        "    return listing.decode().count('socket:')\n"
    )
    shim = start()
    shim.start(code, "lists:sockets")
    assert shim.do(None)["result"] == 0


def test_the_shim_is_written_in_python_3_8_and_the_standard_library() -> None:
    for file in PACKAGE.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 8))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names, file


def _job(payload: Any) -> dict[str, Any]:
    return {"id": "j", "payload": payload, "bot": "b", "attempt": 1, "tags": {}, "parent": None, "run": "r"}


def _ends(pidfd: int) -> bool:

    return bool(select.select([pidfd], [], [], PATIENCE)[0])


@contextmanager
def reading(fifo: Path) -> Iterator[Callable[[], bytes]]:
    """What reads from the FIFO when something was written, or when all have closed it who had it open: `b""`."""
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    def read() -> bytes:
        assert select.select([descriptor], [], [], PATIENCE)[0], f"nobody has opened {fifo}"
        return os.read(descriptor, 4096)

    try:
        yield read
    finally:
        os.close(descriptor)
