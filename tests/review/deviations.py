"""Where review, change sets and `cdk diff` say different things of a resource: what, who is right, and how it is known.

A deviation takes out of one side what only that side says. What is left has to be the same on both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from facts import Fact
from stack_templates import Template

from factory_cdk.plan.facts import update_behaviour

DETAIL = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChangeDetail.html"
TARGET = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceTargetDefinition.html"
SCHEMA = "https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html"
PROFILE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-instanceprofile.html"
MAPPINGS = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/mappings-section-structure.html"

REVIEW, CHANGE_SET, CDK_DIFF = "review", "change set", "cdk diff"


@dataclass(frozen=True)
class Pair:
    """The templates of a stack before and after."""

    old: Template
    new: Template

    def values(self, logical_id: str, name: str) -> tuple[Any, Any]:
        """A property of a resource in both; None where there is none."""
        both = (template["Resources"].get(logical_id, {}) for template in (self.old, self.new))
        old, new = (one.get("Properties", {}).get(name) for one in both)
        return old, new

    def type(self, logical_id: str) -> str:
        """The type of a resource that is in the new one."""
        return str(self.new["Resources"][logical_id]["Type"])


Facts = Mapping[str, Fact]


@dataclass(frozen=True)
class Deviation:
    """`what` only `who` says when held against `against`; `right` is who tells what AWS does, `source` how that is
    known. `take_out` removes it from what `who` says. `example` is a plan change in which it is seen.
    """

    who: str
    against: str
    what: str
    right: str
    source: str
    example: str
    take_out: Callable[[Pair, Facts], Facts]


def levelled(pair: Pair, who: str, against: str, facts: Facts) -> tuple[Facts, frozenset[str]]:
    """`facts` without the deviations of `who`, and which of them there were (by `what`)."""
    seen = []
    for deviation in DEVIATIONS:
        if (deviation.who, deviation.against) == (who, against):
            left = deviation.take_out(pair, facts)
            if left != facts:
                seen.append(deviation.what)
            facts = left
    return facts, frozenset(seen)


def _each(change: Callable[[Pair, str, Fact], Fact | None]) -> Callable[[Pair, Facts], Facts]:
    def taken(pair: Pair, facts: Facts) -> Facts:
        found = {name: change(pair, name, fact) if fact.action == "Modify" else fact for name, fact in facts.items()}
        return {name: fact for name, fact in found.items() if fact is not None}

    return taken


def _without(pair: Pair, name: str, fact: Fact, properties: frozenset[str]) -> Fact | None:
    """`fact` without some of its properties; None when nothing is left of it."""
    if not properties & fact.properties:
        return fact
    left = fact.properties - properties
    if not left and not fact.attributes:
        return None
    known = update_behaviour()[pair.type(name)]
    worst = "True" if left & {*known["replaces"]} else "Conditional" if left & {*known["may_replace"]} else "False"
    return replace(fact, properties=left, references=fact.references - properties, replacement=worst)


def _no_attribute(*attributes: str) -> Callable[[Pair, str, Fact], Fact | None]:
    def taken(_: Pair, __: str, fact: Fact) -> Fact | None:
        left = replace(fact, attributes=fact.attributes - {*attributes})
        return left if left.properties or left.attributes else None

    return taken


def _no_references(pair: Pair, name: str, fact: Fact) -> Fact | None:
    return _without(pair, name, fact, fact.references)


def _no_lookups(pair: Pair, name: str, fact: Fact) -> Fact | None:
    return _without(
        pair, name, fact, frozenset(one for one in fact.properties - fact.references if _looks_up(pair, name, one))
    )


def _looks_up(pair: Pair, name: str, one: str) -> bool:
    old, new = pair.values(name, one)
    return bool(old == new) and "Fn::FindInMap" in json.dumps(new) and pair.old["Mappings"] != pair.new["Mappings"]


def _same_by(form: Callable[[Any], Any]) -> Callable[[Pair, Facts], Facts]:
    """Takes out properties that are the same in another form, and what refers to a resource that has no others."""

    def taken(pair: Pair, facts: Facts) -> Facts:
        def change(pair: Pair, name: str, fact: Fact) -> Fact | None:
            alike = (one for one in fact.properties - fact.references if _equal(form, *pair.values(name, one)))
            return _without(pair, name, fact, frozenset(alike))

        left = _each(change)(pair, facts)
        return _each(lambda pair, name, fact: _without(pair, name, fact, frozenset(_idle(pair, left, name, fact))))(
            pair, left
        )

    return taken


def _idle(pair: Pair, facts: Facts, name: str, fact: Fact) -> Iterator[str]:
    """The references of `fact` to nothing that changes its id."""
    for one in fact.references:
        text = json.dumps(pair.values(name, one)[1])
        causes = [
            other
            for other, said in facts.items()
            if f'"{other}"' in text or f"${{{other}" in text
            if said.action == "Modify" and (said.replacement != "False" or "Fn::GetAtt" in text)
        ]
        if not causes:
            yield one


def _equal(form: Callable[[Any], Any], old: Any, new: Any) -> bool:
    return bool(old != new and form(old) == form(new))


def _unordered(value: Any) -> Any:
    """`value` with the lists of mappings in it sorted."""
    if isinstance(value, dict):
        return {key: _unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_unordered(item) for item in value]
        return sorted(items, key=json.dumps) if all(isinstance(item, dict) for item in items) else items
    return value


def _as_text(value: Any) -> Any:
    """`value` with every scalar in it as text."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return json.dumps(value) if isinstance(value, bool) else str(value)


DEVIATIONS = (
    Deviation(
        who=CDK_DIFF,
        against=REVIEW,
        what="DependsOn differs",
        right=REVIEW,
        source=f"no `Attribute` of a change is DependsOn: {TARGET}",
        example="instance ImageId",
        take_out=_each(_no_attribute("DependsOn")),
    ),
    Deviation(
        who=CDK_DIFF,
        against=REVIEW,
        what="a list of mappings in another order",
        right=REVIEW,
        source=f"the schemas of our types have insertionOrder false for such lists, which is no other state: {SCHEMA}",
        example="volumes in another order",
        take_out=_same_by(_unordered),
    ),
    Deviation(
        who=REVIEW,
        against=CDK_DIFF,
        what="a property that stays and refers to a resource that changes",
        right=REVIEW,
        source=f"ChangeSource ResourceReference and ResourceAttribute: {DETAIL}",
        example="instance ImageId",
        take_out=_each(_no_references),
    ),
    Deviation(
        who=REVIEW,
        against=CDK_DIFF,
        what="a property that finds another value in a mapping",
        right=REVIEW,
        source=f"CloudFormation compares what Fn::FindInMap returns; `cdk diff` shows the mapping alone: {MAPPINGS}",
        example="the script of instances",
        take_out=_each(_no_lookups),
    ),
    Deviation(
        who=CHANGE_SET,
        against=REVIEW,
        what="tags of the stack",
        right=REVIEW,
        source="review tells them as Tags of the resources, which have them all; an instance profile has none in "
        f"CloudFormation (tagging.taggable is false in its schema): {PROFILE}",
        example="tag value",
        take_out=_each(_no_attribute("Tags")),
    ),
    Deviation(
        who=CHANGE_SET,
        against=REVIEW,
        what="a list of mappings in another order",
        right=REVIEW,
        source=f"the schemas of our types have insertionOrder false for such lists, which is no other state: {SCHEMA}",
        example="volumes in another order",
        take_out=_same_by(_unordered),
    ),
    Deviation(
        who=CHANGE_SET,
        against=REVIEW,
        what="a number or truth value as text",
        right=REVIEW,
        source="CloudFormation converts what a property gets to the type of its schema; `cdk diff` knows that, too, "
        "the emulator compares JSON",
        example="volume size as text",
        take_out=_same_by(_as_text),
    ),
)
"""Beside them: a stack that is not needed any more is no stack of `cdk diff` and has no change set (nothing deletes it
but `cdk destroy`), and review tells all of it as removed."""
