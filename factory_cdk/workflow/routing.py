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
from factory_cdk.queues.runs import is_step

HASH_LENGTH = 20
"""How many characters follow the dot in a derived id, however deep the workflow: 80 bits in hex, new for each
descendant of one submitted job.
"""


def child_id(parent: str, successor: Successor) -> str:
    """The id of the job that `successor` gets when the job with the id `parent` has succeeded.

    It begins with the id of the job that was submitted: a person sees what it comes of, and an index of ids takes the
    descendants of one job at one place, where hashes alone would touch another page for each.
    """
    bot, queue = successor.bot, successor.queue
    edge = f"{len(parent)}:{parent}{len(bot)}:{bot}{queue}".encode()
    return f"{parent.partition('.')[0]}.{hashlib.sha256(edge).hexdigest()[:HASH_LENGTH]}"


def forwards(successors: Sequence[Successor], job: Job, outcome: Outcome, result: Json = None) -> tuple[Forward, ...]:
    """What to send now that a bot with these `successors` is done with `job`: one job for each, in their order.

    `result` is what the bot returned, as JSON. Run and tags are inherited; attempts start anew. Nothing is
    sent on unless `outcome` is a success.
    """
    if outcome is not Outcome.SUCCESS or is_step(job.id):  # what follows a step is its run's to say
        return ()
    return tuple([Forward(successor.queue, _child(job, successor, result)) for successor in successors])


def _child(job: Job, successor: Successor, result: Json) -> Job:
    return Job(child_id(job.id, successor), successor.bot, result, job.run, job.id, tags=job.tags)
