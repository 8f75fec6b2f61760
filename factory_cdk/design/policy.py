"""What a sector's instance may do: its own bundles, parameters, secrets, queues, stores and log group, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory_cdk.canonical_json import canonical_json
from factory_cdk.design.model import BotDesign
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, Names
from factory_cdk.design.values import literal, ref, sub
from factory_cdk.plan.facts import partitions
from factory_cdk.plan.model import Json

POLICY_LIMIT = 10_240
"""Characters of a role's inline policies together, without white space (IAM and STS quotas)."""

PLAN_POLICY = "plan"
"""The name of the policy with what a plan adds to a role."""

HISTORY_ACTIONS = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
]
PAYLOAD_ACTIONS = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
LOG_ACTIONS = ["logs:CreateLogStream", "logs:GetLogEvents", "logs:PutLogEvents"]
BOOT_LOG_ACTIONS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:PutRetentionPolicy"]
SWITCH_ACTIONS = ["cloudwatch:DescribeAlarms", "cloudwatch:DisableAlarmActions", "cloudwatch:EnableAlarmActions"]
"""What a role may do with the stage's table and bucket, its log groups and its alarm; `review` has words for them."""

_SESSION_ACTIONS = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]
"""What Session Manager needs and no more: AmazonSSMManagedInstanceCore could read every parameter of the account
(https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html)."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a sector's policy is about, beside its bots: `place` is what names have for the sector, `region` its own and
    `home_region` that of the queues, `asset_keys` the keys of everything that its release names in `bucket` (text for
    Fn::Sub), `secrets` the names of the secrets that the template creates for it by their logical ids. `history`:
    there is a table.
    """

    place: str
    region: str
    home_region: str
    bucket: str
    asset_keys: tuple[str, ...]
    secrets: Mapping[str, str]
    alarm: str | None = None
    history: bool = True
    session_manager: bool = False


def trust(itself: str | None = None) -> Json:
    """Who may take the role: EC2, on behalf of the instance (its principal is the same in every partition), and the
    role `itself`, by its name, where bots get credentials: sessions of it that may do less.
    """
    statements = [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    if itself is not None:
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnEquals": {"aws:PrincipalArn": _role(itself)}},
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def gives_credentials(bots: Iterable[BotDesign]) -> bool:
    """Whether one of `bots` gets credentials of AWS."""
    return any(bot.arguments.aws_credentials for bot in bots)


def _role(name: str) -> Json:
    return sub(f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{literal(name)}")


def statements(names: Names, bots: Iterable[BotDesign], reach: Reach) -> list[Json]:
    """The statements of a sector's role."""
    bots = tuple(bots)
    home, place = reach.home_region, reach.place
    # GetParametersByPath is asked of the path itself, the others of what lies below it. Who may ask it of a path
    # reads all that is below, so no role may for the gate's: a sector can be called `gate`.
    own_parameters = [names.path(place), names.path(place, "*")]
    own = {names.queue(bot.queue): None for bot in bots}
    next_queues = {names.queue(successor.queue): None for bot in bots for successor in bot.successors}
    dead = {f"{queue}{DEAD_LETTER_SUFFIX}": None for queue in own}
    table = _arn("dynamodb", f"table/{names.table()}", home)
    found = [
        _allow("ReadRelease", ["s3:GetObject"], [_object(reach.bucket, key) for key in reach.asset_keys]),
        _decrypt("DecryptRelease", "s3", "aws:s3:arn", [_object(reach.bucket), _object(reach.bucket, "*")]),
        _allow(
            "ReadParameters",
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            [_arn("ssm", f"parameter{path}") for path in own_parameters],
        ),
        _allow("ReadGate", ["ssm:GetParameter", "ssm:GetParameters"], [_arn("ssm", f"parameter{names.path('gate')}")]),
        _allow("ReadSecrets", ["secretsmanager:GetSecretValue"], [*map(ref, reach.secrets), *_existing_secrets(bots)]),
        *_decrypt_secrets(bots),
        # A message that SQS has handed out often is sent to its queue anew; a dead letter of SQS's redrive is received,
        # recorded, and written with its reason (docs/aws-queues.md).
        _allow(
            "ReceiveJobs",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            [_arn("sqs", queue, home) for queue in {**own, **dead}],
        ),
        _allow(
            "SendJobs",
            ["sqs:GetQueueUrl", "sqs:SendMessage"],
            [_arn("sqs", queue, home) for queue in next_queues if queue not in own],
        ),
        _allow(
            "KeepHistory",
            HISTORY_ACTIONS,
            [table, _arn("dynamodb", f"table/{names.table()}/index/*", home)] if reach.history else [],
        ),
        _allow(
            "KeepPayloads",
            PAYLOAD_ACTIONS,
            [_object(names.payload_bucket(home), "*")],
        ),
        _allow(
            "WriteLogs",
            LOG_ACTIONS,
            [_arn("logs", f"log-group:{names.path(place)}:*")],
        ),
        _allow(
            "WriteBootLog",
            BOOT_LOG_ACTIONS,
            [_arn("logs", f"log-group:{names.boot_log()}:*")],
        ),
        _allow(
            "SwitchAlarm",
            SWITCH_ACTIONS,
            [_arn("cloudwatch", f"alarm:{literal(reach.alarm)}")] if reach.alarm else [],
        ),
        _allow(
            "GiveCredentials",
            ["sts:AssumeRole"],
            [_role(names.role(place, reach.region))] if gives_credentials(bots) else [],
        ),
        _allow("SessionManager", _SESSION_ACTIONS, ["*"] if reach.session_manager else []),
    ]
    return [statement for statement in found if statement["Resource"]]


def resolved_size(documents: list[Json], reach: Reach) -> int:
    """The characters of a role's policies as IAM counts them, after CloudFormation has put ARNs in. Exact where they
    may be over the limit, and at most that elsewhere.
    """
    partition = partitions().get(reach.region, "aws")
    arn = f"arn:{partition}:secretsmanager:{reach.region}:{'0' * 12}:secret:"
    arns = {logical_id: f"{arn}{name}-{'x' * 6}" for logical_id, name in reach.secrets.items()}
    # Filled in, an Fn::Sub of ours is always shorter; a secret's ARN is longer than the reference to it.
    most = len(canonical_json(documents)) + sum(map(len, arns.values()))
    if most <= POLICY_LIMIT:
        return most
    known = {"AWS::Partition": partition, "AWS::Region": reach.region, "AWS::AccountId": "0" * 12, **arns}
    return sum(len(canonical_json(_resolved(document, known))) for document in documents)


def _resolved(value: Json, known: Mapping[str, str]) -> Json:
    if isinstance(value, list | tuple):
        return [_resolved(item, known) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"Ref"}:
        return known[value["Ref"]]
    if value.keys() == {"Fn::Sub"}:
        return re.sub(
            r"\$\{(!?)([^}]*)\}", lambda name: f"${{{name[2]}}}" if name[1] else known[name[2]], value["Fn::Sub"]
        )
    return {key: _resolved(item, known) for key, item in value.items()}


def _allow(sid: str, actions: list[str], resources: list[Json]) -> dict[str, Json]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _decrypt(
    sid: str,
    service: str,
    context: str,
    about: list[Json],
    region: str = "${AWS::Region}",
    account: str = "${AWS::AccountId}",
) -> Json:
    """Decrypting with any key of the account that admits it, but only what `service` has asked for on behalf of the
    role and what is `about` (its encryption context): which key a bucket or a secret has, the plan does not know.
    """
    key = sub(f"arn:${{AWS::Partition}}:kms:{region}:{account}:key/*")
    by = f"{service}.{region}.*"
    via = sub(by) if "${" in by else by  # of another region: there is nothing to fill in
    condition = {"StringLike": {"kms:ViaService": via, f"kms:EncryptionContext:{context}": about}}
    return {**_allow(sid, ["kms:Decrypt"], [key]), "Condition": condition}


def _decrypt_secrets(bots: tuple[BotDesign, ...]) -> list[Json]:
    """Decrypting secrets that exist and may have a key of their own, by region and account: those that the template
    creates have the account's key for secrets, which admits every role that may read them.
    """
    by_owner: dict[tuple[str, str], list[Json]] = {}
    for arn in _existing_secrets(bots):
        region, account = arn.split(":")[3:5] if isinstance(arn, str) else ("${AWS::Region}", "${AWS::AccountId}")
        by_owner.setdefault((region, account), []).append(arn)
    return [
        _decrypt(f"DecryptSecrets{number}", "secretsmanager", "SecretARN", arns, *owner)
        for number, (owner, arns) in enumerate(by_owner.items(), start=1)
    ]


def _arn(service: str, resource: str, region: str = "${AWS::Region}") -> Json:
    return sub(f"arn:${{AWS::Partition}}:{service}:{region}:${{AWS::AccountId}}:{resource}")


def _object(bucket: str, key: str | None = None) -> Json:
    return sub(f"arn:${{AWS::Partition}}:s3:::{bucket}" + (f"/{literal(key)}" if key else ""))


def _existing_secrets(bots: Iterable[BotDesign]) -> list[Json]:
    """The secrets that exist already; a name stands for the ARN with Secrets Manager's six random characters."""
    named = dict.fromkeys(
        reference.secret for bot in bots for reference in bot.secrets.values() if reference.secret is not None
    )
    return [
        name if name.startswith("arn:") else _arn("secretsmanager", f"secret:{literal(name)}-??????") for name in named
    ]
