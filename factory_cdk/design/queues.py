"""The queues of a stage and, when it has an `aws` sector, the stacks that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factory_cdk.design.model import QueueDesign, Resource, SectorDesign
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, Names, queue_id
from factory_cdk.design.values import tag_list

RETENTION_SECONDS = 14 * 24 * 3600
"""The longest that SQS keeps a message
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html)."""


def queue_designs(names: Names, sectors: Iterable[SectorDesign]) -> tuple[QueueDesign, ...]:
    """Every queue of the stage once, in the order of the plan.

    A queue that several sectors read gets the longest of their visibility timeouts. A runner gives a job up
    after `max-attempts` and says why; SQS's own redrive, at twice that and more, is only for jobs that kill
    their instance each time.
    """
    found: dict[str, QueueDesign] = {}
    for bot in (bot for sector in sectors for bot in sector.bots):
        name = names.queue(bot.queue)
        known = found.get(bot.queue)
        visibility = max(bot.arguments.visibility_timeout, known.visibility_timeout if known else 0)
        receives = max(min(2 * bot.arguments.max_attempts + 3, 1000), known.max_receives if known else 0)
        found[bot.queue] = QueueDesign(bot.queue, bot.name, name, name + DEAD_LETTER_SUFFIX, visibility, receives)
    return tuple(found.values())


def queue_resources(queue: QueueDesign, tags: Mapping[str, str]) -> tuple[Resource, ...]:
    """A queue and its dead-letter queue."""
    logical_id = queue_id(queue.name)
    dead_letter = f"{logical_id}DeadLetters"
    shared = {
        "MessageRetentionPeriod": RETENTION_SECONDS,
        "SqsManagedSseEnabled": True,
        "Tags": tag_list({**tags, "factory-cdk:bot": queue.bot}),
    }
    arn = {"Fn::GetAtt": [dead_letter, "Arn"]}
    redrive = {"deadLetterTargetArn": arn, "maxReceiveCount": queue.max_receives}
    main = {"QueueName": queue.physical_name, "VisibilityTimeout": queue.visibility_timeout, "RedrivePolicy": redrive}
    return (
        Resource(dead_letter, "AWS::SQS::Queue", {"QueueName": queue.dead_letter_name, **shared}),
        Resource(logical_id, "AWS::SQS::Queue", {**main, **shared}),
    )
