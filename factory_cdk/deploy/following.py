"""Stacks while CloudFormation is at work on them: where each is, what it waits for, and why one has failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from factory_cdk.deploy.account import Account
from factory_cdk.deploy.pace import Pace
from factory_cdk.deploy.stacks import GONE, WAITING, Event, Events, StackNow, describe
from factory_cdk.design.commit import gate_id

Say = Callable[[str], None]

_WAIT = "AWS::CloudFormation::WaitCondition"
_QUIET_TYPES = ("AWS::CloudFormation::WaitConditionHandle", _WAIT)
_STILL = 30.0
"""Seconds without news after which is said again what is waited for."""


class Where(StrEnum):
    """Where a stack is."""

    WORKING = "working"
    READY = "ready"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Followed:
    """A stack that is followed. `wanted` counts the resources of its template; `waits` says in words what each of its
    wait conditions waits for, by logical id; `before` are the logical ids that it had already.
    """

    now: StackNow
    gate: str
    events: Events
    wanted: int = 0
    waits: Mapping[str, str] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    where: Where = Where.WORKING
    began: float = field(default_factory=time.monotonic)
    failures: list[Event] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    waiting: dict[str, float] = field(default_factory=dict)
    told: float = field(default_factory=time.monotonic)
    started: bool = False

    @property
    def label(self) -> str:
        """What it is called in lines of progress."""
        return self.now.name

    def reason(self) -> str:
        """Why it has failed: the first failures, which others follow from."""
        own = [one for one in self.failures if one.resource != self.now.name] or self.failures
        lines = dict.fromkeys(f"{one.resource}: {one.reason}" if one.reason else one.resource for one in own[:5])
        return "; ".join(lines) or self.now.reason or self.now.status


OnEvent = Callable[[Followed, Event], None]


def look(account: Account, one: Followed, say: Say, on_event: OnEvent | None = None) -> bool:
    """Bring `one` up to date and say what is new; whether anything is. RefusedError."""
    before = one.where
    events = one.events.new()
    present = describe(account, one.now.id or one.now.name, one.now.region)
    one.now = present if present.id else StackNow(one.now.name, one.now.region, GONE, one.now.id)
    for event in events:
        _take(one, event, say)
        if on_event is not None:
            on_event(one, event)
    _judge(one)
    if one.where is Where.READY and before is Where.WORKING:
        say(f"{one.label}: ready, waits for the others ({_elapsed(one)})")
    if one.where is Where.WORKING and one.waiting and time.monotonic() - one.told > _STILL:
        one.told = time.monotonic()
        name, since = next(iter(one.waiting.items()))
        say(f"{one.label}: still waits for {one.waits.get(name, name)} ({time.monotonic() - since:.0f} s)")
    return bool(events) or one.where is not before


def follow(
    account: Account,
    stacks: Iterable[Followed],
    until: Callable[[], bool],
    say: Say,
    pace: Pace,
    *,
    on_event: OnEvent | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Look at `stacks` again and again until `until`; `check` is called before each look."""
    stacks = list(stacks)
    with ThreadPoolExecutor(min(8, max(1, len(stacks))), thread_name_prefix="follow") as pool:
        for _ in pace.looks():
            check()
            active = [one for one in stacks if one.where in (Where.WORKING, Where.READY)]
            if any(list(pool.map(lambda one: look(account, one, say, on_event), active))):
                pace.again()
            if until():
                return


def _take(one: Followed, event: Event, say: Say) -> None:
    if event.resource == one.now.name:  # the stack itself: its status says it
        one.started = True
        if event.failed and event.reason:
            one.failures.append(event)
        return
    if event.failed:
        one.failures.append(event)
        say(f"{one.label}: {event.resource} failed: {event.reason.partition(chr(10))[0]}")
    if event.type == _WAIT:
        if event.resource == gate_id(one.gate) and event.status in WAITING:
            one.where = Where.READY
        elif event.status in WAITING and event.resource in one.waits:
            if event.resource not in one.waiting:
                say(f"{one.label}: waits for {one.waits[event.resource]} ({_elapsed(one)})")
            one.waiting.setdefault(event.resource, time.monotonic())
            one.told = time.monotonic()
        else:
            one.waiting.pop(event.resource, None)
    if event.status.endswith("_COMPLETE"):
        one.made.add(event.resource)
        if event.type not in _QUIET_TYPES and "CLEANUP" not in one.now.status:
            verb = event.status.removesuffix("_COMPLETE").lower()
            done = {"create": "created", "update": "updated", "delete": "deleted"}.get(verb, verb)
            count = f"{len(one.made)} of {one.wanted}, " if one.wanted >= len(one.made) else ""
            say(f"{one.label}: {event.resource} {done} ({count}{_elapsed(one)})")


def _judge(one: Followed) -> None:
    status = one.now.status
    one.started = one.started or one.now.in_progress
    if not one.started:  # it is as it was before
        return
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"):
        one.where = Where.DONE
    elif status == GONE or "ROLLBACK" in status or "FAILED" in status or status.startswith("DELETE"):
        one.where = Where.FAILED


def _elapsed(one: Followed) -> str:
    return f"{time.monotonic() - one.began:.0f} s"


def waits_of(template: Mapping[str, Any], sectors: Mapping[str, str]) -> dict[str, str]:
    """What each wait condition of a template waits for, in words; `sectors` are names by the beginning of their
    logical ids.
    """
    found = {}
    for logical_id, resource in template.get("Resources", {}).items():
        if resource.get("Type") == _WAIT:
            for start, sector in sectors.items():
                rest = logical_id.removeprefix(start)
                if rest != logical_id and rest.startswith("Booted"):
                    found[logical_id] = f"the instance of {sector} to start"
                elif rest != logical_id and rest.startswith("Ready"):
                    found[logical_id] = f"{sector} to install and load its bots"
    return found
