"""The jobs of a built stage: found, looked at, retried, cancelled, counted. What was done stays on record."""

from __future__ import annotations

from collections.abc import Sequence

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import staying
from factory_cdk.queues.client import BotStatistics, History, Search
from factory_cdk.queues.port import JobRecord
from factory_cdk.state.runner_spec import refuse_unknown_bot
from factory_cdk.state.stage_queues import has_stored_queues, open_queues
from factory_cdk.state.stages import Factory

RETRIED = ("dead", "cancelled")
CANCELLED = ("ready", "delayed", "leased")


def refuse_bot_without_jobs(factory: Factory, bot: str) -> None:
    """FactoryError when the stage neither has such a bot nor has had a job for one."""
    spec = factory.whole_spec
    if spec is None or bot in {pool_spec.bot for pool_spec in spec.pool_specs}:
        return
    if not find_jobs(factory, Search(bot=bot), 1):
        refuse_unknown_bot(spec, bot)


def find_jobs(factory: Factory, search: Search, n: int = -1) -> list[JobRecord]:
    """Up to `n` jobs (all when negative) that `search` means, the last to be sent first. FactoryError."""
    with open_queues(factory.folder) as queues:
        return queues.history.find(search, n)


def find_ids(factory: Factory, search: Search) -> list[str]:
    """The ids of all jobs that `search` means, in the order in which they were sent. FactoryError."""
    with open_queues(factory.folder) as queues:
        return queues.history.ids(search)


def one_job(factory: Factory, job_id: str) -> tuple[JobRecord, list[str]]:
    """The job whose id is, or alone starts with, `job_id`, and the ids of those that follow from it. FactoryError."""
    with open_queues(factory.folder) as queues:
        exact = queues.history.job(job_id)
        found = [exact] if exact else queues.history.find(Search(id=job_id), 2)
        if len(found) == 1:
            return found[0], queues.history.ids(Search(parent=found[0].job.id))
    if found:
        raise FactoryError(f"several jobs have an id that starts with {job_id}", "give more of it")
    raise FactoryError(
        f"{factory.folder.name} has no job {job_id}", f"factory-cdk jobs list {factory.folder.options} shows them"
    )


def known_id(factory: Factory, job_id: str) -> str:
    """The id of the one job whose id starts with `job_id`; that itself when no job on record has such an id, as logs
    may be older than what is on record. FactoryError when several have.
    """
    if not has_stored_queues(factory.folder):
        return job_id
    with open_queues(factory.folder) as queues:
        if queues.history.job(job_id):
            return job_id
        found = queues.history.ids(Search(id=job_id))
    if len(found) > 1:
        raise FactoryError(f"several jobs have an id that starts with {job_id}", "give more of it")
    return found[0] if found else job_id


def retry(factory: Factory, wanted: Sequence[str] | Search) -> list[str]:
    """Make dead and cancelled jobs ready again under their ids, with all that is on record; answers the ids of
    those that were. FactoryError, and nothing done, for an id that is unknown or of a job that is neither.
    """
    with staying(factory.folder, "retried"), open_queues(factory.folder) as queues:
        ids = _ids(factory, queues.history, wanted, RETRIED)
        return [job_id for job_id, done in zip(ids, queues.history.retry(ids), strict=True) if done]


def cancel(factory: Factory, wanted: Sequence[str] | Search) -> list[str]:
    """Make live jobs final before they are done; answers the ids of those that were live. What becomes of one
    that is in hand is dropped. FactoryError, and nothing done, for an id that is unknown or final.
    """
    with open_queues(factory.folder) as queues:
        ids = _ids(factory, queues.history, wanted, CANCELLED)
        return [job_id for job_id, done in zip(ids, queues.history.cancel(ids), strict=True) if done]


def _ids(factory: Factory, history: History, wanted: Sequence[str] | Search, states: tuple[str, ...]) -> list[str]:
    if isinstance(wanted, Search):
        return history.ids(wanted)
    for job_id in wanted:
        record = history.job(job_id)
        if record is None:
            raise FactoryError(
                f"{factory.folder.name} has no job {job_id}; nothing was changed",
                f"ids are given whole here: factory-cdk jobs list {factory.folder.options} shows them",
            )
        if record.state not in states:
            raise FactoryError(f"job {job_id} is {record.state}, not {' or '.join(states)}; nothing was changed")
    return list(dict.fromkeys(wanted))


def statistics(factory: Factory, search: Search) -> list[BotStatistics]:
    """How the jobs that `search` means went, bot by bot. FactoryError."""
    with open_queues(factory.folder) as queues:
        return queues.history.statistics(search)
