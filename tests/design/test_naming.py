"""No stage has a name on AWS that another stage has, whatever the two are called."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, QUEUE_NAME_LIMIT, ROLE_NAME_LIMIT, Names

WORDS = st.lists(st.sampled_from(["a", "b", "dlq", "queues", "eu", "0a1b2c3d", "deadbeef"]), min_size=1, max_size=4)
NAMES = st.builds("{}{}".format, WORDS.map("-".join), st.sampled_from(["", "-", "_", "_b", "-2"])).filter(
    lambda name: name[0].isalpha()
)
QUEUES = st.one_of(NAMES, NAMES.map(lambda name: name + "x" * 60))
KINDS = st.sampled_from(["queues", "eu-west-1", "us-gov-west-1"])


def queues_of(names: Names, queue: str) -> set[str]:
    return {names.queue(queue), names.queue(queue) + DEAD_LETTER_SUFFIX}


@given(st.tuples(NAMES, NAMES, QUEUES), st.tuples(NAMES, NAMES, QUEUES))
def test_two_queues_of_two_stages_share_no_name_nor_do_their_dead_letters(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assume(one != other)
    first, second = (queues_of(Names(factory, stage), queue) for factory, stage, queue in (one, other))
    assert not first & second
    assert all(re.fullmatch(f"[A-Za-z0-9_-]{{1,{QUEUE_NAME_LIMIT}}}", name) for name in first | second)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES), KINDS, st.integers(1, 3))
def test_two_stages_share_no_stack(one: tuple[str, str], other: tuple[str, str], kind: str, number: int) -> None:
    assume(one != other)
    first, second = (
        {Names(*names).stack(kind, count) for kind in (kind, "queues") for count in (1, number)}
        for names in (one, other)
    )
    assert not first & second
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9-]{0,127}", name) for name in first | second)


@given(st.tuples(NAMES, NAMES, QUEUES), st.tuples(NAMES, NAMES, QUEUES))
def test_two_sectors_share_no_role_path_or_secret(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assume(one != other)
    first, second = (
        {
            Names(*names[:2]).role(names[2], "eu-west-2"),
            Names(*names[:2]).path(names[2]),
            Names(*names[:2]).secret(names[2], "bot"),
        }
        for names in (one, other)
    )
    assert not first & second
    assert all(len(Names(*names[:2]).role(names[2], "eu-west-2")) <= ROLE_NAME_LIMIT for names in (one, other))


def test_a_name_that_is_spelled_like_a_cut_one_is_another() -> None:
    names = Names("works", "dev")
    cut = names.role("s" * 80, "eu-west-2")
    assert names.role(cut.removeprefix("works.dev."), "eu-west-2") != cut
    assert names.role("box", "eu-west-1") != names.role("box", "eu-west-2")
    assert "+" in cut
    long = names.queue("q" * 78)
    assert names.queue(long.removeprefix("works-dev-")) != long


@pytest.mark.parametrize(
    ("names", "queue", "stack"),
    [
        (("my_factory_name", "dev", "my_bot_1"), "my_factory_name-dev-my_bot_1", "my-factory-name-dev-queues"),
        (("works", "dev", "my-queue"), "works-dev-my-queue", "works-dev-queues"),
        (("works", "pre_prod", "jobs"), "works-pre_prod-jobs", "works-pre-prod-e0203ff8-queues"),
        (("a", "b-c", "q"), "a-b-c-q-", "a-b-c-"),
        (("a-b", "c", "q"), "a-b-c-q-", "a-b-c-"),
        (("a", "b", "c-q"), "a-b-c-q", "a-b-queues"),
        (("a", "b", "jobs-dlq"), "a-b-jobs-dlq-", "a-b-queues"),
        (("a", "b", "jobs-0a1b2c3d"), "a-b-jobs-0a1b2c3d-", "a-b-queues"),
    ],
)
def test_a_digest_stands_only_where_a_name_could_be_another_s(
    names: tuple[str, str, str], queue: str, stack: str
) -> None:
    *stage, name = names
    made = (Names(*stage).queue(name), Names(*stage).stack("queues"))
    for found, wanted in zip(made, (queue, stack), strict=True):
        assert found == wanted or (wanted.endswith("-") and re.fullmatch(wanted + "[0-9a-f]{8}(-queues)?", found))


def test_every_way_to_part_a_name_gives_another_one() -> None:
    words = ["a", "b", "c", "d", "e"]
    cuts = [(i, j) for i in range(1, 4) for j in range(i + 1, 5)]
    parted = [("-".join(words[:i]), "-".join(words[i:j]), "-".join(words[j:])) for i, j in cuts]
    queues = sorted(Names(factory, stage).queue(queue) for factory, stage, queue in parted)
    assert all(one != other for one, other in pairwise(queues))
    assert "a-b-c-d-e" in queues
