"""Which processes a run of tests has started and not ended: runners and bots outlive whoever starts them."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from patience import until

MARK = "FACTORY_CDK_TESTS"
"""A variable that every process inherits which is begun by tests, however far it detaches itself."""


@contextmanager
def no_process_is_left() -> Iterator[None]:
    """Whatever is begun in the block has ended soon after it. What has not is ended and named: AssertionError.

    Processes are known by a variable, or as descendants of this one, for those that are begun with variables of their
    own. Looks only where there is a /proc.
    """
    mark, before = secrets.token_hex(8), os.environ.get(MARK)
    os.environ[MARK] = mark
    try:
        yield
    finally:
        if before is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = before
    try:
        until(lambda: not _begun_with(mark), 20)  # those whose runner was just killed are on their way
    except AssertionError:
        left = _begun_with(mark)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        named = "\n".join(f"{process}: {words}" for process, words in left.items())
        raise AssertionError(f"tests left these processes at work (they are ended now):\n{named}") from None


def _begun_with(mark: str) -> dict[int, str]:
    """The processes that bear `mark` or descend from this one, zombies left out: their arguments by their ids."""
    parents, arguments, marked = {}, {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        process = int(folder.name)
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            parents[process] = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            arguments[process] = (folder / "cmdline").read_bytes()  # none: a zombie
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                marked.add(process)
    ours = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in ours} - ours:
        ours |= more
    node = {one for one, words in arguments.items() if b"jsii-runtime.js" in words}  # our own CDK's: it ends with us
    node |= {one for one, parent in parents.items() if parent in node}
    tracker = {one for one, words in arguments.items() if b"multiprocessing.resource_tracker" in words}  # ends with us
    found = (marked | ours) - {os.getpid()} - node - (tracker & ours)
    return {one: arguments[one].replace(b"\0", b" ").decode(errors="replace") for one in found if arguments.get(one)}
