"""`command:` bots: any program, the payload on its stdin, its result on its stdout.

The program gets the payload as JSON on stdin and these variables besides those of its worker: FACTORY_JOB_ID,
FACTORY_RUN, FACTORY_PARENT (empty for the first job), FACTORY_ATTEMPT, FACTORY_TAGS (JSON) and, up to 96 KiB
(Linux allows 128 KiB for one variable), FACTORY_PAYLOAD (JSON); for a step of a run FACTORY_STEP_NAME,
FACTORY_STEP_SEQUENCE, FACTORY_STEP_RECOVERY and FACTORY_STEP_LOGGER_NAME, too. Exit code 0 is success and what stdout
holds is the result, JSON or nothing (null); any other code fails the attempt. stderr goes to the bot's log.

A job ends when its program does. What the program left running in the background may go on, but nobody listens to it
any more: the other ends of its stdout and stderr are closed.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading

from .errors import LONGEST_TRACEBACK, BotError
from .finding import find_program
from .frames import CHUNK
from .life import Life
from .size import LARGEST_PAYLOAD, TooLargeError, check_size
from .system import exit_reason, readable_bytes

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .job import Job

LARGEST_VARIABLE = 96 * 1024
LAST_LINES = 20


def load(command: Sequence[str]) -> Life:
    """The life of a bot that runs `command` for every job; BotError when its program cannot be found or run."""
    program = find_program(command[0])
    return Life(lambda job: run([program, *command[1:]], job))


def run(command: Sequence[str], job: Job) -> Any:
    """Run `command` for `job`; returns its result. BotError for a non-zero exit or output that is not JSON."""
    payload = _as_text(job.payload)
    process = subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_variables(job, payload),
    )
    talk = _Talk(process, payload.encode())
    code = talk.until_the_end()
    try:
        check_size(len(talk.output))
    except TooLargeError as error:
        raise BotError(
            "ResultTooLarge", f"what {command[0]} printed is not passed on: {error}", talk.last_lines()
        ) from None
    if code:
        raise BotError("CommandFailed", f"{command[0]} {exit_reason(code)}", talk.last_lines())
    if not talk.output.strip():
        return None
    try:
        return json.loads(talk.output)
    except ValueError as error:
        start = bytes(talk.output[:200]).decode(errors="replace")
        raise BotError(
            "ResultNotJson", f"{command[0]} printed something that is not JSON ({error}): {start!r}", talk.last_lines()
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
    if job.id.count(":") == 3:  # a step of a run: no other job has such an id
        for name in ("name", "sequence", "recovery", "logger_name"):
            variables[f"FACTORY_STEP_{name.upper()}"] = str(job.payload[name])
    return variables


class _Talk:
    """What a program is told and what it says until it ends: either side may fill its pipe first."""

    def __init__(self, process: subprocess.Popen[bytes], payload: bytes) -> None:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101
        self._process = process
        self._payload = memoryview(payload)
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._said = bytearray()
        self.output = bytearray()

    def until_the_end(self) -> int:
        """Talk until the program has ended; its exit code. One that prints more than a result may have is killed."""
        ended, end = os.pipe()
        waiter = threading.Thread(target=self._wait, args=(end,), daemon=True)
        waiter.start()
        hear = {self._stdout.fileno(): self._take_output, self._stderr.fileno(): self._pass_on}
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        for descriptor in hear:
            poll.register(descriptor, select.POLLIN)
        poll.register(self._stdin, select.POLLOUT)
        os.set_blocking(self._stdin.fileno(), False)
        try:
            while ended not in (ready := [descriptor for descriptor, _ in poll.poll()]):
                for descriptor in ready:
                    if not (hear[descriptor](CHUNK) if descriptor in hear else self._tell()):
                        poll.unregister(descriptor)
            for descriptor, take in hear.items():  # what it had printed, and nothing that others add now
                left = readable_bytes(descriptor)
                while left > 0 and (taken := take(min(left, CHUNK))):
                    left -= taken
        finally:
            os.close(ended)
            for stream in (self._stdin, self._stdout, self._stderr):
                stream.close()
        if self._said and not self._said.endswith(b"\n"):
            self._log(b"\n")  # the next job begins a line
        return self._process.wait()

    def last_lines(self) -> str:
        """The last that it printed on stderr."""
        lines = self._said.decode(errors="replace").splitlines(keepends=True)
        return "".join(lines[-LAST_LINES:])

    def _wait(self, end: int) -> None:
        self._process.wait()
        os.close(end)

    def _tell(self) -> int:
        """Write what there is room for; 0 when all is written, or the program does not read it, as it need not."""
        try:
            self._payload = self._payload[os.write(self._stdin.fileno(), self._payload[:CHUNK]) :]
        except BlockingIOError:
            return 1
        except BrokenPipeError:
            self._payload = self._payload[:0]
        if not self._payload:
            self._stdin.close()
        return len(self._payload)

    def _take_output(self, most: int) -> int:
        taken = os.read(self._stdout.fileno(), most)
        if len(self.output) <= LARGEST_PAYLOAD:
            self.output += taken
        else:
            self._process.kill()
        return len(taken)

    def _pass_on(self, most: int) -> int:
        taken = os.read(self._stderr.fileno(), most)
        self._said += taken
        del self._said[:-LONGEST_TRACEBACK]
        self._log(taken)
        return len(taken)

    def _log(self, text: bytes) -> None:
        sys.stderr.buffer.write(text)
        sys.stderr.buffer.flush()
