"""Following a stage: the release and the gate, read together every few seconds, within SSM's quota.

GetParameters is allowed 40 times a second for an account and region. 400 sectors that ask every 15 s ask 27 times; the
pauses differ at random, so that sectors that were built together do not ask together for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from factory_cdk.agent.aws import Aws, asking
from factory_cdk.agent.sector import InstanceSector
from factory_cdk.diagnostics import FactoryError

EVERY = 15.0
"""Seconds between two readings, on average."""

JITTER = 0.2
"""The part of a pause by which it is longer or shorter at most."""

LONGEST = 240.0
"""Seconds of the longest pause, while readings fail."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What was read: the texts of the release and of the gate (None: there is no such parameter), and the gate's
    version, which grows with every writing.
    """

    release: str | None
    gate: str | None
    gate_version: int = 0


def reader(aws: Aws, sector: InstanceSector) -> Callable[[], Followed]:
    """What reads both parameters in one request; it blocks, and raises FactoryError."""

    def read() -> Followed:
        with asking("the release and the gate"):
            answer = aws.client("ssm").get_parameters(Names=[sector.release_parameter, sector.gate_parameter])
        found = {one["Name"]: one for one in answer["Parameters"]}
        release, gate = found.get(sector.release_parameter), found.get(sector.gate_parameter)
        return Followed(
            release["Value"] if release else None,
            gate["Value"] if gate else None,
            int(gate["Version"]) if gate else 0,
        )

    return read


class Follower:
    """Hands what `read` reads to `take`, for ever. `random` gives numbers from 0 to 1, `sleep` waits; `every` is the
    pause in seconds.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Followed]],
        take: Callable[[Followed], None],
        say: Callable[[str, str], None],
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        every: float = EVERY,
    ) -> None:
        self._read, self._take, self._say, self._random, self._sleep = read, take, say, random, sleep
        self._every = every
        self._failures = 0

    async def follow(self) -> None:
        """Read now and again and again. What cannot be read is said once, and asked for less and less often."""
        while True:
            try:
                followed = await self._read()
            except FactoryError as error:
                if not self._failures:
                    self._say(f"{error.message}; the bots go on as they are", "WARNING")
                self._failures += 1
            else:
                if self._failures:
                    self._say("the release and the gate can be read again", "INFO")
                self._failures = 0
                self._take(followed)
            await self._sleep(self.pause())

    def pause(self) -> float:
        """Seconds until the next reading."""
        base = min(LONGEST, self._every * 2.0 ** min(self._failures, 8))
        return base * (1 - JITTER + 2 * JITTER * self._random())
