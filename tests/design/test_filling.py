"""How sectors and queues are spread over stacks."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factory_cdk.design.model import Resource
from factory_cdk.design.stacks import MAX_RESOURCES, MAX_TEMPLATE_BYTES, Unit, estimated, fill, numbers_after, unit

UNITS = st.lists(st.tuples(st.integers(1, 499), st.integers(1, 900_000)), max_size=20)
OVERHEAD = 50_000


def made(shapes: list[tuple[int, int]]) -> list[Unit]:
    resource = Resource("One", "AWS::SQS::Queue")
    return [Unit(f"u{place}", (resource,) * count, size) for place, (count, size) in enumerate(shapes)]


def placed(stacks: dict[int, list[Unit]]) -> dict[str, int]:
    return {one.name: number for number, units in stacks.items() for one in units}


@given(UNITS)
def test_every_unit_is_in_one_stack_within_the_limits_and_in_order(shapes: list[tuple[int, int]]) -> None:
    units = made(shapes)
    stacks = fill(units, overhead=OVERHEAD)
    assert sorted(one.name for members in stacks.values() for one in members) == sorted(one.name for one in units)
    assert list(stacks) == list(range(1, len(stacks) + 1))
    for members in stacks.values():
        assert sum(len(one.resources) for one in members) <= MAX_RESOURCES
        assert OVERHEAD + sum(one.size for one in members) <= MAX_TEMPLATE_BYTES
        assert members == sorted(members, key=units.index)


@given(UNITS)
def test_each_unit_is_in_the_first_stack_that_had_room_for_it(shapes: list[tuple[int, int]]) -> None:
    units = made(shapes)
    where = placed(fill(units, overhead=OVERHEAD))
    for place, one in enumerate(units):
        for number in range(1, where[one.name]):
            before = [other for other in units[:place] if where[other.name] == number]
            resources = sum(len(other.resources) for other in before) + len(one.resources)
            size = OVERHEAD + sum(other.size for other in before) + one.size
            assert resources > MAX_RESOURCES or size > MAX_TEMPLATE_BYTES


@given(UNITS, UNITS, st.randoms(use_true_random=False))
def test_pinned_units_stay_whatever_is_added_removed_or_reordered(
    shapes: list[tuple[int, int]], more: list[tuple[int, int]], chance: random.Random
) -> None:
    units = made(shapes)
    before = placed(fill(units, overhead=OVERHEAD))
    kept = chance.sample(units, chance.randint(0, len(units)))
    changed = [*kept, *(Unit(f"new {one.name}", one.resources, one.size) for one in made(more))]
    chance.shuffle(changed)
    after = placed(fill(changed, before, overhead=OVERHEAD))
    assert {one.name: after[one.name] for one in kept} == {one.name: before[one.name] for one in kept}


def test_a_pinned_unit_that_has_grown_out_of_its_stack_moves_alone() -> None:
    small, grown = made([(1, 10), (499, 10)])
    pins = {"u0": 1, "u1": 1}
    assert placed(fill([small, Unit("u1", grown.resources * 2, 10)], pins)) == {"u0": 1, "u1": 2}


def test_a_stack_whose_number_is_far_off_keeps_it_and_new_units_fill_what_there_is() -> None:
    units = made([(400, 10), (400, 10), (1, 10)])
    assert placed(fill(units, {"u0": 999_999})) == {"u0": 999_999, "u1": 1, "u2": 1}


def test_only_stacks_of_the_same_kind_and_region_are_recognised() -> None:
    names = {
        "a": "f-s-eu-west-2",
        "b": "f-s-eu-west-2-2",
        "c": "f-s-eu-west-2-17",
        "d": "f-s-eu-west-1",
        "e": "f-s-eu-west-2-0",
        "f": "f-s-eu-west-2-1",
        "g": "f-s-eu-west-2-²",
        "h": "f-s-eu-west-2-9999999",
        "i": "x-f-s-eu-west-2",
    }
    assert numbers_after("f-s-eu-west-2", names) == {"a": 1, "b": 2, "c": 17}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=30,
)


@given(st.dictionaries(st.text(max_size=9), JSON, max_size=4))
def test_the_estimate_of_a_unit_is_never_less_than_its_template_takes(properties: dict[str, Any]) -> None:
    one = Resource("BoxInstance", "AWS::EC2::Instance", {"Some": properties}, ("BoxRelease", "BoxRouter"))
    body = {"Type": one.type, "Properties": one.properties, "DependsOn": list(one.depends_on)}
    written = json.dumps({"Resources": {one.logical_id: body}}, indent=1, ensure_ascii=False)
    assert unit("box", (one,)).size >= len(written.encode(errors="surrogatepass"))


@given(JSON)
def test_the_estimate_of_metadata_is_never_less_than_it_takes(value: Any) -> None:
    written = json.dumps({"Metadata": {"factory-cdk": {"meta": value}}}, indent=1, ensure_ascii=False)
    assert estimated([{"factory-cdk": {"meta": value}}]) + 20 >= len(written.encode(errors="surrogatepass"))
