"""The names that things have on AWS, within AWS's limits; tags carry the plan's own names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from factory_cdk.plan.names import digest8, hyphenated, logical, shortened_to

ROLE_NAME_LIMIT = 64
"""IAM and STS quotas (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""

QUEUE_NAME_LIMIT = 80
"""SQS (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html)."""

DEAD_LETTER_SUFFIX = "-dlq"

DEFAULT_QUALIFIER = "hnb659fds"
"""The qualifier of `cdk bootstrap` unless cdk.json's context says another."""


def assets_bucket(qualifier: str) -> str:
    """The bucket that `cdk bootstrap` makes for assets, as text for Fn::Sub."""
    return f"cdk-{qualifier}-assets-${{AWS::AccountId}}-${{AWS::Region}}"


_PLAIN_END = re.compile(r"(?:.*-)?(?![0-9a-f]{8}\Z|dlq\Z)[^-]+")
"""How a name that has no digest may end: not with what could be one, nor with the suffix of dead letters."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one stage of one factory. No other stage, of any factory, has one of them.

    Stacks and queues take no separator but the hyphen, which the plan's names may hold themselves. So that
    factory `a` with stage `b-c` is not factory `a-b` with stage `c` (whose stack a deployment would replace, whose
    queue a role would open), the name ends with a digest of its parts where the factory or the stage holds a hyphen,
    and no name without one ends with what could be a digest. In stacks a `_` is a hyphen, too: `a_b` stays plain.
    """

    factory: str
    stage: str

    def stack(self, kind: str, number: int = 1) -> str:
        """A stack's name: `kind` is `queues` or a region; the second of a kind ends with `-2`."""
        name = f"{hyphenated(self.factory)}-{hyphenated(self.stage)}"
        if "-" in self.factory or "-" in hyphenated(self.stage) or not _PLAIN_END.fullmatch(self.stage):
            name += f"-{digest8(f'{self.factory}/{self.stage}')}"
        return f"{name}-{kind}" if number == 1 else f"{name}-{kind}-{number}"

    def queue(self, queue: str) -> str:
        """The physical name of a queue; its dead-letter queue has DEAD_LETTER_SUFFIX behind it."""
        limit = QUEUE_NAME_LIMIT - len(DEAD_LETTER_SUFFIX)
        name = f"{self.factory}-{self.stage}-{queue}"
        if len(name) <= limit and "-" not in self.factory + self.stage and _PLAIN_END.fullmatch(queue):
            return name
        return shortened_to(name, limit, "-" + digest8(f"{self.factory}/{self.stage}/{queue}"))

    def instance(self, sector: str) -> str:
        """The name of a sector's instance and of its alarm. Points part it, which no name of the plan has in it."""
        return f"{self.factory}.{self.stage}.{sector}"

    def role(self, sector: str, region: str) -> str:
        """The name of a sector's role and instance profile. Points part it, and `+` the digest of a long one,
        since neither can stand in a name of the plan. It has the region in it, since roles are an account's: a sector
        that moves to another region gets its new role while the old one is still there.
        """
        name = f"{self.instance(sector)}.{region}"
        return name if len(name) <= ROLE_NAME_LIMIT else shortened_to(name, ROLE_NAME_LIMIT, "+" + digest8(name))

    def table(self) -> str:
        """The name of the DynamoDB table of the stage's history."""
        return f"{self.factory}.{self.stage}.jobs"

    def payload_bucket(self, region: str) -> str:
        """The name of the bucket for payloads that are too large for a message, as text for Fn::Sub."""
        return f"factory-cdk-{digest8(f'{self.factory}/{self.stage}')}-${{AWS::AccountId}}-{region}"

    def boot_log(self) -> str:
        """The log group of what instances say while they boot; no stack has it, so that a rollback leaves it."""
        return self.path("boot.log")

    def path(self, *parts: str) -> str:
        """The path of an SSM parameter or log group of this stage: `/factory-cdk/<factory>/<stage>/…`."""
        return "/".join(("", "factory-cdk", self.factory, self.stage, *parts))

    def secret(self, sector: str, values: str) -> str:
        """The name of the secret that a sector's bots of one set of secret values share; `values` is its digest."""
        return self.path(sector, values).removeprefix("/")


def placed(sector: str, number: int) -> str:
    """What a sector is called in the names of its parameters, secrets, log group and alarm when it is in the stack
    `number` of its region: its name in the first. A sector that moves to another stack gets all of them anew there
    while the old ones are still in the first one; no name of the plan has a point in it.
    """
    return sector if number == 1 else f"{sector}.{number}"


def queue_id(queue: str) -> str:
    """The logical id of a queue: readable, and different for any two queue names."""
    return f"Queue{logical(queue)}{digest8(queue)}"
