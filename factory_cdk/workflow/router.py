"""From a finished job to the jobs that follow it.

A success goes on to every successor of its bot, once, with the result as the payload; anything else goes
nowhere. The id of a successor's job is derived from its parent's id and the edge between them, so whoever
routes the same success again makes the same ids, and the queues recognise the jobs they have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from factory_cdk.plan.model import Json, Successor
from factory_cdk.queues.port import Forward, Job, Outcome

ID_LENGTH = 32
"""How many characters a derived id has, however deep the workflow: 128 bits in hex."""


def child_id(parent: str, successor: Successor) -> str:
    """The id of the job that `successor` gets when the job with the id `parent` has succeeded."""
    parts = (parent, successor.bot, successor.queue)
    edge = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hashlib.sha256(edge).hexdigest()[:ID_LENGTH]


def forwards(successors: Sequence[Successor], job: Job, outcome: Outcome, result: Json = None) -> tuple[Forward, ...]:
    """What to send now that a bot with these `successors` is done with `job`: one job for each, in their order.

    `result` is what the bot returned, as JSON. Run and tags are inherited; attempts start anew. Nothing is
    sent on unless `outcome` is a success.
    """
    if outcome is not Outcome.SUCCESS:
        return ()
    return tuple(Forward(successor.queue, _child(job, successor, result)) for successor in successors)


def _child(job: Job, successor: Successor, result: Json) -> Job:
    return Job(
        id=child_id(job.id, successor),
        bot=successor.bot,
        payload=result,
        run=job.run,
        parent=job.id,
        tags=job.tags,
    )
