"""What a step needs, as a condition over the statuses of the steps beside it: text → Condition, and its truth.

    condition := any ("or" any)*        any := one ("and" one)*        one := name | name.status | "(" condition ")"

A name alone means that the step succeeded. Truth has three values: True, False, and None while it is undecided; what
is decided stays decided until a recovery.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Wanted(StrEnum):
    """What a condition can ask of a step. `ready` and `active` hold once that was reached, whatever followed;
    `completed` when it has ended in any way, and so when it was skipped, too: nothing more will come of it.
    """

    READY = "ready"
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    COMPLETED = "completed"
    SKIPPED = "skipped"


FAILURES = frozenset({Wanted.FAILED, Wanted.COMPLETED, Wanted.SKIPPED})
"""What can hold of a step that did not succeed: who asks for it may start after a failure has stopped the rest."""

NAMES = {
    **{wanted.value: wanted for wanted in Wanted},
    "success": Wanted.SUCCEEDED,
    "failure": Wanted.FAILED,
    "complete": Wanted.COMPLETED,
}
"""The statuses as they may be written; with `STEP_` in front and in capitals too, as in eventor."""

KEYWORDS = ("and", "or")

DEEPEST = 100
"""Parentheses within each other."""

_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z][A-Za-z0-9_-]*)(?:\.(?P<status>[A-Za-z_]*))?|(?P<sign>[()]))")


class ConditionError(ValueError):
    """What is wrong with the text of a condition, at which `column` of it (from 1). `known` are the words that could
    stand there instead, if there is a list of them.
    """

    def __init__(self, message: str, column: int, word: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.column, self.word, self.known = message, column, word, known


@dataclass(frozen=True, slots=True)
class Atom:
    """A step beside the one that needs it has come to `wanted`; `column` is where the text names it, from 1."""

    step: str
    wanted: Wanted = Wanted.SUCCEEDED
    column: int = 1

    def __str__(self) -> str:
        return self.step if self.wanted is Wanted.SUCCEEDED else f"{self.step}.{self.wanted.value}"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of `parts` holds."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Any) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of `parts` holds."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


Condition = Atom | All | Any
Truth = bool | None


def parse(text: str) -> Condition:
    """The condition in `text`; ConditionError."""
    tokens = list(_tokens(text))
    condition, rest = _either(tokens, 0, 0)
    if rest < len(tokens) - 1:
        word, _, column = tokens[rest]
        if word == ")":
            raise ConditionError("`)` without `(`", column)
        raise ConditionError(f"`and` or `or` is missing before `{word}`", column, word, KEYWORDS)
    return condition


def join(conditions: Iterable[Condition]) -> Condition | None:
    """All of `conditions`, those that are all of something taken apart; None of none."""
    parts: list[Condition] = []
    for condition in conditions:
        parts += condition.parts if isinstance(condition, All) else (condition,)
    return parts[0] if len(parts) == 1 else All(tuple(parts)) if parts else None


def atoms(condition: Condition | None) -> Iterator[Atom]:
    """Every atom of `condition`, from left to right."""
    if isinstance(condition, Atom):
        yield condition
    elif condition is not None:
        for part in condition.parts:
            yield from atoms(part)


def truth(condition: Condition, of: Callable[[Atom], Truth]) -> Truth:
    """Whether `condition` holds, given the truth of each atom."""
    if isinstance(condition, Atom):
        return of(condition)
    decisive = isinstance(condition, Any)  # one such part decides
    undecided = False
    for part in condition.parts:
        value = truth(part, of)
        if value is decisive:
            return decisive
        undecided = undecided or value is None
    return None if undecided else not decisive


def _tokens(text: str) -> Iterator[tuple[str, str | None, int]]:
    """Each token as its word, its status (None: none is written) and its column; an empty word ends them."""
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:
            column = place + len(text[place:]) - len(text[place:].lstrip()) + 1
            raise ConditionError(f"unexpected `{text[column - 1]}`", column)
        kind = "word" if found["word"] else "sign"
        yield found[kind], found["status"], found.start(kind) + 1
        place = found.end()
    yield "", None, len(text.rstrip()) + 1


def _either(tokens: list[tuple[str, str | None, int]], place: int, depth: int) -> tuple[Condition, int]:
    parts = []
    while True:
        part, place = _both(tokens, place, depth)
        parts.append(part)
        if tokens[place][:2] != ("or", None):
            return (parts[0] if len(parts) == 1 else Any(tuple(parts))), place
        place += 1


def _both(tokens: list[tuple[str, str | None, int]], place: int, depth: int) -> tuple[Condition, int]:
    parts = []
    while True:
        part, place = _one(tokens, place, depth)
        parts.append(part)
        if tokens[place][:2] != ("and", None):
            joined = join(parts)
            assert joined is not None  # noqa: S101
            return joined, place
        place += 1


def _one(tokens: list[tuple[str, str | None, int]], place: int, depth: int) -> tuple[Condition, int]:
    word, status, column = tokens[place]
    if word == "(":
        if depth == DEEPEST:
            raise ConditionError(f"more than {DEEPEST} parentheses within each other", column)
        condition, end = _either(tokens, place + 1, depth + 1)
        if tokens[end][0] != ")":
            raise ConditionError("`)` is missing for this `(`", column)
        return condition, end + 1
    if word == "":
        raise ConditionError("the name of a step is missing at the end", column)
    if word == ")" or (word in KEYWORDS and status is None):
        raise ConditionError(f"the name of a step is missing before `{word}`", column)
    if status is None:
        return Atom(word, Wanted.SUCCEEDED, column), place + 1
    wanted = NAMES.get(status.removeprefix("STEP_").lower() if status.startswith("STEP_") else status)
    if wanted is None:
        at = column + len(word) + 1
        raise ConditionError(f"unknown status `{status}`", at, status, tuple(wanted.value for wanted in Wanted))
    return Atom(word, wanted, column), place + 1
