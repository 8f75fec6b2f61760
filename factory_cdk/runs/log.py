"""The log of a run: its events as text, one entry each."""

from __future__ import annotations

import json
from typing import Any

from factory_cdk.runs.events import Begin, Cancel, Event, Finished, Look, Recover
from factory_cdk.runs.state import Key, Pools


def to_text(event: Event) -> str:
    """`event` as an entry of a log."""
    entry: dict[str, Any] = {"kind": type(event).__name__.lower(), "now": event.now}
    match event:
        case Finished():
            entry |= {"key": event.key, "attempt": event.attempt, "failure": event.failure}
        case Cancel():
            entry["reason"] = event.reason
        case Recover():
            entry["rerun"] = sorted(event.rerun)
            entry["only"] = None if event.only is None else sorted(event.only)
        case _:
            pass
    if event.pools.size:
        entry["pools"] = [dict(event.pools.size), dict(event.pools.taken), dict(event.pools.since)]
    return json.dumps(entry, separators=(",", ":"))


def from_text(text: str) -> Event:
    """The event of which `to_text` made `text`."""
    entry = json.loads(text)
    now, pools = entry["now"], Pools(*entry.get("pools", ()))
    match entry["kind"]:
        case "begin":
            return Begin(now, pools)
        case "finished":
            return Finished(now, Key(*entry["key"]), entry["attempt"], entry["failure"], pools)
        case "look":
            return Look(now, pools)
        case "cancel":
            return Cancel(now, entry["reason"], pools)
        case _:
            only = None if entry["only"] is None else frozenset(Key(*key) for key in entry["only"])
            return Recover(now, frozenset(entry["rerun"]), only, pools)
