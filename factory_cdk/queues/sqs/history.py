"""What became of the jobs of a stage on AWS, as its table tells; `client.History` says what each method promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.client import BotStatistics, FailedAttempt, Search, bot_statistics
from factory_cdk.queues.opening import SqsLocation
from factory_cdk.queues.port import Depth, JobRecord, Outcome
from factory_cdk.queues.sqs.bodies import GoneError
from factory_cdk.queues.sqs.jobs import JobState
from factory_cdk.queues.sqs.letters import Letters
from factory_cdk.queues.sqs.listing import Listing
from factory_cdk.queues.sqs.parts import Parts
from factory_cdk.queues.sqs.table import JobTable, Write

_AT_ONCE = 50
_ROUNDS = 10


class SqsHistory:
    """The history of the stage at `location`. Without a table all that it can tell is how many messages there are, and
    which dead letters.
    """

    def __init__(self, location: SqsLocation, parts: Parts) -> None:
        self._delivery, self._messages, self._bodies, self._kept = (
            parts.delivery,
            parts.messages,
            parts.bodies,
            parts.table,
        )
        self._clock, self._places, self._point = parts.clock, parts.places, parts.point
        self._own = [queue for queue, names in location.queues.items() if names.dead_letters is not None]
        self._letters = Letters(parts)
        self._seen: dict[str, dict[str, int]] = {}
        self._handed: dict[str, int] = {}

    def job(self, job_id: str) -> JobRecord | None:
        """The job of that id."""
        return next(iter(self._records(self._listing.by_id([job_id]).values())), None)

    def find(self, search: Search, n: int = -1) -> list[JobRecord]:
        """Jobs, the last to be sent first."""
        found = self._listing.find(search)
        return self._records(found if n < 0 else itertools.islice(found, n))

    def ids(self, search: Search) -> list[str]:
        """Ids, in the order of sending."""
        return [state.job.id for state in self._listing.find(search)][::-1]

    def outcomes(self, run: str, *, after: int = 0, n: int = 1000) -> list[JobRecord]:
        """Jobs of `run` that became final after the cursor `after`.

        Runners write at once, so that an outcome may turn up behind one with a later cursor: who goes on from where the
        last answer ended is given what it has not been given.
        """
        finals = sorted((state for state in self._table.of_run(run) if state.is_final), key=_cursor)
        seen = self._seen.setdefault(run, {})
        if after and self._handed.get(run) == after:
            news = [state for state in finals if seen.get(state.job.id) != state.cursor]
        else:
            news = [state for state in finals if _cursor(state) > after]
        news = news[:n]
        seen.update({state.job.id: _cursor(state) for state in news})
        if news:
            self._handed[run] = _cursor(news[-1])
        return self._records(news)

    def remaining(self, run: str) -> int:
        """How many jobs of `run` are not final.

        A run is read page by page, while jobs of it end and others follow: one that was recorded on a page that had
        been read may be missing. It is complete when a second reading finds as many jobs, all of them final, since a
        job is recorded before the one that it follows from is final.
        """
        before = -1
        while True:
            states = self._table.of_run(run)
            live = sum(not state.is_final for state in states)
            if live or not states or len(states) == before:
                return live
            before = len(states)

    def in_hand(self) -> list[JobRecord]:
        """Every job that is leased, the first to be begun first."""
        found = sorted(self._listing.find(Search(states=("leased",))), key=lambda state: state.started or 0.0)
        return self._records(found)

    def dead_letters(self, queue: str, n: int) -> list[JobRecord]:
        """Dead letters of `queue`, the first to die first."""
        if queue not in self._own or n <= 0:
            return []
        if self._kept is None:
            return self._records(replace(one, outcome=Outcome.DEAD) for one in self._letters.look(queue, n))
        return self._records(itertools.islice(self._listing.dead(queue), n))

    def last_failures(self, n: int) -> list[FailedAttempt]:
        """The last `n` attempts that failed, the newest first: of each job those that followed each other."""
        attempts: list[FailedAttempt] = []
        for state in itertools.islice(self._listing.failed(), max(0, n)):
            dead = state.outcome is Outcome.DEAD
            attempts += [FailedAttempt(state.job.id, state.job.bot, dead, one) for one in state.failures[::-1]]
        return attempts[: max(0, n)]

    def statistics(self, search: Search) -> list[BotStatistics]:
        """How the jobs went, bot by bot."""
        now = self._clock()
        bots: dict[str, list[JobRecord]] = {}
        for state in list(self._listing.find(search))[::-1]:
            bots.setdefault(state.job.bot, []).append(state.as_record(now, None, None))
        return [bot_statistics(bot, records) for bot, records in bots.items()]

    def depths(self, queues: Iterable[str] | None = None) -> dict[str, Depth]:
        """The depth of each queue, about: that is all that SQS tells."""
        depths = {queue: self._depth(queue) for queue in (self._own if queues is None else queues)}
        return {queue: depth for queue, depth in depths.items() if queues is not None or depth != Depth(0, 0, 0, 0)}

    def cancel(self, ids: Sequence[str]) -> list[bool]:
        """Make live jobs final. Their messages are deleted when they are received."""
        states = self._listing.by_id(ids)
        done = self._changed([states[job_id] for job_id in dict.fromkeys(ids) if job_id in states], self._cancelled)
        return [job_id in done for job_id in ids]

    def cancel_queue(self, queue: str) -> int:
        """Cancel every live job of `queue`."""
        live = Search(states=("ready", "delayed", "leased"))
        states = [state for state in self._listing.find(live) if state.queue == queue]
        return len(self._changed(states, self._cancelled))

    def retry(self, ids: Sequence[str]) -> list[bool]:
        """Make dead and cancelled jobs ready again, and send them."""
        states = self._listing.by_id(ids)
        wanted = [states[job_id] for job_id in dict.fromkeys(ids) if job_id in states]
        dead = {state.queue for state in wanted if state.outcome is Outcome.DEAD or state.unsent}
        done = self._changed(wanted, self._ready_again)
        self._point("retry recorded")
        for queue in dict.fromkeys(state.queue for state in done.values()):
            self._messages.send(queue, [state for state in done.values() if state.queue == queue])
        self._point("retry sent")
        self._table.write([Write(state, state.changed(unsent=False)) for state in done.values()])
        self._letters.put_in_order(dead & set(self._own))
        return [job_id in done for job_id in ids]

    def purge(self, keep: float, *, n: int = 1000) -> int:
        """Nothing: the table forgets by itself."""
        return 0

    def sweep(self) -> int:
        """Record what SQS has moved to the dead-letter queues itself; objects of the bucket end by its own rule."""
        return self._letters.put_in_order(self._own)

    @property
    def _table(self) -> JobTable:
        if self._kept is None:
            raise FactoryError(
                "this stage keeps no history of its jobs", "take `history: false` out of the stage and build it"
            )
        return self._kept

    @property
    def _listing(self) -> Listing:
        return Listing(self._table, self._own, self._clock)

    def _records(self, states: Iterable[JobState]) -> list[JobRecord]:
        """Records of `states`, with their payloads and results; one that is gone from the bucket is None."""
        now = self._clock()
        records: list[JobRecord] = []
        remaining = iter(states)
        while page := list(itertools.islice(remaining, _AT_ONCE)):
            values = self._bodies.values([body for state in page for body in (state.payload, state.result)])
            kept = [None if isinstance(value, GoneError) else value for value in values]
            records += [
                state.as_record(now, payload, result)
                for state, payload, result in zip(page, kept[::2], kept[1::2], strict=True)
            ]
        return records

    def _depth(self, queue: str) -> Depth:
        if queue not in self._own:
            return Depth(0, 0, 0, 0)
        ready, delayed, hidden = self._delivery.counts(queue)
        dead = self._delivery.dead_count(queue) if self._kept is None else sum(1 for _ in self._kept.dead(queue))
        return Depth(ready, delayed, hidden, dead)

    def _changed(
        self, states: Sequence[JobState], change: Callable[[JobState], JobState | None]
    ) -> dict[str, JobState]:
        """Those of `states` that `change` has changed, by id; it is asked again when somebody else was faster."""
        done: dict[str, JobState] = {}
        for _ in range(_ROUNDS):
            writes = [Write(state, new) for state in states if (new := change(state))]
            if not writes:
                break
            states = []
            for write, written in zip(writes, self._table.write(writes), strict=True):
                if written.done:
                    done[write.new.job.id] = write.new
                elif written.found is not None:
                    states = [*states, written.found]
        return done

    def _cancelled(self, state: JobState) -> JobState | None:
        if state.is_final:
            return None
        now = self._clock()
        begun = state.job.attempt - (state.token is None)
        job = state.job._replace(attempt=begun)
        return replace(state.ended(Outcome.CANCELLED, self._places.next(now), now, job=job), settled=None, unsent=False)

    def _ready_again(self, state: JobState) -> JobState | None:
        """Ready, with what is on record kept; also a job whose retry was begun by somebody who died in it."""
        if state.unsent:
            return state.changed()
        if state.outcome not in (Outcome.DEAD, Outcome.CANCELLED):
            return None
        return state.changed(
            outcome=None,
            cursor=None,
            finished=None,
            due=0.0,
            earlier=state.earlier + state.job.attempt,
            job=state.job._replace(attempt=1),
            unsent=True,
        )


def _cursor(state: JobState) -> int:
    return state.cursor or 0
