"""Laws of what review predicts of resources and of how it compares values, over generated stacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factory_cdk.design.model import Resource
from factory_cdk.plan.facts import update_behaviour
from factory_cdk.review.resources import resource_changes
from factory_cdk.review.sides.side import StackSide
from factory_cdk.review.values import differences, same

NAMES = [f"Thing{number}" for number in range(4)]
TYPES = ["AWS::EC2::Instance", "AWS::CloudWatch::Alarm", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"]
FREE = ["Tags", "Description", "Dimensions", "Monitoring"]

scalars = st.one_of(
    st.booleans(), st.integers(-3, 12), st.text("ab1", max_size=2), st.sampled_from(["true", "5", "0.5"])
)
references = st.one_of(
    st.sampled_from(NAMES).map(lambda name: {"Ref": name}),
    st.sampled_from(NAMES).map(lambda name: {"Fn::GetAtt": [name, "Arn"]}),
    st.sampled_from(NAMES).map(lambda name: {"Fn::Sub": f"a ${{{name}}} b ${{{name}.Arn}} ${{!{name}}}"}),
)
keyed = st.dictionaries(st.sampled_from("abc"), scalars, max_size=3).map(
    lambda tags: [{"Key": key, "Value": value} for key, value in tags.items()]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(scalars, references, keyed),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("pqr"), inner, max_size=3)),
    max_leaves=6,
)
resources = st.sampled_from(TYPES).flatmap(
    lambda type_: st.dictionaries(
        st.sampled_from([*FREE, *update_behaviour()[type_]["replaces"], *update_behaviour()[type_]["may_replace"]]),
        values,
        max_size=4,
    ).map(lambda properties: (type_, properties))
)


def stack(said: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, StackSide]:
    found = {name: Resource(name, type_, properties) for name, (type_, properties) in said.items()}
    return {"one": StackSide("one", "eu-west-2", found)}


stacks = st.dictionaries(st.sampled_from(NAMES), resources, max_size=4).map(stack)


@given(stacks)
def test_a_stack_does_not_differ_from_itself(one: dict[str, StackSide]) -> None:
    assert resource_changes(one, one) == ()


@given(stacks, stacks)
def test_the_other_way_round_adds_what_was_removed_and_modifies_the_same(
    one: dict[str, StackSide], other: dict[str, StackSide]
) -> None:
    swapped = {"Add": "Remove", "Remove": "Add", "Modify": "Modify"}
    forth = {(found.logical_id, found.action) for found in resource_changes(one, other) if not only_refers(found)}
    back = {
        (found.logical_id, swapped[found.action]) for found in resource_changes(other, one) if not only_refers(found)
    }
    assert forth == back


def only_refers(found: Any) -> bool:
    return bool(found.references) and found.references == found.properties


@given(stacks, stacks)
def test_every_property_that_differs_is_named_and_no_other_that_does_not_refer(
    one: dict[str, StackSide], other: dict[str, StackSide]
) -> None:
    found = {change.logical_id: change for change in resource_changes(one, other)}
    for name, old in one["one"].resources.items():
        new = other["one"].resources.get(name)
        if new is not None and new.type == old.type:
            both = {*old.properties, *new.properties}
            differ = {key for key in both if not same(old.properties.get(key), new.properties.get(key))}
            change = found.get(name)
            direct = {*change.properties} - {*change.references} if change else set()
            assert direct == differ


@given(stacks, stacks)
def test_a_replacement_is_that_of_the_worst_property(one: dict[str, StackSide], other: dict[str, StackSide]) -> None:
    for change in resource_changes(one, other):
        if change.action == "Modify" and change.properties != ("Type",):
            known = update_behaviour()[change.type]
            direct = {*change.properties} - {*change.references}
            if direct & {*known["replaces"]}:
                assert change.replacement == "True"
            elif not {*change.properties} & {*known["replaces"], *known["may_replace"]}:
                assert change.replacement == "False"


@given(values)
def test_a_value_is_the_same_as_itself_and_has_no_differences(value: Any) -> None:
    assert same(value, value)
    assert list(differences(value, value)) == []


@given(values, values)
def test_values_are_the_same_exactly_when_they_have_no_differences(one: Any, other: Any) -> None:
    assert same(one, other) == (not list(differences(one, other)))
    assert same(one, other) == same(other, one)


@given(values, values)
def test_differences_the_other_way_round_are_the_same_with_their_sides_swapped(one: Any, other: Any) -> None:
    forth = sorted(((path, repr(was), repr(now)) for path, was, now in differences(one, other)))
    back = sorted(((path, repr(now), repr(was)) for path, was, now in differences(other, one)))
    assert forth == back


@given(values)
def test_scalars_are_the_same_as_their_text(value: Any) -> None:
    assert same(value, as_text(value))


def as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(keyed, st.randoms(use_true_random=False))
def test_the_order_of_what_has_keys_says_nothing(tags: list[Any], drawn: Any) -> None:
    other = list(tags)
    drawn.shuffle(other)
    assert same(tags, other)
    assert same({"Tags": tags}, {"Tags": other})


@given(keyed, keyed)
def test_the_differences_of_tags_are_named_by_their_keys(one: list[Any], other: list[Any]) -> None:
    olds, news = ({tag["Key"]: tag["Value"] for tag in side} for side in (one, other))
    differ = {key for key in {*olds, *news} if key not in olds or key not in news or not same(olds[key], news[key])}
    assert {path.split("]")[0].removeprefix("Tags[") for path, _, _ in differences(one, other, "Tags")} == differ
