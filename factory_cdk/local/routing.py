"""What a finished job sends on."""

from __future__ import annotations

from collections.abc import Sequence

from factory_cdk.local.roster import Posting
from factory_cdk.plan.model import Json
from factory_cdk.queues.port import Forward, Job, Lease


def forwards(posting: Posting, lease: Lease, result: Json) -> Sequence[Forward]:
    """A job with the result as its payload for every successor of `posting`."""
    job = lease.job
    return [
        Forward(
            successor.queue,
            Job(
                id=f"{job.id}.{successor.bot}",
                bot=successor.bot,
                payload=result,
                run=job.run,
                parent=job.id,
                tags=job.tags,
            ),
        )
        for successor in posting.successors
    ]
