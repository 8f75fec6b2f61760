"""Finds what in an instance or alarm belongs to one region of AWS: ARNs, availability zones and ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factory_cdk.plan.facts import partitions
from factory_cdk.plan.yaml.nodes import Path

_ARN = re.compile(r"arn:(aws[a-z-]*):([a-z0-9-]+):([a-z0-9-]*):")
_ID = re.compile(r"(ami|eipalloc|eni|h|i|lt|sg|snap|subnet|vol|vpc)-[0-9A-Za-z]{8,17}")


@dataclass(frozen=True, slots=True)
class Regional:
    """A text at `path` that belongs to one region: `arn`, `zone` or `id`, as `kind` says."""

    path: Path
    kind: str
    text: str

    def misfit(self, region: str) -> str | None:
        """Why the text cannot be used in `region`, as the end of a sentence about it; None when it can, or when only
        AWS knows.
        """
        if self.kind == "zone":
            fits = re.fullmatch(rf"{re.escape(region)}([a-z]|-[a-z0-9-]+)", self.text)
            return None if fits else f"is not an availability zone of `{region}`"
        if self.kind == "arn":
            partition, _, own = _ARN.match(self.text).groups()  # type: ignore[union-attr]
            if own in partitions() and own != region:
                return f"is in `{own}`, not in `{region}`"
            if partition != partitions().get(region, partition):
                return f"is in the partition `{partition}`, not in that of `{region}`"
        return None


def regional_values(properties: Mapping[str, Any]) -> tuple[Regional, ...]:
    """Every regional text in `properties` of an instance or alarm, with its path in them."""
    return tuple(_regional(properties, ()))


def _regional(value: Any, path: Path) -> Iterator[Regional]:
    if isinstance(value, str):
        if path[-1] == "AvailabilityZone" and len(path) == 1:
            yield Regional(path, "zone", value)
        elif value.startswith("arn:"):
            if _ARN.match(value):
                yield Regional(path, "arn", value)
        elif "-" in value and _ID.fullmatch(value):
            yield Regional(path, "id", value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key != "Tags":
                yield from _regional(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _regional(item, (*path, index))
