"""The workflow before and after."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.review.formats.blocks import Block, Bullets, Details, Diagram, Line, Sign, Value
from factory_cdk.review.formats.job_section import opened
from factory_cdk.review.model import StageReport

MOST_MERMAID = 50_000
"""Characters of a diagram that Mermaid draws; https://mermaid.js.org/config/schema-docs/config.html#maxtextsize"""

MOST_EDGES = 500
"""Edges of a diagram that Mermaid draws."""


def workflow_blocks(stage: StageReport) -> Iterator[Block]:
    """Edges that are new or gone, and in details both flowcharts."""
    found = stage.workflow
    if found is None or not found.changed:
        return
    edges: list[Line] = []
    edges += [(Sign("➖", "removed"), ": ", Value(a), " no longer feeds ", Value(b)) for a, b in found.removed]
    edges += [(Sign("➕", "added"), ": ", Value(a), " feeds ", Value(b)) for a, b in found.added]
    yield from opened(edges, "Workflow", "more edge")
    drawn: list[Diagram | Bullets] = []
    for title, mermaid in (("Before", found.before), ("After", found.after)):
        if mermaid is None:
            drawn.append(Bullets((("no workflow",),), title))
        elif len(mermaid) > MOST_MERMAID or mermaid.count("-->") > MOST_EDGES:
            drawn.append(Bullets((("too large to be drawn here",),), title))
        else:
            drawn.append(Diagram(title, mermaid))
    yield Details("Workflow before and after", tuple(drawn))
