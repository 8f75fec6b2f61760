"""Log lines on their way to CloudWatch: a LogSink that spools them as JSON, and what ships the spool.

One stream for each instance; `bot`, `worker` and `job` are fields of every line, so that CloudWatch Logs Insights finds
by them, and `at` counts the bytes of all lines before. A line that may have been sent when the agent was killed is
looked for before it is sent again.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from factory_cdk.agent.aws import Aws, AwsError, asking
from factory_cdk.agent.spool import Spooled, SpoolReader, SpoolWriter
from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.logs import RUNNER, stamp

MOST_EVENTS, MOST_BYTES, OVERHEAD = 10_000, 1_048_576, 26
"""What one PutLogEvents takes: events, and bytes, of which each event takes some beside its own
(https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html).
"""

LONGEST_SPAN = 24 * 3_600_000
"""Milliseconds between the first and the last event of one PutLogEvents."""

LONGEST_LINE = 40_000
"""Characters of a line: in JSON each may take six bytes, and an event has at most 256 KB."""

EVERY = 1.0
"""Seconds in which lines are gathered before they are sent."""

LONGEST_PAUSE = 60.0
"""Seconds of the longest pause while CloudWatch cannot be reached."""

LAST_TRY = 5.0
"""Seconds for the lines that are left when the agent ends; what is not sent then is sent by the next one."""

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class LogStream(Protocol):
    """A stream of CloudWatch Logs. Its methods block."""

    def put(self, events: Sequence[dict[str, Any]]) -> None:
        """Add events, in the order of their times. FactoryError."""

    def last(self) -> dict[str, Any] | None:
        """The message of the event that was added last. FactoryError when that may not be asked."""


class SpooledLogs:
    """A LogSink: lines go to the spool in `folder`. The runner's own are printed, too: systemd's journal keeps them."""

    def __init__(self, folder: Path, told: Callable[[], None]) -> None:
        self._writer, self._told = SpoolWriter(folder), told

    def write(self, label: str, output: bytes) -> None:
        """Nothing: lines come by `add_lines`."""

    def add_lines(self, label: str, job: str | None, moment: float, lines: Sequence[bytes]) -> None:
        """Spool lines."""
        if label == RUNNER:
            for line in lines:
                with contextlib.suppress(OSError):  # nobody reads it
                    print(stamp(moment), line.decode(errors="replace"), file=sys.stderr, flush=True)
        fields = _fields(label, job)
        self._writer.append([(int(moment * 1000), {**fields, **_text(label, line)}) for line in lines])
        self._told()

    @property
    def lost(self) -> int:
        """Bytes that the disk refused."""
        return self._writer.lost

    def close(self) -> None:
        """Let go of the file; another line opens it again."""
        self._writer.close()


def _fields(label: str, job: str | None) -> dict[str, Any]:
    place, _, worker = label.rpartition(".")
    sector, _, bot = place.rpartition("/")
    whose = {"sector": sector, "bot": bot, "worker": int(worker)} if worker.isdigit() and bot else {"label": label}
    return {**whose, **({"job": job} if job else {})}


def _text(label: str, line: bytes) -> dict[str, Any]:
    text = line.decode(errors="replace")
    level, _, rest = text.partition(" ")
    if label == RUNNER and level in _LEVELS:
        return {"level": level, "text": rest}
    return {"text": text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}… ({len(text):,} characters)"}


class LogShipper:
    """Ships the spool in `folder` to `stream` in a thread of its own, until it is ended. `say` gets a line and its
    severity (which is spooled, too).
    """

    def __init__(self, folder: Path, stream: LogStream, say: Callable[[str, str], None]) -> None:
        self._reader, self._stream, self._say = SpoolReader(folder), stream, say
        self._more, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._ship, name="log shipper", daemon=True)
        self._dropped, self._refused = 0, False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def tell(self) -> None:
        """There are more lines."""
        self._more.set()

    def end(self) -> None:
        """Send what is left, if that is soon done."""
        self._ending.set()
        self._more.set()
        self._thread.join(LAST_TRY)

    def _ship(self) -> None:
        pause = EVERY
        while True:
            self._more.wait()
            self._more.clear()
            ending = self._ending.wait(EVERY if pause == EVERY else pause)
            if self.ship():
                pause = EVERY
            else:
                pause = min(2 * pause, LONGEST_PAUSE)
                self._more.set()
            if ending:
                return

    def ship(self) -> bool:
        """Send all that is there; False when CloudWatch does not take it now."""
        try:
            self._settle_what_was_begun()
            while events := self._reader.read(MOST_BYTES):
                self._tell_dropped()
                for batch in batches(events):
                    self._reader.begin(batch)
                    self._stream.put([_event(one) for one in sorted(batch, key=lambda one: one.moment)])
                    self._reader.acknowledge(batch[-1].end)
        except FactoryError as error:
            if not self._refused:
                self._refused = True
                self._say(f"{error.message}; log lines are kept on disk meanwhile", "WARNING")
            return False
        if self._refused:
            self._refused = False
            self._say("log lines are sent to CloudWatch again", "INFO")
        return True

    def _settle_what_was_begun(self) -> None:
        """An agent before this one may have sent a batch without having noted that."""
        position = self._reader.position
        if position.sending <= position.sent:
            return
        try:
            last = self._stream.last()
        except AwsError as error:
            if error.code != "AccessDeniedException":
                raise
            last = None
        found = int(last.get("at", -1)) if last else -1
        self._reader.acknowledge(position.sending if found >= position.sent else position.sent)

    def _tell_dropped(self) -> None:
        if self._reader.dropped > self._dropped:
            lost = self._reader.dropped - self._dropped
            self._dropped = self._reader.dropped
            self._say(f"{lost:,} bytes of log lines were dropped: the spool was full", "ERROR")


def batches(events: Sequence[Spooled]) -> list[list[Spooled]]:
    """`events` in batches that one PutLogEvents takes each."""
    found: list[list[Spooled]] = []
    size, first, last = 0, 0, 0
    for event in events:
        own = len(json.dumps(_message(event), ensure_ascii=False).encode()) + OVERHEAD
        low, high = min(first, event.moment), max(last, event.moment)
        full = size + own > MOST_BYTES or high - low > LONGEST_SPAN
        if not found or full or len(found[-1]) == MOST_EVENTS:
            found.append([])
            size, low, high = 0, event.moment, event.moment
        found[-1].append(event)
        size, first, last = size + own, low, high
    return found


def _message(event: Spooled) -> dict[str, Any]:
    return {**event.message, "at": event.at}


def _event(event: Spooled) -> dict[str, Any]:
    return {"timestamp": event.moment, "message": json.dumps(_message(event), ensure_ascii=False)}


class CloudWatchStream:
    """The stream `name` of the log group `group` (a LogStream), made when it is first written to."""

    def __init__(self, aws: Aws, group: str, name: str) -> None:
        self._aws, self._group, self._name = aws, group, name
        self._made = False

    def put(self, events: Sequence[dict[str, Any]]) -> None:
        """Add events. AwsError."""
        client = self._aws.client("logs")
        with asking(f"log group {self._group}"):
            if not self._made:
                self._make(client)
            try:
                client.put_log_events(logGroupName=self._group, logStreamName=self._name, logEvents=list(events))
            except client.exceptions.ResourceNotFoundException:
                self._made = False
                raise

    def last(self) -> dict[str, Any] | None:
        """The message of the last event. AwsError."""
        client = self._aws.client("logs")
        with asking(f"log group {self._group}"):
            try:
                answer = client.get_log_events(
                    logGroupName=self._group, logStreamName=self._name, limit=1, startFromHead=False
                )
            except client.exceptions.ResourceNotFoundException:
                return None
        for event in answer["events"]:
            try:
                said = json.loads(event["message"])
            except ValueError:
                return None
            return said if isinstance(said, dict) else None
        return None

    def _make(self, client: Any) -> None:
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_stream(logGroupName=self._group, logStreamName=self._name)
        self._made = True
