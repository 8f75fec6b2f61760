"""The log lines of a stage's instances beside those of its local sectors, as one stream in the order of time."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator

from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.log_folder import follow_stream, is_of, read_stream
from factory_cdk.state.logs import stamp
from factory_cdk.state.stage_instances import RemoteSector, StageInstances
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import runner_pid

EVERY = 2.0
"""Seconds between two looks for new lines."""

LATE = 60.0
"""Seconds by which a line may come to its log group after it was printed, and still be found by the next look."""


class InstanceLog:
    """The lines of the instances of a stage, of `bot` alone if given, each once. What cannot be read is told once."""

    def __init__(self, instances: StageInstances, bot: str | None, say: Say) -> None:
        self._sectors, self._bot, self._say = instances.sectors, bot, say
        self._seen: dict[str, float] = {}
        self._told: set[str] = set()

    def lines(self, since: float | None) -> Iterator[str]:
        """The lines from `since` on (seconds since the epoch) that were not there before, in the order of time."""
        return heapq.merge(*(self._of(one, since) for one in self._sectors), key=moment)

    def _of(self, sector: RemoteSector, since: float | None) -> Iterator[str]:
        from factory_cdk.agent.aws import Aws, AwsError  # noqa: PLC0415 - for stages with instances alone
        from factory_cdk.agent.log_reading import read_events  # noqa: PLC0415

        now = time.time()
        found_again = stamp(now - 2 * LATE)
        try:
            for event, line in read_events(Aws(sector.region), sector.name, sector.log_group, since):
                if event not in self._seen and is_of(line, self._bot):
                    if moment(line) > found_again:
                        self._seen[event] = now
                    yield line
        except AwsError as error:
            if sector.name not in self._told:
                self._told.add(sector.name)
                self._say(f"warning: the log of sector {sector.name} cannot be read: {error.message}")

    def forget(self) -> None:
        """Forget which lines were seen so long ago that no look finds them again."""
        oldest = time.time() - 2 * LATE
        self._seen = {event: seen for event, seen in self._seen.items() if seen > oldest}


def moment(line: str) -> str:
    """The time of a line of the stream."""
    return line.partition(" ")[0]


def merged(factory: Factory, log: InstanceLog, bot: str | None, since: float | None) -> Iterator[str]:
    """All lines that there are, local ones and those of instances from `since` on."""
    return heapq.merge(read_stream(factory.folder.logs, bot), log.lines(since), key=moment)


def followed(factory: Factory, log: InstanceLog, bot: str | None, since: float | None) -> Iterator[str]:
    """All lines that there are in the order of time, then those to come, until the local runner is gone, if the stage
    has one.
    """
    before: list[str] = []
    looked = None
    for line in follow_stream(factory.folder.logs, bot, whole=True):
        if looked is None:
            if line is not None:
                before.append(line)
                continue
            looked = time.time()
            yield from heapq.merge(before, log.lines(since), key=moment)
            before.clear()
        elif line is not None:
            yield line
        elif factory.local and runner_pid(factory.folder) is None:
            return
        elif time.time() - looked >= EVERY:
            start, looked = looked - LATE, time.time()
            yield from log.lines(max(start, since or 0.0))
            log.forget()
