"""Composes the events of PyYAML's C parser into nodes, refusing what a plan may not contain.

Every problem that does not stop the parser is collected; sizes and depths are bounded before anything is
expanded, so that an alias bomb costs neither time nor memory.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.yaml.lookalikes import fix, has_lookalikes, in_key, in_value, named
from factory_cdk.plan.yaml.nodes import Entry, Item, MappingNode, Node, ScalarNode, SequenceNode
from factory_cdk.plan.yaml.scalars import COLLECTION_TAGS, SCALAR_TAGS, evaluated, resolve
from factory_cdk.plan.yaml.syntax import report_syntax
from factory_cdk.plan.yaml.text import Places

MAX_WEIGHT = 250_000
"""How many values a plan may hold with its aliases expanded; 1,000 ordinary sectors hold about 30,000."""

MAX_DEPTH = 64
"""How deeply lists and mappings may nest, aliases expanded."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Stop(Exception):
    """Composing cannot go on; the reason is in the findings already."""


def compose(text: str, findings: Findings) -> Node | None:
    """The root node of `text`, or None when it is not YAML that a plan may be (see `findings`)."""
    loader = _LOADER(text)
    places = Places(text)
    try:
        composer = _Composer(loader, places, findings, odd=has_lookalikes(text))
        root = composer.document()
        return root if composer.report_lookalikes() else None
    except yaml.MarkedYAMLError as error:
        report_syntax(error, text, places, findings)
    except yaml.reader.ReaderError as error:
        findings.add("F005", f"{findings.file} is not valid YAML text: {error.reason}", None)
    except _Stop:
        pass
    finally:
        loader.dispose()
    return None


class _Composer:
    """Turns the events of one document into nodes; knows the anchors so far, and whether any character looks `odd`."""

    def __init__(self, loader: Any, places: Places, findings: Findings, *, odd: bool) -> None:
        self._loader = loader
        self._place = places.of
        self._findings = findings
        self._anchors: dict[str, Node | None] = {}
        self._odd = odd
        self._lookalikes: list[tuple[str, str, str, Any]] = []

    def document(self) -> Node | None:
        """The only document of the stream; None when it holds nothing."""
        self._next()  # StreamStart
        if isinstance(self._next(), yaml.StreamEndEvent):
            hint = "a plan starts with the key `factory:`"
            self._findings.add("F006", f"{self._findings.file} contains only comments", hint)
            return None
        root, _ = self._node(self._next(), 0)
        self._next()  # DocumentEnd
        following = self._next()
        if not isinstance(following, yaml.StreamEndEvent):
            hint = "remove the `---` and everything after it, or move it to another plan"
            self._report("F017", "a plan must be one YAML document; a second one starts here", hint, following)
        return root

    def _next(self) -> Any:
        # Events are Any: the stubs give their marks and anchors as optional, which the C parser always sets.
        return self._loader.get_event()

    def _report(self, code: str, message: str, hint: str | None, event: Any) -> None:
        line, column = self._place(event.start_mark)
        self._findings.add(code, message, hint, line=line, column=column)

    def _node(self, event: Any, depth: int) -> tuple[Node, str | None]:
        """The node that `event` starts and, when it is an alias, the alias's name."""
        if isinstance(event, yaml.AliasEvent):
            node = self._alias(event)
            self._check_depth(depth + node.height, event)
            return node, event.anchor
        self._check_depth(depth, event)
        self._check_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node, None

    def _check_depth(self, depth: int, event: Any) -> None:
        if depth > MAX_DEPTH:
            message = f"lists and mappings are nested more than {MAX_DEPTH} levels deep here"
            self._report("F018", message, "a plan needs about 12 levels", event)
            raise _Stop

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is not None:
            return node
        if event.anchor in self._anchors:
            hint = "use another anchor, or write the value here"
            self._report("F015", f"recursive alias: *{event.anchor} is used inside its own anchor", hint, event)
        else:
            hint = f"define the anchor `&{event.anchor}` before its aliases"
            self._report(
                "F015", f"undefined alias *{event.anchor}: there is no anchor &{event.anchor} before it", hint, event
            )
        raise _Stop

    def _check_tag(self, event: Any) -> None:
        fitting = SCALAR_TAGS if isinstance(event, yaml.ScalarEvent) else COLLECTION_TAGS[type(event)]
        if event.tag is None or event.tag in fitting or event.tag == "!":
            return
        shown = event.tag.replace("tag:yaml.org,2002:", "!!")[:80]
        self._report("F013", f"the tag {shown} is not allowed here", "write the value without a tag", event)

    def _scalar(self, event: Any) -> ScalarNode:
        line, column = self._place(event.start_mark)
        tag = event.tag if event.tag in SCALAR_TAGS else None
        value: str | int | float | bool | None = event.value
        if evaluated(event.value):
            message = f"CloudFormation or CDK would evaluate the `{evaluated(event.value)}…` in this text"
            self._report("F108", message, "write the value itself", event)
        else:
            try:
                value = resolve(event.value, tag, event.implicit[0])
            except ValueError as error:
                shown = event.value if len(event.value) <= 40 else event.value[:39] + "…"
                hint = f"quote it if it is text: '{shown}'" if event.implicit[0] else "write the value without a tag"
                self._report("F019", f"`{shown}` {error}", hint, event)
        return ScalarNode(value, event.value, line, column, quoted=not event.implicit[0])

    def _check_value(self, node: Node, event: Any) -> None:
        """Warn (F025) of a character in an unquoted value that looks like another one, or like none."""
        if isinstance(node, ScalarNode) and not node.quoted and (odd := in_value(node.text)):
            message = f"look-alike character {named(odd)} in the value `{_shown(node.text)}`"
            self._lookalikes.append(("F025", message, f"{fix(odd)}, or quote the value", event))

    def report_lookalikes(self) -> bool:
        """Report every character that looks like another one (not before all is read: where the YAML does not parse,
        one of them may be the reason). False when the structure of the plan depends on one.
        """
        for found in self._lookalikes:
            self._report(*found)
        return all(code != "F024" for code, *_ in self._lookalikes)

    def _weigh(self, node: SequenceNode | MappingNode, child: Node, event: Any) -> None:
        node.weight += child.weight
        node.height = max(node.height, child.height + 1)
        node.partial |= not isinstance(child, ScalarNode) and child.partial
        if node.weight > MAX_WEIGHT:
            message = f"the plan has more than {MAX_WEIGHT:,} values when its aliases are expanded"
            self._report("F014", message, "use fewer aliases inside anchored values", event)
            raise _Stop

    def _sequence(self, event: Any, depth: int) -> SequenceNode:
        node = SequenceNode([], *self._place(event.start_mark))
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            child, alias = self._node(item, depth + 1)
            if self._odd:
                self._check_value(child, item)
            self._weigh(node, child, item)
            node.items.append(Item(child, alias))
        return node

    def _mapping(self, event: Any, depth: int) -> MappingNode:
        node = MappingNode({}, *self._place(event.start_mark))
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        merge: ScalarNode | None = None
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            key, _ = self._node(key_event, depth + 1)
            value_event = self._next()
            value, alias = self._node(value_event, depth + 1)
            if self._odd:
                self._check_value(value, value_event)
            self._weigh(node, value, value_event)
            if isinstance(key, ScalarNode) and self._is_merge(key_event):
                if merge is not None:
                    hint = f"the first one is on line {merge.line}; merge a list instead: `<<: [*first, *second]`"
                    self._report("F012", "duplicate key `<<`", hint, key_event)
                merge = key
                self._merge(merged, node.left_out, value, alias, value_event)
            elif not isinstance(key, ScalarNode) or not isinstance(key.value, str):
                self._report_key(key, key_event)
                node.left_out.add(key.text if isinstance(key, ScalarNode) else "")
            elif self._odd and not key.quoted and (odd := in_key(key.text)):
                message = f"look-alike character {named(odd)} in the key `{_shown(key.text)}`"
                self._lookalikes.append(("F024", message, f"{fix(odd)}, or quote the key", key_event))
                node.left_out.add(key.value)
            elif key.value in own:
                first = own[key.value].key.line
                message = f"duplicate key `{_shown(key.value)}`"
                self._report("F012", message, f"the first one is on line {first}: remove one of them", key_event)
                node.left_out.add(key.value)
            else:
                own[key.value] = Entry(key, value, alias)
        node.entries = {**merged, **own}
        node.partial |= bool(node.left_out)
        return node

    def _report_key(self, key: Node, event: Any) -> None:
        if not isinstance(key, ScalarNode):
            self._report(
                "F016",
                "a list or mapping is used as a key",
                "a key must be text; quote text that starts with `{` or `[`",
                event,
            )
            return
        shown = _shown(key.text)
        what = "null" if key.value is None else f"{str(key.value).lower()}, not text"
        message = f"YAML reads the key `{shown}` as {what}" if shown else "a key is missing before the colon"
        self._report("F016", message, f"quote it: '{shown}':" if shown else "write the key, or quote the colon", event)

    @staticmethod
    def _is_merge(event: Any) -> bool:
        return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]

    def _merge(self, into: dict[str, Entry], left_out: set[str], value: Node, alias: str | None, event: Any) -> None:
        """Merge a mapping, or a list of mappings, into `into`, and what they have left out into `left_out`; what came
        earlier wins.
        """
        if isinstance(value, SequenceNode):
            sources = [(item.node, item.alias or alias) for item in value.items]
        else:
            sources = [(value, alias)]
        for source, name in sources:
            if not isinstance(source, MappingNode):
                hint = "anchor a mapping with `&name` and merge it: `<<: *name`"
                self._report("F020", "`<<` must be a mapping or a list of mappings", hint, event)
                continue
            left_out |= source.left_out
            for key, entry in source.entries.items():
                into.setdefault(key, Entry(entry.key, entry.node, name or entry.alias, merged=True))


def _shown(text: str) -> str:
    return re.sub(r"\s+", " ", text if len(text) <= 60 else text[:59] + "…")
