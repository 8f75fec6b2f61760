"""The parts of one engine that its steps share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from factory_cdk.queues.sqs.bodies import Bodies
from factory_cdk.queues.sqs.delivery import Delivery
from factory_cdk.queues.sqs.hand import Hand
from factory_cdk.queues.sqs.jobs import Places
from factory_cdk.queues.sqs.messages import Messages
from factory_cdk.queues.sqs.table import JobTable


@dataclass(frozen=True, slots=True)
class Parts:
    """What a step works with. `table` is None without a history; `clock` tells seconds since the epoch. `point` is told
    the name of each point of the protocol that is reached.
    """

    delivery: Delivery
    messages: Messages
    bodies: Bodies
    table: JobTable | None
    hand: Hand
    clock: Callable[[], float]
    places: Places
    point: Callable[[str], None]
