"""What a stage has on AWS that its stacks keep when they are deleted, and what is in no stack: deleted by `demolish`.

An update, or `cdk destroy`, never deletes what has jobs, secrets or logs in it. Everything is found by its name, so
that a demolition that was interrupted finds it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.design.naming import Names
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG

_GONE = (
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "NoSuchBucket",
    "404",
    "NotFound",
    "ParameterNotFound",
)

QUEUE, TABLE, BUCKET, SECRET, LOG_GROUP, PARAMETER = (
    "queue", "table", "bucket", "secret", "log group", "parameter",
)  # fmt: skip

_KEEPS_JOBS = (QUEUE, TABLE, BUCKET)


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of a stage: `kind` is one of the constants above; `id` is what deletes it (a URL for a queue)."""

    kind: str
    name: str
    region: str
    id: str


def of_region(account: Account, names: Names, region: str) -> list[Leftover]:
    """The secrets, log groups and the gate of a stage in a region of it. RefusedError."""
    prefix = names.path() + "/"
    secrets = account.pages(
        region, "secretsmanager", "list_secrets", "SecretList",
        Filters=[{"Key": "name", "Values": [prefix.removeprefix("/")]}],
    )  # fmt: skip
    found = [
        Leftover(SECRET, one["Name"], region, one["ARN"])
        for one in secrets
        if one["Name"].startswith(prefix.removeprefix("/"))
    ]
    found += [Leftover(LOG_GROUP, name, region, name) for name in _log_groups(account, region, prefix)]
    gate = names.path("gate")
    answer = account.call(region, "ssm", "get_parameters", Names=[gate])
    found += [Leftover(PARAMETER, one["Name"], region, one["Name"]) for one in answer["Parameters"]]
    return found


def of_home(account: Account, names: Names, region: str) -> list[Leftover]:
    """The queues, table and bucket of a stage, which are in its home region. RefusedError."""
    found = []
    # Long names are cut and hashed, but begin alike; whose a queue is, its tags say.
    prefix = f"{names.factory}-{names.stage}"[:60]
    for url in _queues(account, region, prefix):
        tags = account.call(region, "sqs", "list_queue_tags", QueueUrl=url).get("Tags", {})
        if (tags.get(FACTORY_TAG), tags.get(STAGE_TAG)) == (names.factory, names.stage):
            found.append(Leftover(QUEUE, url.rpartition("/")[2], region, url))
    table = names.table()
    if _is_there(account, region, "dynamodb", "describe_table", TableName=table):
        found.append(Leftover(TABLE, table, region, table))
    id_ = account.identity(region)["Account"]
    bucket = names.payload_bucket(region).replace("${AWS::AccountId}", id_)
    if _is_there(account, region, "s3", "head_bucket", Bucket=bucket):
        found.append(Leftover(BUCKET, bucket, region, bucket))
    return found


def delete_leftover(account: Account, one: Leftover) -> str | None:
    """Delete it; why it remains, in words, or None."""
    try:
        _delete(account, one)
    except RefusedError as error:
        if error.code in _GONE:
            return None
        needed = f" ({error.remedy})" if error.denied else ""
        return f"{one.kind} {one.name} ({one.region}): {error.code}: {error.detail}{needed}"
    return None


def _delete(account: Account, one: Leftover) -> None:
    if one.kind == QUEUE:
        account.call(one.region, "sqs", "delete_queue", QueueUrl=one.id)
    elif one.kind == TABLE:
        account.call(one.region, "dynamodb", "delete_table", TableName=one.id)
    elif one.kind == BUCKET:
        for keys in _objects(account, one):
            account.call(
                one.region, "s3", "delete_objects",
                Bucket=one.id, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )  # fmt: skip
        account.call(one.region, "s3", "delete_bucket", Bucket=one.id)
    elif one.kind == SECRET:  # a secret that waits for its deletion would keep the stage from being built again
        account.call(one.region, "secretsmanager", "delete_secret", SecretId=one.id, ForceDeleteWithoutRecovery=True)
    elif one.kind == LOG_GROUP:
        account.call(one.region, "logs", "delete_log_group", logGroupName=one.id)
    else:
        account.call(one.region, "ssm", "delete_parameter", Name=one.id)


def keeps_jobs(found: Iterable[Leftover]) -> bool:
    """Whether jobs, payloads or their history may be in what was found."""
    return any(one.kind in _KEEPS_JOBS for one in found)


def _log_groups(account: Account, region: str, prefix: str) -> Iterator[str]:
    token: str | None = None
    while True:
        more = {"nextToken": token} if token else {}
        answer = account.call(region, "logs", "describe_log_groups", logGroupNamePrefix=prefix, **more)
        yield from (one["logGroupName"] for one in answer["logGroups"])
        token = answer.get("nextToken")
        if not token:
            return


def _queues(account: Account, region: str, prefix: str) -> list[str]:
    return account.pages(region, "sqs", "list_queues", "QueueUrls", QueueNamePrefix=prefix, MaxResults=1000)


def _objects(account: Account, bucket: Leftover) -> Iterator[list[str]]:
    while True:
        answer = account.call(bucket.region, "s3", "list_objects_v2", Bucket=bucket.id, MaxKeys=1000)
        keys = [one["Key"] for one in answer.get("Contents", ())]
        if not keys:
            return
        yield keys


def _is_there(account: Account, region: str, service: str, operation: str, **parameters: str) -> bool:
    try:
        account.call(region, service, operation, **parameters)
    except RefusedError as error:
        if error.code in _GONE:
            return False
        raise
    return True
