"""The queues of a stage and, when it has an `aws` sector, the stacks that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from factory_cdk.design.model import QueueDesign, Resource, SectorDesign
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, Names, queue_id
from factory_cdk.design.store import arn_of, kept, secure_transport
from factory_cdk.design.values import ref, tag_list
from factory_cdk.plan.model import JobStore, Json

DAY = 24 * 3600

RETENTION_SECONDS = 10 * DAY
"""How long a job waits in its queue. A dead letter keeps the time at which the job was sent, so its queue keeps
messages longer: a job that dies on its last day can still be looked at."""

DEAD_LETTER_RETENTION_SECONDS = 14 * DAY
"""The longest that SQS keeps a message
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html)."""

OLD_SECONDS = 7 * DAY
"""The age of a queue's oldest job at which its alarm goes off, three days before the job is lost."""


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


def queue_resources(queue: QueueDesign, tags: Mapping[str, str], jobs: JobStore) -> tuple[Resource, ...]:
    """A queue and its dead-letter queue; with `queue_alarms` the alarms of both. The queues stay when they leave the
    template: jobs may be in them, and bots that still run use them.
    """
    logical_id = queue_id(queue.name)
    dead_letter = f"{logical_id}DeadLetters"
    own_tags = tag_list({**tags, "factory-cdk:bot": queue.bot})
    shared = {"SqsManagedSseEnabled": True, "Tags": own_tags}
    dead = {"QueueName": queue.dead_letter_name, "MessageRetentionPeriod": DEAD_LETTER_RETENTION_SECONDS, **shared}
    redrive = {"deadLetterTargetArn": arn_of(dead_letter), "maxReceiveCount": queue.max_receives}
    main = {
        "QueueName": queue.physical_name,
        "VisibilityTimeout": queue.visibility_timeout,
        "RedrivePolicy": redrive,
        "MessageRetentionPeriod": RETENTION_SECONDS,
        **shared,
    }
    return (
        kept(Resource(dead_letter, "AWS::SQS::Queue", dead)),
        kept(Resource(logical_id, "AWS::SQS::Queue", main)),
        *(_alarms(queue, logical_id, dead_letter, jobs.queue_alarms, own_tags) if jobs.queue_alarms else ()),
    )


def queue_policy(queues: Iterable[Resource]) -> Resource:
    """The policy of all `queues` of a stack: whoever does not use TLS is refused. In the policy of a queue, every
    resource is that queue.
    """
    refs = [ref(queue.logical_id) for queue in queues]
    policy = {"Queues": refs, "PolicyDocument": secure_transport("sqs:*", ["*"])}
    return Resource("SecureTransport", "AWS::SQS::QueuePolicy", policy)


def _alarms(
    queue: QueueDesign, logical_id: str, dead_letter: str, actions: tuple[str, ...], tags: Json
) -> Iterator[Resource]:
    def alarm(kind: str, of: str, metric: str, least: int, why: str) -> Resource:
        properties = {
            "AlarmDescription": why,
            "Namespace": "AWS/SQS",
            "MetricName": metric,
            "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": [of, "QueueName"]}}],
            "Statistic": "Maximum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Threshold": least,
            "TreatMissingData": "notBreaching",
            "AlarmActions": list(actions),
            "Tags": tags,
        }
        return Resource(f"{logical_id}{kind}", "AWS::CloudWatch::Alarm", properties)

    days = (RETENTION_SECONDS - OLD_SECONDS) // DAY
    old = f"A job in the queue {queue.name} will be lost in {days} days"
    yield alarm("AgeAlarm", logical_id, "ApproximateAgeOfOldestMessage", OLD_SECONDS, old)
    failed = f"A job of the queue {queue.name} has failed for good"
    yield alarm("DeadLettersAlarm", dead_letter, "ApproximateNumberOfMessagesVisible", 1, failed)
