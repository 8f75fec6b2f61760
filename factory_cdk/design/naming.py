"""The names that things have on AWS, within AWS's limits; tags carry the plan's own names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from factory_cdk.plan.names import bounded, hyphenated, logical

ROLE_NAME_LIMIT = 64
"""IAM and STS quotas (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""

QUEUE_NAME_LIMIT = 80
"""SQS (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html)."""

DEAD_LETTER_SUFFIX = "-dlq"

ASSETS_BUCKET = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
"""The bucket that `cdk bootstrap` makes for assets, as text for Fn::Sub."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one stage of one factory."""

    factory: str
    stage: str

    def stack(self, kind: str, number: int = 1) -> str:
        """A stack's name: `kind` is `queues` or a region; the second of a kind ends with `-2`."""
        name = f"{hyphenated(self.factory)}-{hyphenated(self.stage)}-{kind}"
        return name if number == 1 else f"{name}-{number}"

    def queue(self, queue: str) -> str:
        """The physical name of a queue; its dead-letter queue has DEAD_LETTER_SUFFIX behind it."""
        limit = QUEUE_NAME_LIMIT - len(DEAD_LETTER_SUFFIX)
        return bounded(f"{self.factory}-{self.stage}-{queue}", limit)

    def role(self, sector: str) -> str:
        """The name of a sector's role and instance profile. Points part it, since names may hold hyphens: roles
        are an account's, and stage `a` with sector `b-c` is not stage `a-b` with sector `c`.
        """
        return bounded(f"{self.factory}.{self.stage}.{sector}", ROLE_NAME_LIMIT)

    def path(self, *parts: str) -> str:
        """The path of an SSM parameter or log group of this stage: `/factory-cdk/<factory>/<stage>/…`."""
        return "/".join(("", "factory-cdk", self.factory, self.stage, *parts))

    def secret(self, sector: str, bot: str) -> str:
        """The name of the secret that holds a bot's secret values on a sector."""
        return self.path(sector, bot).removeprefix("/")


def queue_id(queue: str) -> str:
    """The logical id of a queue: readable, and different for any two queue names."""
    return f"Queue{logical(queue)}{hashlib.sha256(queue.encode()).hexdigest()[:8]}"
