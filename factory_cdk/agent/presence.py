"""Whether this instance stays: a spot instance is told two minutes before it is taken away (a Presence)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from factory_cdk.agent.metadata import MetadataError

EVERY = 5.0
"""Seconds between two looks: AWS recommends this."""

FINISH = 90.0
"""Seconds that jobs in hand have to be finished in after the notice; the rest goes back to the queues."""

NOTICE = "spot/instance-action"


class SpotPresence:
    """`get` asks the metadata service (it blocks; MetadataError), `say` gets a line and its severity, `end_cold` is
    called when jobs in hand have to go back, and `sleep` waits.
    """

    def __init__(
        self,
        get: Callable[[str], str | None],
        say: Callable[[str, str], None],
        end_cold: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._get, self._say, self._end_cold, self._sleep = get, say, end_cold, sleep
        self._notice: str | None = None

    def why_gone(self) -> str | None:
        """Why the instance is about to go; None as long as it stays."""
        return self._notice

    async def follow(self) -> None:
        """Look again and again until there is a notice, and end what is in hand when its time has passed. A metadata
        service that cannot be asked says nothing: jobs whose instance goes without a notice go back by their leases.
        """
        while self._notice is None:
            try:
                text = await asyncio.to_thread(self._get, NOTICE)
            except MetadataError:
                text = None
            if text is not None:
                self._notice = f"this instance will be taken away: {_action(text)}"
            else:
                await self._sleep(EVERY)
        await self._sleep(FINISH)
        self._say("jobs in hand go back: the instance is about to go", "WARNING")
        self._end_cold()


def _action(text: str) -> str:
    """What the notice says, in words."""
    try:
        said = json.loads(text)
        return f"{said['action']} at {said['time']}"
    except (ValueError, LookupError, TypeError):
        return "the spot service announced it"
