"""Workflows of steps in a picture: what each step does, what it needs, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factory_cdk.picture.escaping import for_mermaid, printable
from factory_cdk.runs.conditions import Wanted, atoms
from factory_cdk.runs.definition import from_plain
from factory_cdk.runs.graph import ROOT, OnFailure, Step

MAX_STEPS = 300
"""Of more steps, a picture tells the number alone."""


@dataclass(frozen=True, slots=True)
class StepPart:
    """A step as it is drawn: `depth` containers are around it, `inside` is the path of the nearest. `said` is what it
    does and takes, in words. `after` are the paths of the steps that it names, each with the status, if that is not
    that it succeeded.
    """

    path: str
    inside: str
    name: str
    depth: int
    is_container: bool
    needs: str
    said: tuple[str, ...]
    after: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StepsPart:
    """A workflow of steps as it is drawn."""

    name: str
    said: str
    steps: tuple[StepPart, ...]


def steps_parts(workflows: Mapping[str, Any]) -> tuple[StepsPart, ...]:
    """What is drawn of workflows of steps, which are as JSON (runs/definition.py)."""
    found = []
    for name, one in workflows.items():
        definition = from_plain(one)
        graph = definition.graph
        most = f", {graph.max_concurrent} at a time" if graph.max_concurrent else ""
        stops = ", goes on after failures" if graph.on_failure is OnFailure.CONTINUE else ""
        steps = []
        for path, placed in graph.placed.items():
            inside = f"{placed.inside}/" if placed.inside else ""
            work = definition.work.get(path)
            after = dict.fromkeys(
                (inside + atom.step, "" if atom.wanted is Wanted.SUCCEEDED else atom.wanted.value)
                for atom in atoms(placed.step.needs)
            )
            steps.append(
                StepPart(
                    path,
                    placed.inside,
                    placed.step.name,
                    path.count("/"),
                    bool(placed.step.steps),
                    str(placed.step.needs) if placed.step.needs is not None else "",
                    tuple(_said(placed.step, work["bot"] if work else None, definition.items.get(path))),
                    tuple(after),
                )
            )
        count = f"{len(steps)} step{'' if len(steps) == 1 else 's'}"
        found.append(StepsPart(name, f"{count}{most}{stops}", tuple(steps)))
    return tuple(found)


def steps_as_text(part: StepsPart) -> Iterator[str]:
    """Lines of text: a line for each step, below its container."""
    yield f"steps of {printable(part.name)} ({part.said})"
    if len(part.steps) > MAX_STEPS:
        return
    width = max(2 * step.depth + len(step.name) for step in part.steps)
    for step in part.steps:
        needs = (f"needs {step.needs}",) if step.needs else ()
        start = f"  {'  ' * step.depth}{step.name}".ljust(width + 2)
        yield f"{start}   {printable(', '.join((*step.said, *needs)))}".rstrip()


def steps_as_mermaid(part: StepsPart, number: int) -> Iterator[str]:
    """Lines of a Mermaid flowchart: the workflow as a subgraph, and each container in it."""
    yield f'  subgraph run{number}["{for_mermaid(part.name)}: {for_mermaid(part.said)}"]'
    if len(part.steps) <= MAX_STEPS:
        numbers = {step.path: f"step{number}_{place}" for place, step in enumerate(part.steps)}
        yield from _nodes(part, ROOT, numbers, "    ")
        for step in part.steps:
            for before, status in step.after:
                label = f'|"{status}"|' if status else ""
                yield f"    {numbers[before]} -->{label} {numbers[step.path]}"
    yield "  end"


def _nodes(part: StepsPart, inside: str, numbers: Mapping[str, str], indent: str) -> Iterator[str]:
    for step in part.steps:
        if step.inside != inside:
            continue
        said = "<br/>".join(for_mermaid(one) for one in step.said)
        if step.is_container:
            title = f"{for_mermaid(step.name)}{': ' if said else ''}{said.replace('<br/>', ', ')}"
            yield f'{indent}subgraph {numbers[step.path]}["{title}"]'
            yield from _nodes(part, step.path, numbers, indent + "  ")
            yield f"{indent}end"
        else:
            yield f'{indent}{numbers[step.path]}["<b>{for_mermaid(step.name)}</b><br/>{said}"]'


def _said(step: Step, bot: str | None, items: Any) -> Iterator[str]:
    if bot is not None:
        yield f"bot {bot}"
    if items is not None:
        yield f"for each of {items if isinstance(items, str) else len(items)}"
    if step.max_parallel is not None:
        yield f"{step.max_parallel} at a time"
    if step.repeat is not None:
        yield f"{step.repeat} times"
    if step.delay:
        yield f"after {step.delay:g} s"
    for pool, amount in step.acquire:
        yield f"takes {amount} of {pool}"
    if step.on_failure is not None:
        yield f"on failure {step.on_failure.value}"
