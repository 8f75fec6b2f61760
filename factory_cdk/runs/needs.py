"""What a step of a Flow needs, as Python says it: steps, their statuses, and these with `&`, `|`, lists and text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runs.conditions import NAMES, Any, Atom, Condition, ConditionError, Wanted, join, parse


@dataclass(frozen=True, slots=True)
class Need:
    """A condition: `a.failed`, `a.failed | b.failed`, `a.succeeded & (b.failed | c.failed)`."""

    condition: Condition

    def __and__(self, other: Needs) -> Need:
        return Need(_all((self, other)))

    def __or__(self, other: Needs) -> Need:
        parts = [
            part
            for condition in (self.condition, condition_of(other))
            for part in (condition.parts if isinstance(condition, Any) else (condition,))
        ]
        return Need(Any(tuple(parts)))


class Named:
    """What has a name in a flow, and a status that others can need."""

    name: str

    @property
    def ready(self) -> Need:
        """It may start, or has started."""
        return Need(Atom(self.name, Wanted.READY))

    @property
    def active(self) -> Need:
        """It has started."""
        return Need(Atom(self.name, Wanted.ACTIVE))

    @property
    def succeeded(self) -> Need:
        """It succeeded, which is what a step alone means."""
        return Need(Atom(self.name, Wanted.SUCCEEDED))

    @property
    def failed(self) -> Need:
        """It failed."""
        return Need(Atom(self.name, Wanted.FAILED))

    @property
    def completed(self) -> Need:
        """It succeeded, failed or was skipped: nothing more will come of it."""
        return Need(Atom(self.name, Wanted.COMPLETED))

    @property
    def skipped(self) -> Need:
        """It did not start, and never will."""
        return Need(Atom(self.name, Wanted.SKIPPED))

    def __and__(self, other: Needs) -> Need:
        return self.succeeded & other

    def __or__(self, other: Needs) -> Need:
        return self.succeeded | other


Needs = str | Need | Named | Iterable["Needs | tuple[Named, str]"]
"""A list means all of them; a tuple of a step and a status is that, as in sequent."""


def condition_of(needs: Needs) -> Condition:
    """The condition that `needs` means. FactoryError."""
    if isinstance(needs, str):
        try:
            return parse(needs)
        except ConditionError as error:
            raise FactoryError(
                f"needs {needs!r}: {error.message}, at character {error.column}",
                "write names of steps, a dot and a status, `and`, `or` and parentheses",
            ) from None
    if isinstance(needs, Need):
        return needs.condition
    if isinstance(needs, Named):
        return needs.succeeded.condition
    return _all(needs)


def _all(needs: Iterable[Needs | tuple[Named, str]]) -> Condition:
    parts = tuple(needs)
    match parts:
        case (Named(name=name), str(text)) if isinstance(needs, tuple) and (wanted := _status(text)):
            return Atom(name, wanted)
    joined = join(condition_of(part) for part in parts)
    if joined is None:
        raise FactoryError("needs is an empty list", "leave it out where a step needs nothing")
    return joined


def _status(text: str) -> Wanted | None:
    return NAMES.get(text.removeprefix("STEP_").lower() if text.startswith("STEP_") else text)
