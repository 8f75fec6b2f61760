"""The router: a success reaches every successor once, anything else reaches none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_cdk.plan.model import Successor
from factory_cdk.queues.port import Job, Outcome
from factory_cdk.workflow.routing import HASH_LENGTH, child_id, forwards

names = st.text(min_size=1, max_size=40)
payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
jobs = st.builds(
    Job,
    id=names,
    bot=names,
    payload=payloads,
    run=names,
    parent=st.none() | names,
    attempt=st.integers(1, 9),
    tags=st.dictionaries(st.text(), st.text(), max_size=3),
)
successors = st.lists(
    st.builds(Successor, bot=names, queue=names, sector=names),
    max_size=6,
    unique_by=lambda successor: (successor.bot, successor.queue),
).map(tuple)


@given(jobs, successors, payloads)
def test_a_success_reaches_every_successor_once_with_the_result(
    job: Job, following: tuple[Successor, ...], result: object
) -> None:
    sent = forwards(following, job, Outcome.SUCCESS, result)
    assert [(forward.queue, forward.job.bot) for forward in sent] == [(one.queue, one.bot) for one in following]
    assert len({forward.job.id for forward in sent}) == len(following)
    for forward in sent:
        child = forward.job
        assert (child.payload, child.run, child.tags) == (result, job.run, job.tags)
        assert (child.parent, child.attempt) == (job.id, 1)


@given(jobs, successors, st.sampled_from([Outcome.DEAD, Outcome.CANCELLED]))
def test_what_is_no_success_reaches_nobody(job: Job, following: tuple[Successor, ...], outcome: Outcome) -> None:
    assert forwards(following, job, outcome, "ignored") == ()


@given(jobs, successors, payloads, payloads)
def test_a_redelivery_makes_the_same_ids_whatever_the_attempt_and_the_result(
    job: Job, following: tuple[Successor, ...], first: object, second: object
) -> None:
    again = Job(job.id, job.bot, job.payload, job.run, job.parent, job.attempt + 1, job.tags)
    one = [forward.job.id for forward in forwards(following, job, Outcome.SUCCESS, first)]
    two = [forward.job.id for forward in forwards(following, again, Outcome.SUCCESS, second)]
    assert one == two


@given(st.lists(st.tuples(names, names), min_size=1, max_size=60))
def test_an_id_stays_short_and_new_however_deep_the_workflow(edges: list[tuple[str, str]]) -> None:
    seen = ["root"]
    for bot, queue in edges:
        seen.append(child_id(seen[-1], Successor(bot, queue, "sector")))
    assert len(set(seen)) == len(seen)
    assert all(found.startswith("root.") and len(found) == len("root.") + HASH_LENGTH for found in seen[1:])


@pytest.mark.parametrize(
    ("one", "other"),
    [(("p", "ab", "c"), ("p", "a", "bc")), (("pa", "b", "c"), ("p", "ab", "c")), (("p", "a", "b"), ("p", "b", "a"))],
)
def test_names_that_run_together_alike_are_different_edges(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    first, second = (child_id(parent, Successor(bot, queue, "s")) for parent, bot, queue in (one, other))
    assert first != second


def test_the_same_edge_in_another_sector_is_recognised_as_the_same_job() -> None:
    assert child_id("p", Successor("b", "q", "one")) == child_id("p", Successor("b", "q", "other"))


def test_derived_ids_do_not_change_between_versions() -> None:
    assert child_id("job-1", Successor("my_bot", "my-queue", "here")) == "job-1.a4d3d59f34f9df49b595"
