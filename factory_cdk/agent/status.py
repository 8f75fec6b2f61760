"""The status of a runner where other machines see it: one item of the stage's table, written once a minute, and at once
when its gate has changed or was asked to, or a bot was given up.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from factory_cdk.agent.aws import Aws, asking
from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.status import Status, status_as_json

EVERY = 60.0
"""Seconds between two writings, on average; they differ at random by a tenth."""

KEEP = 14 * 86_400.0
"""Seconds after which the item of a runner that says nothing any more is forgotten."""

PARTITION, SORT = "RUNNER#{sector}", "status"
"""The keys `run` and `id` of the item of a sector's runner, which no job's can be: a run has no `#`."""

LARGEST = 350_000
"""Characters of a status that fit into an item, of which DynamoDB takes 400 KB."""

MOST_KEYS = 100
"""Keys that one BatchGetItem takes."""

Put = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class RunnerIdentity:
    """Whose status it is."""

    sector: str
    region: str
    instance: str


class StatusTable:
    """A StatusSink. `put` writes an item (it blocks; FactoryError), `say` gets a line and its severity. `waiting_for`
    answers what the agent itself waits for, if it does.
    """

    def __init__(
        self,
        identity: RunnerIdentity,
        put: Put,
        say: Callable[[str, str], None],
        waiting_for: Callable[[], str | None],
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._identity, self._put, self._say = identity, put, say
        self._waiting_for, self._random, self._sleep, self._now = waiting_for, random, sleep, now
        self._status: Status | None = None
        self._refused = False
        self._awaited = asyncio.Event()

    def publish(self, status: Status) -> None:
        """To be written with the next item: at once, where somebody may wait for it."""
        if self._status is None or _awaited(self._status) != _awaited(status):
            self._awaited.set()
        self._status = status

    async def follow(self) -> None:
        """Write an item now and again and again."""
        while True:
            self._awaited.clear()
            await self.write()
            await self._pause()

    async def _pause(self) -> None:
        """Return when the next item is due."""
        sleeping = asyncio.ensure_future(self._sleep(EVERY * (0.9 + 0.2 * self._random())))
        awaited = asyncio.ensure_future(self._awaited.wait())
        try:
            await asyncio.wait((sleeping, awaited), return_when=asyncio.FIRST_COMPLETED)
            if sleeping.done():
                sleeping.result()
        finally:
            sleeping.cancel()
            awaited.cancel()

    async def write(self) -> None:
        """Write an item. That it cannot be is said once."""
        try:
            await asyncio.to_thread(self._put, self.item())
        except FactoryError as error:
            if not self._refused:
                self._say(f"the status could not be published: {error.message}", "WARNING")
            self._refused = True
        else:
            self._refused = False

    def item(self) -> dict[str, Any]:
        """The item as it is now."""
        status = self._status or Status(0, self._now(), "starting", "")
        if (waiting := self._waiting_for()) is not None:
            status = replace(status, trouble=waiting)
        said = status_as_json(status)
        if len(text := json.dumps(said)) > LARGEST:
            text = json.dumps({**said, "workers": [], "trouble": "it has too many workers to name them all"})
        identity = self._identity
        return {
            "run": PARTITION.format(sector=identity.sector),
            "id": SORT,
            "sector": identity.sector,
            "region": identity.region,
            "instance": identity.instance,
            "said": int(self._now()),
            "status": text,
            "expires": int(self._now() + KEEP),
        }


def _awaited(status: Status) -> tuple[object, ...]:
    """What somebody may wait for: what became of a request, and bots that were given up."""
    return status.gate, status.request, tuple(pool.broken for pool in status.pools)


def item_writer(aws: Aws, region: str, table: str) -> Put:
    """What writes an item into `table` of `region`; it blocks. FactoryError."""

    def put(item: dict[str, Any]) -> None:
        plain = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in item.items()}
        with asking(f"table {table}"):
            aws.client("dynamodb", region).put_item(TableName=table, Item=plain)

    return put


def read_items(aws: Aws, region: str, table: str, sectors: Sequence[str]) -> list[dict[str, Any]]:
    """The items of the runners of `sectors` in `table` of `region`, as `StatusTable.item` made them. FactoryError."""
    client, found = aws.client("dynamodb", region), []
    for start in range(0, len(sectors), MOST_KEYS):
        keys = [
            {"run": {"S": PARTITION.format(sector=sector)}, "id": {"S": SORT}}
            for sector in sectors[start : start + MOST_KEYS]
        ]
        while keys:
            with asking(f"table {table}"):
                answer = client.batch_get_item(RequestItems={table: {"Keys": keys}})
            found += answer["Responses"].get(table, [])
            keys = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
    return [
        {name: int(value["N"]) if "N" in value else value.get("S") for name, value in item.items()} for item in found
    ]
