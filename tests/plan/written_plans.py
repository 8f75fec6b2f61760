"""Writes plain data as YAML in one of its many valid spellings: block and flow, every quoting, comments, anchors and
aliases, merge keys, CR LF, a byte order mark.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml
from generated_plans import plans
from hypothesis import strategies as st

Path = tuple[Any, ...]

_PLAIN = re.compile(r"[A-Za-z0-9_./+=~@$é-]([A-Za-z0-9_./+=~@$é \[\]{},:-]*[A-Za-z0-9_./+=~@$é-])?")
_RAW = re.compile("[\t\x20-\x7e\xa1-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")
"""What may stand in quotes as it is: a break of YAML's own (NEL, LS, PS) would be folded."""
_LINES = re.compile(r"[!-~é](?:[ -~é]*[!-~é])?(?:\n[!-~é](?:[ -~é]*[!-~é])?)*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of YAML; `free` says that a comment or an empty line may stand before it."""

    text: str
    free: bool = True


@st.composite
def written_plans(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A valid plan as plain data and as text; seed 0, to which a failure shrinks, is the plainest spelling."""
    plan = draw(plans())
    return plan, written(plan, draw(st.integers(0, 2**32)))


def written(plan: dict[str, Any], seed: int) -> str:
    """`plan` in the spelling that `seed` stands for; keys that start with `x-` may come to it."""
    return _Writer(random.Random(seed), odd=seed != 0).text(plan)  # noqa: S311 - a spelling is no secret


def data_of(text: str) -> Any:
    """What PyYAML reads of a plan's text, but for the keys that anchors were written into."""
    data = yaml.safe_load(text.removeprefix("\ufeff"))
    return {key: value for key, value in data.items() if not key.startswith("x-anchor")}


@dataclass
class _Writer:
    random: random.Random
    odd: bool
    anchors: dict[str, str] = field(default_factory=dict)
    hoisted: dict[Path, str] = field(default_factory=dict)
    bases: dict[Path, tuple[str, list[str]]] = field(default_factory=dict)
    named: int = 0
    step: int = 2
    dash: int = 0

    def chance(self, share: float) -> bool:
        return self.odd and self.random.random() < share

    def text(self, plan: dict[str, Any]) -> str:
        self.step = self.random.choice([2, 2, 3, 4, 7]) if self.odd else 2
        self.dash = self.random.choice([0, 2]) if self.odd else 2
        lines: list[Line] = []
        for number in range(self.random.randrange(3) if self.odd else 0):
            lines += self._hoist(plan, f"x-anchor{number}")
        lines += self.block(plan, 0, ())
        text = "".join(self._decorated(lines))
        if self.chance(0.2):
            text = f"{self.random.choice(['%YAML 1.1', '# a plan'])}\n---\n{text}"
        if self.chance(0.1):
            text += "...\n"
        if self.chance(0.1):
            text = text.replace("\n", "\r\n")
        return "\ufeff" + text if self.chance(0.05) else text

    def _decorated(self, lines: list[Line]) -> list[str]:
        written = []
        for before, line in pairwise([Line(""), *lines]):
            if line.free and before.free and self.chance(0.05):
                written.append(self.random.choice(["\n", "# Bücher: [a, 'b\n", "      # deep\n", "  \n"]))
            trail = self.random.choice(["", "  ", " # why"]) if line.free and self.chance(0.1) else ""
            written.append(f"{line.text}{trail}\n")
        return written

    def _hoist(self, plan: dict[str, Any], key: str) -> list[Line]:
        """A part of the plan as a key of its own with an anchor, for an alias or a merge where it was."""
        taken = [*self.hoisted, *self.bases]
        places = [
            (path, value)
            for path, value in _places(plan)
            if len(path) > 1 and path[0] == "factory" and not any(_related(path, other) for other in taken)
        ]
        if not places:
            return []
        path, value = self.random.choice(places)
        name = f"a-{key}"
        if isinstance(value, dict) and len(value) > 1 and "<<" not in value and self.chance(0.7):
            keys = self.random.sample(list(value), self.random.randrange(1, len(value)))
            base = {one: value[one] for one in keys}
            overridden = self.random.choice([one for one in value if one not in keys])
            if self.chance(0.3):
                base[overridden] = 5
            self.bases[path] = name, keys
            return self._entry(key, base, 0, (key,), anchor=name)
        lines = self._entry(key, value, 0, (key,), anchor=name)
        self.hoisted[path] = name
        return lines

    def block(self, value: Any, indent: int, path: Path) -> list[Line]:
        """A list or mapping that is not empty, as lines."""
        pad = " " * indent
        lines: list[Line] = []
        if isinstance(value, list):
            for index, item in enumerate(value):
                inner = self._valued(item, indent + 2, (*path, index))
                lines += [Line(f"{pad}-{inner[0].text}", inner[0].free), *inner[1:]]
            return lines
        base, keys = self.bases.get(path, (None, []))
        entries = [self._entry(key, item, indent, (*path, key)) for key, item in value.items() if key not in keys]
        if base:
            merge = self.random.choice([f"<<: *{base}", f"<<: [*{base}]"])
            entries.insert(self.random.randrange(len(entries) + 1), [Line(f"{pad}{merge}")])
        return [line for entry in entries for line in entry]

    def _entry(self, key: str, value: Any, indent: int, path: Path, anchor: str | None = None) -> list[Line]:
        shown = self.scalar(key, key=True)
        deeper = indent + (self.dash if isinstance(value, list) else self.step)
        inner = self._valued(value, deeper, path, anchor)
        if len(inner) == 1 and inner[0].free and self.chance(0.03):
            return [Line(f"{' ' * indent}? {shown}"), Line(f"{' ' * indent}:{inner[0].text}")]
        return [Line(f"{' ' * indent}{shown}:{inner[0].text}", inner[0].free), *inner[1:]]

    def _valued(self, value: Any, indent: int, path: Path, anchor: str | None = None) -> list[Line]:
        """A value as what stands behind its key or dash: the first line continues theirs."""
        if path in self.hoisted:
            return [Line(f" *{self.hoisted[path]}")]
        same = json.dumps(value)
        if not anchor and same in self.anchors and self.chance(0.5):  # an anchor that is asked for must be written
            return [Line(f" *{self.anchors[same]}")]
        mark = f" &{anchor}" if anchor else ""
        if not anchor and self.chance(0.05):
            self.named += 1
            mark = f" &n{self.named}"
        lines = self._unmarked(value, indent, path, bool(mark))
        if mark:  # behind the value, so that nothing inside it is its own alias
            self.anchors[same] = mark[2:]
        return [Line(f"{mark}{lines[0].text}", lines[0].free), *lines[1:]]

    def _unmarked(self, value: Any, indent: int, path: Path, marked: bool) -> list[Line]:
        touched = any(_related(path, other) for other in (*self.hoisted, *self.bases))
        if isinstance(value, dict | list):
            if not value or (not touched and self.chance(0.25)):
                return [Line(f" {self.flow(value)}")]
            lines = self.block(value, indent, path)
            if isinstance(path[-1], int) and not marked:  # compact: `- key: value`
                return [Line(f" {lines[0].text.lstrip()}", lines[0].free), *lines[1:]]
            return [Line(""), *lines]
        if isinstance(value, str) and _LINES.fullmatch(value) and self.chance(0.2):
            deep = " " * max(indent, 1)
            return [Line(f" {self.random.choice(['|-', '|-  # as it is'])}", free=False), *(
                Line(f"{deep}{line}", free=False) for line in value.split("\n")
            ), ]  # fmt: skip
        text = self.scalar(value)
        return [Line(f" {text}" if text else "")]

    def flow(self, value: Any) -> str:
        """A value on one line."""
        if isinstance(value, dict):
            inner = [f"{self.scalar(key, key=True)}: {self.flow(item)}" for key, item in value.items()]
            return "{" + self._listed(inner) + "}"
        if isinstance(value, list):
            return "[" + self._listed([self.flow(item) for item in value]) + "]"
        return self.scalar(value, flow=True)

    def _listed(self, parts: list[str]) -> str:
        comma = "," if parts and self.chance(0.1) else ""
        return ", ".join(parts) + comma

    def scalar(self, value: Any, *, key: bool = False, flow: bool = False) -> str:
        """A scalar on one line."""
        match value:
            case None:
                return (
                    self.random.choice(["null", "~", "Null"] if flow else ["", "null", "~", ""]) if self.odd else "null"
                )
            case bool():
                words = ["true", "True", "yes", "on"] if value else ["false", "FALSE", "no", "off"]
                return self.random.choice(words) if self.odd else words[0]
            case int():
                return f"!!int '{value}'" if self.chance(0.03) else str(value)
            case float():
                text = repr(value)
                return text if "." in text or "e" not in text else text.replace("e", ".0e")
        tag = "!!str " if not key and self.chance(0.03) else ""
        if self._stays_plain(value, flow=flow or key) and not self.chance(0.2):
            return tag + value
        if value.isprintable() and _RAW.fullmatch(value) and not self.chance(0.3):
            return f"{tag}'{value.replace(chr(39), chr(39) * 2)}'"
        return f'{tag}"{"".join(map(_escaped, value))}"'

    @staticmethod
    def _stays_plain(text: str, *, flow: bool) -> bool:
        if not _PLAIN.fullmatch(text) or (flow and re.search(r"[\[\]{},:]", text)):
            return False
        try:
            read = yaml.safe_load(f"k: {text}")
        except yaml.YAMLError:
            return False
        return isinstance(read, dict) and read == {"k": text} and isinstance(read["k"], str)


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and _RAW.fullmatch(character):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _places(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(place for key, item in inner for place in _places(item, (*path, key)))]


def _related(path: Path, other: Path) -> bool:
    """Whether one of two places is inside the other."""
    return path[: len(other)] == other or other[: len(path)] == path
