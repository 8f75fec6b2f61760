"""The names that a plan defines and refers to elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one kind, those of refused definitions too. None: what should define them is refused itself, and every
    reference to it would be reported once more.
    """

    known: Iterable[str] | None

    def lack(self, name: str) -> bool:
        """Whether `name` is certain to be undefined."""
        return self.known is not None and name not in self.known

    @property
    def listed(self) -> tuple[str, ...]:
        """The names, in the order of the plan."""
        return tuple(self.known or ())


@dataclass(frozen=True, slots=True)
class Defined:
    """Every name that a plan's sectors, stages and workflows may refer to."""

    bots: Names
    workflows: Names
    alarms: Names


def defined_names(factory: Any) -> Defined:
    """The names in `factory`, the plain data of a plan's key `factory`. A plan needs bots, not the others."""
    data = factory if isinstance(factory, Mapping) else {}
    return Defined(_names(data.get("bots")), _names(data.get("workflows", {})), _names(data.get("alarms", {})))


def _names(value: Any) -> Names:
    return Names(dict.fromkeys(value) if isinstance(value, Mapping) else None)
