"""One mutation of a plan's text, and where what is wrong then may be reported.

PyYAML's own composer says where things stand, so that nothing of the code under test judges itself.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from factory_cdk.plan.schema.plan_schema import argument_name

Path = tuple[str | int, ...]

VALUES = (
    "[]", "{}", "[1]", "{a: b}", "null", "true", "-1", "0", "7", "2.5", "99999999999", "1e400", ".nan", "010", "1:30",
    "text", "''", "' '", "-x", "../..", "${Token[A.1]}", "'{{resolve:ssm:a}}'", '"\\x07"', '"\\ud800"', "!!int x",
    "!mine y", "*nosuch", "local", "aws", "windows", "mars-north-1", "us-gov-west-1", "eu-west-1", "bare", "a.b:c",
    "'" + "x" * 300 + "'", "terminate", "AWS::NoValue", "{Ref: A}", "[[[]]]", "日本", "2026-01-01", "3.12",
)  # fmt: skip
KEYS = (
    "alarm", "parameters", "platform", "Dimensions", "UserData", "InstanceId", "IamInstanceProfile", "--processes",
    "-p", "version", "url", "path", "pypi", "bot_path", "command", "key", "env", "type", "bots", "workflow",
    "FACTORY_X",
    "aws:x", "Ref", "Fn::Sub", "Metrics", "SubnetId", "upload-pack", "Threshold", "''", "5", "null", "x-1", "name",
    "config", "secrets", "stages", "'a b'", "<<", "[a]", "__proto__", "日", "home_region", "factory", "meta",
)  # fmt: skip
CHARACTERS = (
    *":#'\"[]{}&*!|>%@`,-?\t\n \\=~<",
    "\x00",
    "\x07",
    "\x85",
    "\u2028",
    "\ufeff",
    "é",
    ": ",
    " #",
    "- ",
    "\n  ",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A node and its key (None in a list) by one of the paths that lead to it, aliases and merge keys followed; `here`
    says that the node stands behind the key, where it is anchored if it is.
    """

    path: Path
    key: Any
    node: Any
    here: bool


@dataclass(frozen=True, slots=True)
class Mutation:
    """A plan's text with one mutation. `lines` are the mutated ones, `shift` what those behind have moved by;
    `paths` lead to what was there from `start` to `end`, and `names` are what it said and says now. `aimed`: one value
    or key is another one; else any characters are, and what follows may be read otherwise.
    """

    what: str
    text: str
    lines: range
    shift: int
    paths: tuple[Path, ...]
    names: frozenset[str]
    aimed: bool
    start: int
    end: int


@dataclass
class Plan:
    """A valid plan's text and where what stands in it."""

    text: str
    places: list[Place] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    paths: dict[int, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._met: set[int] = set()
        self.starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", self.text))]
        self._walk(yaml.compose(self.text, Loader=yaml.CSafeLoader), ())
        for place in self.places:
            for node in (place.key, place.node):
                self.paths[id(node)].append(place.path)

    def _walk(self, node: Any, path: Path) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == "<<" and key.style is None:
                    self._add((*path, "<<"), key, value)
                    for base in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                        self._walk(base, path)
                else:
                    self._add((*path, key.value), key, value)
                    self._walk(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._add((*path, index), None, item)
                self._walk(item, (*path, index))

    def _add(self, path: Path, key: Any, node: Any) -> None:
        here = id(node) not in self._met
        self._met.add(id(node))
        self.places.append(Place(path, key, node, here))

    def line(self, index: int) -> int:
        """The line, from 1, of a character."""
        return bisect_right(self.starts, index)

    def of(self, node: Any) -> tuple[Path, ...]:
        """Every path that leads to a node."""
        return tuple(self.paths[id(node)])

    def around(self, start: int, end: int) -> list[Place]:
        """The places that hold any character from `start` to the first word behind `end`."""
        end += len(self.text[end:]) - len(self.text[end:].lstrip())
        return [
            place
            for place in self.places
            if (place.key or place.node).start_mark.index <= end
            and start <= (place.node if place.here else place.key or place.node).end_mark.index
        ]

    def lines_under(self, path: Path) -> set[int]:
        """The lines of the keys and values at `path` and below it."""
        return {line for place in self.places if place.path[: len(path)] == path for line in self.lines_of(place)}

    def names_under(self, path: Path) -> set[str]:
        """The keys at `path` and below it."""
        return {str(place.path[-1]) for place in self.places if place.path[: len(path)] == path}

    def lines_merged(self, path: Path) -> set[int]:
        """The lines of what a merge key brings into the mapping at `path`."""
        values = [place.node for place in self.places if place.path == (*path, "<<")]
        bases = [
            base for value in values for base in (value.value if isinstance(value, yaml.SequenceNode) else [value])
        ]
        return {self.line(node.start_mark.index) for base in bases for pair in base.value for node in pair}

    def lines_of(self, place: Place) -> set[int]:
        """The lines on which the key and the value of a place begin."""
        return {self.line(node.start_mark.index) for node in (place.key, place.node) if node is not None}

    def lines_at(self, path: Path) -> set[int]:
        """The lines of the key and value at `path` itself."""
        return {line for place in self.places if place.path == path for line in self.lines_of(place)}

    def mentions(self, names: frozenset[str]) -> set[int]:
        """The lines on which a key or value is one of `names`, a bot's argument in any of its spellings."""
        names |= {argument_name(name) for name in names}
        return {
            self.line(node.start_mark.index)
            for place in self.places
            for node in (place.key, place.node)
            if isinstance(node, yaml.ScalarNode) and (node.value in names or argument_name(node.value) in names)
        }

    def edited(self, what: str, start: int, end: int, new: str, paths: tuple[Path, ...], *, aimed: bool) -> Mutation:
        """The text with `new` in the place of what was from `start` to `end`."""
        text = self.text[:start] + new + self.text[end:]
        first, breaks = self.line(start), len(re.findall(r"\r\n|\r|\n", new))
        last = first + breaks - (1 if new.endswith("\n") and breaks else 0)
        shift = len(re.findall(r"\r\n|\r|\n", text)) - len(self.starts) + 1
        names = words(self.text[start:end]) | words(new)
        return Mutation(what, text, range(first, max(first, last) + 1), shift, paths, names, aimed, start, end)


def words(text: str) -> frozenset[str]:
    """The words of a YAML text, and the whole of it without its quotes."""
    whole = [text.strip("'\" ")] if text.strip() else []  # the name '' is one, too
    return frozenset([*whole, *re.findall(r"[^\s:,{}\[\]'\"&*]+", text)])


def mutations(plan: Plan, seed: int) -> Iterator[Mutation]:
    """Mutations of a plan without end."""
    pick = random.Random(seed)  # noqa: S311 - a mutation is no secret
    kinds = [
        _value,
        _value,
        _value,
        _key,
        _key,
        _removed,
        _doubled,
        _added,
        _moved,
        _indented,
        _inserted,
        _deleted,
        _cut,
    ]
    while True:
        place = pick.choice(plan.places)
        made = pick.choice(kinds)(plan, place, pick)
        if made is not None and made.text != plan.text:
            yield made


def _value(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    bots = [other.path[2] for other in plan.places if other.path[:2] == ("factory", "bots") and len(other.path) == 3]
    new = str(pick.choice([*VALUES, *map(_quoted, map(str, bots))]))
    return _replaced("value", plan, place, new)


def _moved(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    other = pick.choice(plan.places).node
    if not isinstance(other, yaml.ScalarNode) or other.style in ("|", ">"):
        return None
    return _replaced("moved value", plan, place, plan.text[other.start_mark.index : other.end_mark.index])


def _replaced(what: str, plan: Plan, place: Place, new: str) -> Mutation | None:
    node = place.node
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style not in ("|", ">"):
        space = " " if start == end else ""
        return plan.edited(what, start, end, space + new, plan.of(node), aimed=True)
    if not isinstance(node, yaml.ScalarNode) and node.flow_style:
        return plan.edited(what, start, end, new, plan.of(node), aimed=True)
    span = _block(plan, place)
    if span is None or place.key is None:
        return None
    head = plan.text[span[0] : place.key.end_mark.index]
    return plan.edited(what, *span, f"{head}: {new}\n", plan.of(node), aimed=True)


def _block(plan: Plan, place: Place) -> tuple[int, int] | None:
    """The whole lines of an entry in block style, from its key (or dash) to before the next entry."""
    if not place.here:
        return None
    first = place.key or place.node
    line = plan.line(first.start_mark.index)
    start = plan.starts[line - 1]
    before = plan.text[start : first.start_mark.index]
    if before.strip(" ") not in ("", "-") or (place.key is not None and before.strip(" ")):
        return None
    end = place.node.end_mark.index
    last = plan.line(end)
    whole = end == plan.starts[last - 1] or not plan.text[plan.starts[last - 1] : end].strip(" ")
    if whole and last > line:
        return start, plan.starts[last - 1]
    return (start, plan.starts[last]) if last < len(plan.starts) else None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else "x"


def _key(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    if place.key is None:
        return None
    old = place.key.value
    at = pick.randrange(len(old)) if old else 0
    misspelt = [old[:at] + old[at + 1 :], old[:at] + "x" + old[at:], old.swapcase(), old.replace("_", "-"), old + " "]
    siblings = [str(one.path[-1]) for one in plan.places if one.path[:-1] == place.path[:-1]]
    new = pick.choice([_quoted(pick.choice([*misspelt, *siblings])), pick.choice(KEYS)])
    node = place.key
    return plan.edited("key", node.start_mark.index, node.end_mark.index, new, plan.of(node), aimed=True)


def _removed(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    span = _block(plan, place)
    return plan.edited("removed", *span, "", plan.of(place.node), aimed=True) if span else None


def _doubled(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    span = _block(plan, place)
    if span is None:
        return None
    copy = plan.text[slice(*span)]
    return plan.edited("doubled", span[1], span[1], copy, plan.of(place.node), aimed=True)


def _added(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    span = _block(plan, place)
    if span is None:
        return None
    pad = " " * (place.key or place.node).start_mark.column
    new = f"{pad}{pick.choice(KEYS)}: {pick.choice(VALUES)}\n" if place.key else f"{pad[2:]}- {pick.choice(VALUES)}\n"
    return plan.edited("added", span[0], span[0], new, plan.of(place.node), aimed=True)


def _indented(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    start = plan.starts[pick.randrange(len(plan.starts))]
    found = re.compile(" *").match(plan.text, start)
    assert found is not None
    pad = found[0]
    new = pick.choice([f"{pad} ", f"{pad}  ", pad[1:], pad[2:], pad[4:], f"{pad}\t", "\t", ""])
    return plan.edited("indented", start, found.end(), new, (), aimed=False)


def _inserted(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    at = pick.randrange(len(plan.text))
    return plan.edited("inserted", at, at, pick.choice(CHARACTERS), (), aimed=False)


def _deleted(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    at = pick.randrange(len(plan.text))
    return plan.edited("deleted", at, at + pick.choice([1, 1, 2, 5]), "", (), aimed=False)


def _cut(plan: Plan, place: Place, pick: random.Random) -> Mutation | None:
    at = pick.randrange(len(plan.text))
    return plan.edited("cut", at, len(plan.text), "", (), aimed=False) if pick.random() < 0.3 else None
