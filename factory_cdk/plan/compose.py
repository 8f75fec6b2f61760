"""Composes the events of PyYAML's C parser into nodes, refusing what a plan may not hold.

Every problem that does not stop the parser is collected; sizes and depths are bounded before anything is
expanded, so that an alias bomb costs neither time nor memory.
"""

from __future__ import annotations

import re

import yaml

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.nodes import Entry, Item, MappingNode, Node, ScalarNode, SequenceNode
from factory_cdk.plan.scalars import TAGS, resolve

MAX_WEIGHT = 250_000
"""How many values a plan may hold with its aliases expanded; 1,000 ordinary sectors hold about 30,000."""

MAX_DEPTH = 64
"""How deeply lists and mappings may nest."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Stop(Exception):
    """Composing cannot go on; the reason is in the findings already."""


def compose(text: str, findings: Findings) -> Node | None:
    """The root node of `text`, or None when it is not YAML that a plan may be (see `findings`)."""
    loader = _LOADER(text)
    try:
        return _Composer(loader, findings).document()
    except yaml.MarkedYAMLError as error:
        _report_syntax(error, text, findings)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        findings.add("F005", f"the character {error.character!r} may not stand in YAML", None, line=line)
    except _Stop:
        pass
    finally:
        loader.dispose()
    return None


def _report_syntax(error: yaml.MarkedYAMLError, text: str, findings: Findings) -> None:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.split("\n")
    for number in (line, line - 1):
        found = re.match(r" *\t", lines[number - 1]) if 1 <= number <= len(lines) else None
        if found:
            findings.add("F011", "a tab is used to indent", "YAML indents with spaces", line=number, column=found.end())
            return
    parts = [part for part in (error.context, error.problem) if part]
    since = ""
    if error.context_mark and mark and error.context_mark.line != mark.line:
        since = f" (it began on line {error.context_mark.line + 1})"
    message = "the YAML does not parse: " + ", ".join(parts) + since
    findings.add("F010", message, _syntax_hint(message), line=line, column=column)


def _syntax_hint(message: str) -> str:
    if "mapping values are not allowed" in message:
        return "quote the value if it holds a `: `, or check the indentation of this line"
    if "cannot start any token" in message:
        return "quote the value: YAML reserves this character"
    return "check the indentation and the quotes on this line and the one before"


class _Composer:
    """Turns the events of one document into nodes; holds the anchors met so far."""

    def __init__(self, loader: yaml.SafeLoader, findings: Findings) -> None:
        self._next = loader.get_event
        self._findings = findings
        self._anchors: dict[str, Node | None] = {}

    def document(self) -> Node | None:
        """The only document of the stream; None when it holds nothing."""
        self._next()  # StreamStart
        if isinstance(self._next(), yaml.StreamEndEvent):
            self._findings.add("F006", f"{self._findings.file} holds only comments", None)
            return None
        root, _ = self._node(self._next(), 0)
        self._next()  # DocumentEnd
        following = self._next()
        if not isinstance(following, yaml.StreamEndEvent):
            self._report("F017", "a plan is one YAML document; another one starts here", None, following)
        return root

    def _report(self, code: str, message: str, hint: str | None, event: yaml.Event) -> None:
        mark = event.start_mark
        self._findings.add(code, message, hint, line=mark.line + 1, column=mark.column + 1)

    def _node(self, event: yaml.Event, depth: int) -> tuple[Node, str | None]:
        """The node that `event` starts and, when it is an alias, the alias's name."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event), event.anchor
        if depth > MAX_DEPTH:
            self._report("F018", f"lists and mappings nest deeper than {MAX_DEPTH} levels", None, event)
            raise _Stop
        self._check_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node, None

    def _alias(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor)
        if node is not None:
            return node
        if event.anchor in self._anchors:
            self._report("F015", f"the alias *{event.anchor} stands inside its own anchor", None, event)
        else:
            hint = f"an anchor is written `&{event.anchor}` and stands before its aliases"
            self._report("F015", f"there is no anchor &{event.anchor} before this alias", hint, event)
        raise _Stop

    def _check_tag(self, event: yaml.Event) -> None:
        if event.tag is None or event.tag in TAGS or event.tag == "!":
            return
        shown = event.tag.replace("tag:yaml.org,2002:", "!!")
        self._report("F013", f"the tag {shown} is not allowed in a plan", "write the value without a tag", event)

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        mark = event.start_mark
        tag = event.tag if event.tag in TAGS else None
        value: str | int | float | bool | None = event.value
        try:
            value = resolve(event.value, tag, event.implicit[0])
        except ValueError as error:
            reason = "it has too many digits" if "Exceeds the limit" in str(error) else str(error)
            self._report("F019", f"{event.value[:40]} is no number that JSON can hold: {reason}", None, event)
        return ScalarNode(value, event.value, mark.line + 1, mark.column + 1)

    def _weigh(self, node: SequenceNode | MappingNode, child: Node, event: yaml.Event) -> None:
        node.weight += child.weight
        if node.weight > MAX_WEIGHT:
            message = f"the plan holds more than {MAX_WEIGHT:,} values with its aliases expanded"
            self._report("F014", message, "write fewer aliases of aliases", event)
            raise _Stop

    def _sequence(self, event: yaml.SequenceStartEvent, depth: int) -> SequenceNode:
        node = SequenceNode([], event.start_mark.line + 1, event.start_mark.column + 1)
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            child, alias = self._node(item, depth + 1)
            self._weigh(node, child, item)
            node.items.append(Item(child, alias))
        return node

    def _mapping(self, event: yaml.MappingStartEvent, depth: int) -> MappingNode:
        node = MappingNode({}, event.start_mark.line + 1, event.start_mark.column + 1)
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            key, _ = self._node(key_event, depth + 1)
            value_event = self._next()
            value, alias = self._node(value_event, depth + 1)
            if self._is_merge(key_event):
                self._merge(merged, value, alias, value_event)
                for entry in merged.values():
                    self._weigh(node, entry.node, value_event)
                continue
            self._weigh(node, value, value_event)
            if not isinstance(key, ScalarNode) or not isinstance(key.value, str):
                shown = key.text if isinstance(key, ScalarNode) else "a list or mapping"
                hint = f"quote it: `'{shown}':`" if isinstance(key, ScalarNode) else None
                self._report("F016", f"the key {shown} is no text", hint, key_event)
            elif key.value in own:
                first = own[key.value].key.line
                self._report("F012", f"the key `{key.value}` stands twice", f"it stands on line {first} too", key_event)
            else:
                own[key.value] = Entry(key, value, alias)
        node.entries = {**merged, **own}
        return node

    @staticmethod
    def _is_merge(event: yaml.Event) -> bool:
        return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]

    def _merge(self, into: dict[str, Entry], value: Node, alias: str | None, event: yaml.Event) -> None:
        """Merge a mapping, or a list of mappings, into `into`; what came earlier wins."""
        if isinstance(value, SequenceNode):
            sources = [(item.node, item.alias or alias) for item in value.items]
        else:
            sources = [(value, alias)]
        for source, name in sources:
            if not isinstance(source, MappingNode):
                self._report("F020", "`<<` merges a mapping or a list of mappings", None, event)
                continue
            for key, entry in source.entries.items():
                into.setdefault(key, Entry(entry.key, entry.node, name or entry.alias, merged=True))
