"""What is said of one resource: by review, by a change set, by `cdk diff`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from factory_cdk.review.model import ResourceChange


@dataclass(frozen=True)
class Fact:
    """`action` and `replacement` in the words of change sets, the top-level `properties` that differ, those among them
    that only refer to something that changes, and what else of the resource differs (`DependsOn`, `Tags` of the stack).
    """

    action: str
    replacement: str | None = None
    properties: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()

    def with_properties(self, *names: str) -> Fact:
        """The same with more properties."""
        return replace(self, properties=self.properties | {*names})

    def with_attributes(self, *names: str) -> Fact:
        """The same with more attributes."""
        return replace(self, attributes=self.attributes | {*names})


def of_review(change: ResourceChange) -> Fact:
    """What review says."""
    references = frozenset(change.references)
    return Fact(change.action, change.replacement, frozenset(change.properties), references)
