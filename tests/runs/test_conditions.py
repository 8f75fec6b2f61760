"""What a step needs, as text: read, refused at its column, and true, false or undecided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_cdk.runs.conditions import All, Any, Atom, ConditionError, Wanted, atoms, parse, truth


def test_a_name_alone_means_that_the_step_succeeded() -> None:
    assert parse("load") == Atom("load", Wanted.SUCCEEDED)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.failed", Wanted.FAILED),
        ("a.success", Wanted.SUCCEEDED),
        ("a.failure", Wanted.FAILED),
        ("a.complete", Wanted.COMPLETED),
        ("a.STEP_SUCCESS", Wanted.SUCCEEDED),
        ("a.STEP_FAILURE", Wanted.FAILED),
        ("a.STEP_COMPLETE", Wanted.COMPLETED),
        ("a.STEP_READY", Wanted.READY),
        ("a.STEP_ACTIVE", Wanted.ACTIVE),
        ("a.skipped", Wanted.SKIPPED),
    ],
)
def test_statuses_may_be_written_as_in_eventor(text: str, wanted: Wanted) -> None:
    assert parse(text) == Atom("a", wanted)


def test_and_binds_closer_than_or() -> None:
    condition = parse("a and b or c.failed and (d or e)")
    assert isinstance(condition, Any)
    assert str(condition) == "a and b or c.failed and (d or e)"
    assert [atom.column for atom in atoms(condition)] == [1, 7, 12, 26, 31]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "the name of a step is missing at the end"),
        ("a and", 6, "the name of a step is missing at the end"),
        ("and a", 1, "the name of a step is missing before `and`"),
        ("a b", 3, "`and` or `or` is missing before `b`"),
        ("a.done", 3, "unknown status `done`"),
        ("  a & b", 5, "unexpected `&`"),
        ("(a or b", 1, "`)` is missing for this `(`"),
        ("a)", 2, "`)` without `(`"),
        ("not a", 5, "`and` or `or` is missing before `a`"),
        ("a.", 3, "unknown status ``"),
        ("(" * 101 + "a" + ")" * 101, 101, "more than 100 parentheses within each other"),
    ],
)
def test_what_is_wrong_is_named_at_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(ConditionError) as raised:
        parse(text)
    assert (raised.value.column, raised.value.message) == (column, message)


CONDITIONS = st.recursive(
    st.builds(Atom, st.sampled_from("abc")),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(All),
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(Any),
    ),
    max_leaves=8,
)


@given(CONDITIONS, st.dictionaries(st.sampled_from("abc"), st.booleans()))
def test_truth_is_decided_when_it_is_so_whatever_the_rest_becomes(
    condition: All | Any | Atom, known: dict[str, bool]
) -> None:
    undecided = [name for name in "abc" if name not in known]
    worlds = [
        {**known, **{name: bool(bits >> place & 1) for place, name in enumerate(undecided)}}
        for bits in range(2 ** len(undecided))
    ]
    values = {truth(condition, lambda atom, world=world: world[atom.step]) for world in worlds}  # type: ignore[misc]
    assert truth(condition, lambda atom: known.get(atom.step)) == (values.pop() if len(values) == 1 else None)


@given(CONDITIONS)
def test_what_is_printed_is_read_as_the_same(condition: All | Any | Atom) -> None:
    again = parse(str(condition))
    for bits in range(8):
        world = dict(zip("abc", (bool(bits & 1), bool(bits & 2), bool(bits & 4)), strict=True))
        assert truth(again, lambda atom, world=world: world[atom.step]) == truth(
            condition, lambda atom, world=world: world[atom.step]
        )  # type: ignore[misc]
