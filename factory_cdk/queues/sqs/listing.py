"""Jobs of the table found by what is asked of them.

Run and id lead to their records directly. Everything else goes through an index of keys, newest first, and looks at the
records that it leads to: a search that names little reads much, which costs little (docs/aws-queues.md), and jobs, of
which there are many more than searches, pay for one index alone.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from factory_cdk.queues.client import Search
from factory_cdk.queues.sqs.jobs import JobState
from factory_cdk.queues.sqs.table import JobTable, Key

_AT_ONCE = 100


class Listing:
    """Finds jobs of `table`; `queues` are the queues of which there may be dead letters."""

    def __init__(self, table: JobTable, queues: Iterable[str], clock: Callable[[], float]) -> None:
        self._table, self._queues, self._clock = table, tuple(queues), clock

    def by_id(self, ids: Sequence[str]) -> dict[str, JobState]:
        """The jobs of `ids` that there are. FactoryError."""
        found = self._table.read([Key(_run_of(job_id), job_id) for job_id in ids])
        states = {key.id: state for key, state in found.items()}
        missing = {job_id for job_id in ids if job_id not in states}
        runs = {run: self._table.has_run(run) for run in map(_run_of, missing)}
        missing = {job_id for job_id in missing if not runs[_run_of(job_id)]}
        if missing:
            keys = [key for key in self._keys(Search()) if key.id in missing]
            states |= {key.id: state for key, state in self._table.read(keys).items()}
        return states

    def find(self, search: Search) -> Iterator[JobState]:
        """The jobs that `search` means, the last to be sent first. FactoryError."""
        run = self._run(search)
        if run is not None:
            states: Iterable[JobState] = sorted(self._table.of_run(run), key=_place, reverse=True)
        elif search.states == ("dead",):
            states = sorted(self._states(self._dead_keys()), key=_place, reverse=True)
        else:
            states = self._states(self._keys(search))
        now = self._clock()
        return (state for state in states if is_meant(state, search, now))

    def dead(self, queue: str) -> Iterator[JobState]:
        """The dead letters of `queue`, the first to die first. FactoryError."""
        return (state for state in self._states(self._table.dead(queue)) if state.outcome == "dead")

    def failed(self) -> Iterator[JobState]:
        """Jobs with failed attempts, that of the last failure first. FactoryError."""
        return self._states(self._table.failed())

    def _run(self, search: Search) -> str | None:
        """The one run whose jobs may be meant, if there is one: that of the parent, or of an id that is given whole or
        as far as beyond its run.
        """
        if search.run is not None:
            return search.run
        for job_id in (search.parent, search.id if search.id and "-" in search.id else None):
            if job_id is not None and self._table.has_run(_run_of(job_id)):
                return _run_of(job_id)
        return None

    def _dead_keys(self) -> Iterator[Key]:
        return itertools.chain.from_iterable(map(self._table.dead, self._queues))

    def _keys(self, search: Search) -> Iterator[Key]:
        parts = [
            ((-sent, key) for sent, key in self._table.sent(part, search.since, search.until))
            for part in self._table.parts
        ]
        keys = (key for _, key in heapq.merge(*parts))
        return (key for key in keys if search.id is None or key.id.startswith(search.id))

    def _states(self, keys: Iterator[Key]) -> Iterator[JobState]:
        """The jobs of `keys`, in their order, read page by page."""
        while page := list(itertools.islice(keys, _AT_ONCE)):
            found = self._table.read(page)
            yield from (found[key] for key in page if key in found)


def is_meant(state: JobState, search: Search, now: float) -> bool:
    """Whether `search` means a job."""
    job = state.job
    return (
        search.bot in (None, job.bot)
        and (not search.states or state.state(now) in search.states)
        and all(job.tags.get(key) == value for key, value in search.tags.items())
        and search.run in (None, job.run)
        and search.parent in (None, job.parent)
        and (search.id is None or job.id.startswith(search.id))
        and (search.since is None or state.enqueued >= search.since)
        and (search.until is None or state.enqueued < search.until)
    )


def _run_of(job_id: str) -> str:
    """The run of a job, as jobs/submit.py and workflow/routing.py make ids. Others are looked up in the index."""
    return job_id.partition("-")[0]


def _place(state: JobState) -> int:
    return state.sent
