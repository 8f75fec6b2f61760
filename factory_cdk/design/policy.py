"""What a sector's instance may do: its own bundles, parameters, secrets, queues and log group, nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from factory_cdk.design.model import BotDesign
from factory_cdk.design.naming import ASSETS_BUCKET, DEAD_LETTER_SUFFIX, Names
from factory_cdk.design.values import literal, ref, sub
from factory_cdk.plan.model import Json

POLICY_LIMIT = 10_240
"""Characters of a role's inline policies together, without white space (IAM and STS quotas)."""


def trust() -> Json:
    """Who may take the role: EC2, on behalf of the instance."""
    principal = {"Service": sub("ec2.${AWS::URLSuffix}")}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def statements(
    names: Names,
    sector: str,
    bots: Iterable[BotDesign],
    *,
    asset_keys: Iterable[str],
    secret_ids: Iterable[str],
    home_region: str,
) -> list[Json]:
    """The statements of a sector's role.

    `asset_keys` are the keys of everything that its release names, `secret_ids` the logical ids of the secrets
    that the template creates for it.
    """
    bots = tuple(bots)
    # GetParametersByPath is asked of the path itself, the others of what lies below it. Who may ask it of a path
    # reads all that is below, so no role may for the gate's: a sector can be called `gate`.
    own_parameters = [names.path(sector), names.path(sector, "*")]
    own = {names.queue(bot.queue): None for bot in bots}
    next_queues = {names.queue(successor.queue): None for bot in bots for successor in bot.successors}
    dead = {f"{queue}{DEAD_LETTER_SUFFIX}": None for queue in own}
    found = [
        _allow("ReadRelease", ["s3:GetObject"], [_asset(key) for key in asset_keys]),
        _allow(
            "ReadParameters",
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            [_arn("ssm", f"parameter{path}") for path in own_parameters],
        ),
        _allow("ReadGate", ["ssm:GetParameter", "ssm:GetParameters"], [_arn("ssm", f"parameter{names.path('gate')}")]),
        _allow("ReadSecrets", ["secretsmanager:GetSecretValue"], [*map(ref, secret_ids), *_existing_secrets(bots)]),
        _allow(
            "ReceiveJobs",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
            ],
            [_queue(home_region, queue) for queue in own],
        ),
        _allow(
            "SendJobs",
            ["sqs:GetQueueUrl", "sqs:SendMessage"],
            [_queue(home_region, queue) for queue in {**next_queues, **dead}],
        ),
        _allow(
            "WriteLogs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [_arn("logs", f"log-group:{names.path(sector)}:*")],
        ),
    ]
    return [statement for statement in found if statement["Resource"]]


def _allow(sid: str, actions: list[str], resources: list[Json]) -> dict[str, Json]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _arn(service: str, resource: str) -> Json:
    return sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")


def _asset(key: str) -> Json:
    return sub(f"arn:${{AWS::Partition}}:s3:::{ASSETS_BUCKET}/{literal(key)}")


def _queue(region: str, name: str) -> Json:
    return sub(f"arn:${{AWS::Partition}}:sqs:{region}:${{AWS::AccountId}}:{name}")


def _existing_secrets(bots: Iterable[BotDesign]) -> list[Json]:
    """The secrets that exist already; a name stands for the ARN with Secrets Manager's six random characters."""
    named = dict.fromkeys(
        reference.secret for bot in bots for reference in bot.secrets.values() if reference.secret is not None
    )
    return [
        name if name.startswith("arn:") else _arn("secretsmanager", f"secret:{literal(name)}-??????") for name in named
    ]
