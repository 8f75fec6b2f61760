"""Where a key of the plan language belongs that the plan writes in another place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from factory_cdk.plan.schema.plan_schema import ARGUMENTS, BOT, FACTORY, SECTOR, SOURCE, STAGE_KEYS, argument_name


def key_place(key: str) -> str | None:
    """The hint for the unknown `key`: where it belongs; None when no part of a plan has it."""
    places = _places().get(key) or _places().get(argument_name(key))
    return f"`{key}` belongs {' or '.join(places)}" if places else None


@cache
def _places() -> Mapping[str, list[str]]:
    parts = {
        "under `factory`": FACTORY["schema"],
        "in a bot under `bots`": BOT["schema"],
        "under the `source` of a bot": SOURCE["schema"],
        "in a stage": STAGE_KEYS,
        "in a sector": SECTOR["schema"],
        "in a bot of a sector": ARGUMENTS,
    }
    found: dict[str, list[str]] = {}
    for place, keys in parts.items():
        for key in keys:
            found.setdefault(key, []).append(place)
    # What nearly every part may have says nothing.
    return {key: places for key, places in found.items() if len(places) <= 2}
