"""What a stage keeps of its jobs on AWS beside the queues: a table for their history, a bucket for large payloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from factory_cdk.design.model import Resource
from factory_cdk.design.naming import Names
from factory_cdk.design.values import ref, sub, tag_list
from factory_cdk.plan.model import JobStore, Json

KEPT = "RetainExceptOnCreate"
"""The deletion policy of what has jobs, secrets or logs in it: it goes only with a stack whose creation fails."""

TTL_ATTRIBUTE = "expires"
"""The attribute of an item that says, in seconds since 1970, when it may be deleted."""

_INDEXES = {"sent": ("part", "sent"), "dead": ("dead", "cursor"), "failed": ("failed", "failed_at")}
_ATTRIBUTES = {
    "run": "S",
    "id": "S",
    "part": "S",
    "sent": "N",
    "dead": "S",
    "cursor": "N",
    "failed": "S",
    "failed_at": "N",
}
"""The keys of the table and of its indexes are those that its engine writes (queues/sqs/table.py)."""


def kept(resource: Resource) -> Resource:
    """`resource` so that no update deletes it."""
    return replace(resource, deletion_policy=KEPT, update_replace_policy="Retain")


def arn_of(logical_id: str) -> Json:
    """The ARN of a resource of the same template."""
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def secure_transport(action: str, resources: list[Json]) -> Json:
    """The document of a resource policy that refuses whoever does not use TLS."""
    statement = {
        "Sid": "SecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def store_resources(names: Names, region: str, jobs: JobStore, tags: Mapping[str, str]) -> Iterator[Resource]:
    """The payload bucket of a stage and, with `history`, its table; both stay when they leave the template.

    The table: items by `run` and `id`, and in the engine's indexes; on demand, and without point-in-time recovery: what
    is in it is gone after `keep-jobs` by itself.
    """
    if jobs.history:
        table = {
            "TableName": names.table(),
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": type_} for name, type_ in sorted(_ATTRIBUTES.items())
            ],
            "KeySchema": _key_schema("run", "id"),
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": name,
                    "KeySchema": _key_schema(partition, sort),
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
                for name, (partition, sort) in _INDEXES.items()
            ],
            "TimeToLiveSpecification": {"AttributeName": TTL_ATTRIBUTE, "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False},
            "Tags": tag_list(tags),
        }
        yield kept(Resource("History", "AWS::DynamoDB::Table", table))
    days = {"Id": "keep-jobs", "Status": "Enabled", "ExpirationInDays": jobs.days}
    unfinished = {"Id": "unfinished", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    bucket = {
        "BucketName": sub(names.payload_bucket(region)),
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
        "LifecycleConfiguration": {"Rules": [days, unfinished]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "Tags": tag_list(tags),
    }
    yield kept(Resource("Payloads", "AWS::S3::Bucket", bucket))
    objects = {"Fn::Join": ["", [arn_of("Payloads"), "/*"]]}
    policy = {"Bucket": ref("Payloads"), "PolicyDocument": secure_transport("s3:*", [arn_of("Payloads"), objects])}
    yield Resource("PayloadsPolicy", "AWS::S3::BucketPolicy", policy)


def _key_schema(partition: str, sort: str) -> Json:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
