"""A process of its own for one piece of work of the agent: what it loads, and what it starts, goes with it.

The runner starts nothing but what its guardian knows (runner/subreaper.py), so it is started as a worker is: it leads a
process group, and all that it leaves behind is ended. It is a module of this package that gets ROOT as its argument and
JSON on its standard input, and that prints JSON lines: `{"say": …}` for each step, and at last what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from factory_cdk.runner.ports import ProcessGuard
from factory_cdk.runner.subreaper import MARK

LAST_WORDS = 20
"""How many lines of what it printed beside its own are told when it dies."""

Message = dict[str, Any]


class Children:
    """Starts such processes for the instance whose files are in `root`; `say` gets their lines."""

    def __init__(self, root: Path, guard: ProcessGuard, say: Callable[[str], None]) -> None:
        self._root, self._guard, self._say = root, guard, say

    async def ask(self, module: str, asked: Message) -> Message:
        """What `module` answers to `asked`; when this is cancelled, it is ended. One that dies answers `failed`."""
        mark = os.urandom(8).hex()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(self._root)],
            cwd="/",
            env={**os.environ, MARK: mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self._guard.watch(process.pid, mark)
        listening = asyncio.ensure_future(asyncio.to_thread(self._listen, process, asked, asyncio.get_running_loop()))
        try:
            return await asyncio.shield(listening)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await listening
            raise
        finally:
            self._guard.forget(process.pid)

    def _listen(self, process: subprocess.Popen[bytes], asked: Message, loop: asyncio.AbstractEventLoop) -> Message:
        """What it says at last; in a thread."""
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(asked).encode())
        other: list[str] = []
        last: Message = {}
        with process.stdout:
            for line in process.stdout:
                said = _message(line)
                if said is None:
                    other.append(line.decode(errors="replace").rstrip())
                elif "say" in said:
                    loop.call_soon_threadsafe(self._say, said["say"])
                else:
                    last = said
        code = process.wait()
        words = "\n".join(other[-LAST_WORDS:])
        return last or {"failed": f"the process that did it ended with {code}\n{words}".rstrip()}


def tell(**content: object) -> None:
    """Say something to the agent, from such a process."""
    print(json.dumps(content), flush=True)


def _message(line: bytes) -> Message | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
