"""A workflow of steps as it is kept with a run: the graph, and what each step is to do, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from factory_cdk.runs.conditions import parse
from factory_cdk.runs.graph import Graph, OnFailure, Recovery, Replay, Step

Json = Any


@dataclass(frozen=True)
class Definition:
    """`work` says by the path of each step that is no container what it is to do, in words of who does it; `items` by
    the path of each step that has them what its items are, as a list or as
    a reference to one (references.py).
    """

    graph: Graph
    work: Mapping[str, Json] = field(default_factory=dict)
    items: Mapping[str, Json] = field(default_factory=dict)


def to_json(definition: Definition) -> str:
    """`definition` as text."""
    graph = definition.graph
    whole = {
        "steps": [_step_to_json(step) for step in graph.steps],
        "max_concurrent": graph.max_concurrent,
        "on_failure": graph.on_failure.value,
        "work": dict(definition.work),
        "items": dict(definition.items),
    }
    return json.dumps(whole)


def from_json(text: str) -> Definition:
    """The definition that `to_json` made `text` of."""
    return from_plain(json.loads(text))


def from_plain(data: Mapping[str, Json]) -> Definition:
    """The definition of which the text that `to_json` made holds `data`."""
    steps = tuple(map(_step_from_json, data["steps"]))
    graph = Graph(steps, data["max_concurrent"], OnFailure(data["on_failure"]))
    return Definition(graph, data["work"], data["items"])


def _step_to_json(step: Step) -> dict[str, Json]:
    recovery = step.recovery
    found = {
        "name": step.name,
        "needs": str(step.needs) if step.needs is not None else None,
        "steps": [_step_to_json(inner) for inner in step.steps],
        "repeat": step.repeat,
        "items": step.items,
        "max_parallel": step.max_parallel,
        "delay": step.delay,
        "acquire": dict(step.acquire),
        "release": None if step.release is None else dict(step.release),
        "on_failure": step.on_failure,
        "recovery": [recovery.ready, recovery.active, recovery.succeeded, recovery.failed],
    }
    return {key: value for key, value in found.items() if value not in (None, [], {}) or key == "release"}


def _step_from_json(data: dict[str, Json]) -> Step:
    release = data["release"]
    return Step(
        name=data["name"],
        needs=parse(data["needs"]) if "needs" in data else None,
        steps=tuple(map(_step_from_json, data.get("steps", ()))),
        repeat=data.get("repeat"),
        items=data.get("items"),
        max_parallel=data.get("max_parallel"),
        delay=data["delay"],
        acquire=tuple(sorted(data.get("acquire", {}).items())),
        release=None if release is None else tuple(sorted(release.items())),
        on_failure=OnFailure(data["on_failure"]) if "on_failure" in data else None,
        recovery=Recovery(*map(Replay, data["recovery"])),
    )
