"""`command:` bots: any program, the payload on its stdin, its result on its stdout.

The program gets the payload as JSON on stdin and these variables besides those of its worker: FACTORY_JOB_ID,
FACTORY_RUN, FACTORY_PARENT (empty for the first job), FACTORY_ATTEMPT, FACTORY_TAGS (JSON) and, up to 96 KiB
(Linux allows 128 KiB for one variable), FACTORY_PAYLOAD (JSON). Exit code 0 is success and what stdout holds is
the result, JSON or nothing (null); any other code fails the attempt. stderr goes to the bot's log.
"""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

from .errors import BotError
from .life import Life

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .job import Job

LARGEST_VARIABLE = 96 * 1024
LAST_LINES = 20


def load(command: Sequence[str]) -> Life:
    """The life of a bot that runs `command` for every job; BotError when its program cannot be found or run."""
    program = shutil.which(command[0])
    if program is None:
        raise BotError("CommandNotFound", f"{command[0]!r} is not a program here or on PATH")
    return Life(lambda job: run([program, *command[1:]], job))


def run(command: Sequence[str], job: Job) -> Any:
    """Run `command` for `job`; returns its result. BotError for a non-zero exit or output that is not JSON."""
    payload = _as_text(job.payload)
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_variables(job, payload),
    )
    last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
    log = threading.Thread(target=_pass_on, args=(process.stderr, last), daemon=True)
    log.start()
    output = _talk(process, payload.encode())
    code = process.wait()
    log.join()
    if code:
        raise BotError("CommandFailed", f"{command[0]} {_ending(code)}", "".join(last))
    if not output.strip():
        return None
    try:
        return json.loads(output)
    except ValueError as error:
        start = output[:200].decode(errors="replace")
        raise BotError(
            "ResultNotJson", f"{command[0]} printed something that is not JSON ({error}): {start!r}", "".join(last)
        ) from None


def _as_text(payload: Any) -> str:
    """JSON with letters as they are, for programs that read text; escaped where UTF-8 cannot hold them."""
    text = json.dumps(payload, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(payload)
    return text


def _variables(job: Job, payload: str) -> dict[str, str]:
    variables = {
        **os.environ,
        "FACTORY_JOB_ID": job.id,
        "FACTORY_RUN": job.run,
        "FACTORY_PARENT": job.parent or "",
        "FACTORY_ATTEMPT": str(job.attempt),
        "FACTORY_TAGS": json.dumps(job.tags),
    }
    if len(payload.encode()) <= LARGEST_VARIABLE:
        variables["FACTORY_PAYLOAD"] = payload
    return variables


def _talk(process: subprocess.Popen[bytes], payload: bytes) -> bytes:
    """Write `payload` and read everything, at the same time: either side may fill its pipe first."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101
    stdin = process.stdin

    def write() -> None:
        try:
            with stdin:
                stdin.write(payload)
        except BrokenPipeError:
            return  # a program need not read its payload

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with process.stdout:
        output = process.stdout.read()
    writer.join()
    return output


def _pass_on(stream: Any, last: collections.deque[str]) -> None:
    with stream:
        for line in stream:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            last.append(line.decode(errors="replace"))


def _ending(code: int) -> str:
    if code > 0:
        return f"exited with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
