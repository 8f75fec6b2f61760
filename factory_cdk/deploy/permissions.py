"""The least that whoever builds, updates, operates and demolishes a stage needs: as grants, and as policies of IAM.

CloudFormation works with the credentials of the caller, so what it calls for the resources of the templates
(handler_actions.py) is in the same policy as what these commands call themselves. Everything is limited to the names of
the stage (design/naming.py), where AWS has names: what EC2 makes is known by its tags.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from factory_cdk.canonical_json import canonical_json
from factory_cdk.deploy.handler_actions import CALLED
from factory_cdk.deploy.stage_secrets import stage_secrets
from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, QUEUE_NAME_LIMIT, ROLE_NAME_LIMIT, Names, assets_bucket
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.facts import partitions
from factory_cdk.plan.model import Json
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG

LIMIT = 6_144
"""Characters of a managed policy without white space
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""

ANY_ACCOUNT = "*"

_VERSION = "2012-10-17"

_STACK_CALLS = (
    "cloudformation:CancelUpdateStack",
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeEvents",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DescribeStacks",
    "cloudformation:DetectStackDrift",
    "cloudformation:DetectStackResourceDrift",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
    "cloudformation:RollbackStack",
    "cloudformation:UpdateTerminationProtection",
)
"""The second is the remedy that is told for a stack which cannot be taken back."""

_LOOKING = (
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:DescribeStacks",
    "cloudformation:ListStacks",
    "cloudwatch:DescribeAlarms",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeRegions",
    "ec2:DescribeVpcEndpoints",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "secretsmanager:ListSecrets",
    "servicequotas:GetServiceQuota",
    "sqs:ListQueues",
    "ssm:DescribeAssociation",
    "ssm:ListAssociations",
)
"""What is asked of all of an account: AWS has no resource for it, or names do not lead to it."""

_QUEUE_CALLS = (
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
)
_TABLE_CALLS = (
    "dynamodb:BatchGetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:Query",
)
_RUNNER_CALLS = ("dynamodb:PutItem",)
_SECRET_CALLS = ("secretsmanager:PutSecretValue",)
_PARAMETER_CALLS = ("ssm:GetParameter", "ssm:GetParametersByPath")

_KEY_CALLS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""What EC2 asks of the key of a volume on behalf of who starts the instance
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html)."""

_ALIKE = (
    "cloudformation:Describe*",
    "dynamodb:Describe*",
    "ec2:Describe*",
    "ec2:ModifyInstance*",
    "iam:List*",
    "logs:Describe*",
    "s3:Get*Configuration",
    "s3:GetBucket*",
    "ssm:GetParameter*",
)
"""How policies write several actions of one statement: what only reads, and what changes an instance of the stage."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What is needed of `resources` (ARNs with wildcards): every one of `actions`. `condition` as a policy has it."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def statement(self) -> dict[str, Json]:
        """It as a statement of a policy."""
        condition = {
            operator: {key: _one_or_all(values) for key, values in keys.items()}
            for operator, keys in self.condition.items()
        }
        return {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": _one_or_all(_abbreviated(self.actions)),
            "Resource": _one_or_all(self.resources),
            **({"Condition": condition} if condition else {}),
        }


def policies(design: StageDesign, account: str = ANY_ACCOUNT) -> list[dict[str, Json]]:
    """The policies that together grant what the stage of `design` needs in `account` (12 digits): one, or as many as it
    takes with LIMIT characters each. FactoryError where the stage has no aws sector.
    """
    documents: list[list[dict[str, Json]]] = [[]]
    for grant in grants(design, account):
        statement = grant.statement()
        place = next((one for one in documents if size_of(_document([*one, statement])) <= LIMIT), None)
        if place is None:
            documents.append(place := [])
        place.append(statement)
    return [_document(one) for one in documents]


def size_of(document: Mapping[str, Json]) -> int:
    """The characters of a policy as IAM counts them."""
    return len(canonical_json(document))


def _one_or_all(values: Sequence[str]) -> Json:
    return list(values) if len(values) > 1 else values[0]


def _document(statements: list[dict[str, Json]]) -> dict[str, Json]:
    return {"Version": _VERSION, "Statement": statements}


def _abbreviated(actions: Iterable[str]) -> list[str]:
    left = sorted(set(actions))
    found = []
    for pattern in _ALIKE:
        alike = fnmatch.filter(left, pattern)
        if len(alike) > 1:
            found.append(pattern)
            left = [one for one in left if one not in alike]
    return sorted([*found, *left])


def grants(design: StageDesign, account: str = ANY_ACCOUNT) -> tuple[Grant, ...]:
    """What the stage of `design` needs in `account`. FactoryError where it has no aws sector."""
    if design.home_region is None:
        raise FactoryError(
            f"stage {design.stage} has no aws sector: it needs no permissions on AWS", "name a stage with aws sectors"
        )
    return tuple(one for one in _Grants(design, account).all() if one.resources and one.actions)


class _Grants:
    """The grants of a stage in an account."""

    def __init__(self, design: StageDesign, account: str) -> None:
        self.design, self.account = design, account
        self.names = Names(design.factory, design.stage)
        self.home = design.home_region or ""
        self.regions = tuple(dict.fromkeys((self.home, *(stack.region for stack in design.stacks))))
        self.partition = partitions().get(self.home, "aws")
        self.resources = [(stack.region, one) for stack in design.stacks for one in stack.resources]
        self.types = {one.type for _, one in self.resources}
        self.instances = [
            (region, one.properties) for region, one in self.resources if one.type == "AWS::EC2::Instance"
        ]
        self.tags = {
            f"aws:ResourceTag/{key}": (value,)
            for key, value in ((FACTORY_TAG, design.factory), (STAGE_TAG, design.stage))
        }

    def all(self) -> Iterator[Grant]:
        """Those of the stacks first, then those of what is in them."""
        yield from self._stacks()
        yield from self._roles()
        yield from self._instances()
        yield from self._stores()
        yield from self._texts()

    # ARNs

    def _arn(self, service: str, resource: str, region: str) -> str:
        return f"arn:{self.partition}:{service}:{region}:{self.account}:{resource}"

    def _arns(self, service: str, *resources: str) -> tuple[str, ...]:
        """Those of `resources` in every region."""
        return tuple(self._arn(service, one, region) for region in self.regions for one in resources)

    def _bucket(self, name: str, region: str, key: str = "") -> str:
        filled = name.replace("${AWS::AccountId}", self.account).replace("${AWS::Region}", region)
        return f"arn:{self.partition}:s3:::{filled}{key}"

    # Grants

    def _stacks(self) -> Iterator[Grant]:
        base = self.names.stack("")
        stacks = [self._arn("cloudformation", f"stack/{base}queues*/*", self.home)]
        stacks += [self._arn("cloudformation", f"stack/{base}{region}*/*", region) for region in self.regions]
        yield Grant("Stacks", _STACK_CALLS, tuple(stacks))
        reads = [one for one in CALLED["AWS::EC2::Instance"] if one.startswith("ec2:Describe")]
        yield Grant("Look", (*_LOOKING, *reads), ("*",))
        who = tuple(f"arn:{self.partition}:iam::{self.account}:{kind}/*" for kind in ("role", "user"))
        yield Grant("LookAtOneself", ("iam:SimulatePrincipalPolicy",), who)
        yield Grant(
            "Bootstrap",
            ("ssm:GetParameter",),
            self._arns("ssm", f"parameter/cdk-bootstrap/{self.design.qualifier}/version"),
        )
        assets = assets_bucket(self.design.qualifier)
        yield Grant("Assets", ("s3:ListBucket",), tuple(self._bucket(assets, one) for one in self.regions))
        yield Grant(
            "AssetObjects",
            ("s3:GetObject", "s3:PutObject"),
            tuple(self._bucket(assets, one, "/*") for one in self.regions),
        )

    def _roles(self) -> Iterator[Grant]:
        mine = _beginning(f"{self.names.factory}.{self.names.stage}.", ROLE_NAME_LIMIT)
        arn = f"arn:{self.partition}:iam::{self.account}"
        yield Grant("Roles", CALLED["AWS::IAM::Role"], (f"{arn}:role/{mine}",))
        profiles = tuple(one for one in CALLED["AWS::IAM::InstanceProfile"] if one != "iam:PassRole")
        yield Grant("InstanceProfiles", profiles, (f"{arn}:instance-profile/{mine}",))
        services = ("ec2.amazonaws.com", *(("ec2.amazonaws.com.cn",) if self.partition == "aws-cn" else ()))
        condition = {"StringEquals": {"iam:PassedToService": services}}
        yield Grant("PassRoles", ("iam:PassRole",), (f"{arn}:role/{mine}",), condition)
        for sid, service in (("SpotRole", "spot.amazonaws.com"), ("AlarmRole", "events.amazonaws.com")):
            if self._needs_role_of(service):
                role = f"{arn}:role/aws-service-role/{service}/*"
                named = {"StringEquals": {"iam:AWSServiceName": (service,)}}
                yield Grant(sid, ("iam:CreateServiceLinkedRole",), (role,), named)

    def _needs_role_of(self, service: str) -> bool:
        """Whether AWS makes a role of its own for `service` the first time that an account uses what the stage does."""
        if service == "spot.amazonaws.com":
            return "AWS::EC2::LaunchTemplate" in self.types
        return any(
            "automate:" in str(one.properties.get(key, ""))
            for _, one in self.resources
            if one.type == "AWS::CloudWatch::Alarm"
            for key in ("AlarmActions", "OKActions", "InsufficientDataActions")
        )

    def _instances(self) -> Iterator[Grant]:
        ours = {"StringEquals": self.tags}
        tagging = ("ec2:CreateTags", "ec2:DeleteTags")
        run, apart = ("ec2:RunInstances",), ("ec2:AttachVolume", "ec2:DetachVolume")
        changes = tuple(
            one
            for one in CALLED["AWS::EC2::Instance"]
            if one.startswith("ec2:") and not one.startswith("ec2:Describe") and one not in (*run, *tagging, *apart)
        )
        instances = self._arns("ec2", "instance/*")
        yield Grant("RunInstances", run, tuple(sorted({arn for one in self.instances for arn in self._run_with(*one)})))
        yield Grant("Instances", (*changes, *tagging), instances, ours)
        at_creation = {"StringEquals": {"ec2:CreateAction": ("RunInstances",)}}
        yield Grant("TagInstances", tagging[:1], self._arns("ec2", "*/*"), at_creation)
        yield from self._what_plans_add(ours)

    def _what_plans_add(self, ours: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Iterator[Grant]:
        """For properties that few plans have."""
        if "AWS::EC2::LaunchTemplate" in self.types:
            calls = tuple(one for one in CALLED["AWS::EC2::LaunchTemplate"] if "Describe" not in one)
            yield Grant("LaunchTemplates", calls, self._arns("ec2", "launch-template/*"))
        volumes = [
            self._arn("ec2", f"volume/{one['VolumeId']}", region)
            for region, given in self.instances
            for one in given.get("Volumes", ())
        ]
        if volumes:
            calls = ("ec2:AttachVolume", "ec2:DetachVolume")
            yield Grant("Volumes", calls, tuple(dict.fromkeys(volumes)))
            yield Grant("InstancesOfVolumes", calls, self._arns("ec2", "instance/*"), ours)
        for region in self.regions:
            keys = [
                self._arn("kms", f"key/{key}", region) if not key.startswith("arn:") else key
                for where, given in self.instances
                for volume in given.get("BlockDeviceMappings", ())
                if where == region and (key := _key_of(volume))
            ]
            via = {"StringEquals": {"kms:ViaService": (f"ec2.{region}.amazonaws.com",)}}
            name = "".join(part.capitalize() for part in region.split("-"))
            yield Grant(f"VolumeKeys{name}", _KEY_CALLS, tuple(dict.fromkeys(keys)), via)
        if any(given.get("SsmAssociations") for _, given in self.instances):
            calls = ("ssm:CreateAssociation", "ssm:DeleteAssociation")
            yield Grant("Associations", calls, self._arns("ssm", "document/*", "association/*"))
            yield Grant("InstancesOfAssociations", calls, self._arns("ec2", "instance/*"), ours)

    def _run_with(self, region: str, given: Mapping[str, Json]) -> Iterator[str]:
        """The ARNs of everything that RunInstances is asked about for an instance with these properties."""
        for kind in ("instance", "network-interface", "volume"):
            yield self._arn("ec2", f"{kind}/*", region)
        image = str(given.get("ImageId", "*"))
        id_ = image if image.startswith("ami-") else "*"  # a parameter names it
        yield f"arn:{self.partition}:ec2:{region}::image/{id_}"
        interfaces = given.get("NetworkInterfaces", ())
        subnets = [one for one in (given.get("SubnetId"), *(one.get("SubnetId") for one in interfaces)) if one]
        groups = [
            *given.get("SecurityGroupIds", ()),
            *(group for one in interfaces for group in one.get("GroupSet", ())),
        ]
        for kind, ids in (("subnet", subnets), ("security-group", groups)):
            for one in ids or ["*"]:
                yield self._arn("ec2", f"{kind}/{one}", region)
        if "KeyName" in given:
            yield self._arn("ec2", f"key-pair/{given['KeyName']}", region)
        if "LaunchTemplate" in given:
            yield self._arn("ec2", "launch-template/*", region)
        if "PlacementGroupName" in given:
            yield self._arn("ec2", f"placement-group/{given['PlacementGroupName']}", region)
        for volume in given.get("BlockDeviceMappings", ()):
            if snapshot := volume.get("Ebs", {}).get("SnapshotId"):
                yield f"arn:{self.partition}:ec2:{region}::snapshot/{snapshot}"

    def _stores(self) -> Iterator[Grant]:
        longest = QUEUE_NAME_LIMIT - len(DEAD_LETTER_SUFFIX)
        queues = self._arn("sqs", _beginning(f"{self.names.factory}-{self.names.stage}-", longest), self.home)
        yield Grant("Queues", (*CALLED["AWS::SQS::Queue"], *_QUEUE_CALLS), (queues,))
        table = self._arn("dynamodb", f"table/{self.names.table()}", self.home)
        runner = _RUNNER_CALLS if any(one.stack is None for one in self.design.sectors) else ()
        jobs = (*CALLED["AWS::DynamoDB::Table"], *_TABLE_CALLS, *runner)
        yield Grant("Jobs", jobs, (table, f"{table}/index/*"))
        bucket = self.names.payload_bucket(self.home)
        policy = CALLED["AWS::S3::BucketPolicy"]
        yield Grant("Payloads", (*CALLED["AWS::S3::Bucket"], *policy), (self._bucket(bucket, self.home),))
        objects = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
        yield Grant("PayloadObjects", objects, (self._bucket(bucket, self.home, "/*"),))

    def _texts(self) -> Iterator[Grant]:
        path = self.names.path()
        parameters = (*CALLED["AWS::SSM::Parameter"], *_PARAMETER_CALLS)
        yield Grant("Parameters", parameters, self._arns("ssm", f"parameter{path}", f"parameter{path}/*"))
        images = [self._image_parameter(*one) for one in self.instances]
        named = tuple(dict.fromkeys(one for one in images if one))
        yield Grant("ImageParameters", ("ssm:GetParameter", "ssm:GetParameters"), named)
        secrets = (*CALLED["AWS::SecretsManager::Secret"], *_SECRET_CALLS)
        yield Grant("Secrets", secrets, self._arns("secretsmanager", f"secret:{path.removeprefix('/')}/*"))
        others = [one for one in stage_secrets(self.design) if not one.created]
        arns = [
            one.name
            if one.name.startswith("arn:")
            else self._arn("secretsmanager", f"secret:{one.name}-??????", one.region)
            for one in others
        ]
        yield Grant("SecretsOfOthers", ("secretsmanager:DescribeSecret",), tuple(dict.fromkeys(arns)))
        logs = tuple(one for one in CALLED["AWS::Logs::LogGroup"] if one not in _LOOKING)
        yield Grant("Logs", (*logs, "logs:FilterLogEvents"), self._arns("logs", f"log-group:{path}/*"))
        alarms = tuple(one for one in CALLED["AWS::CloudWatch::Alarm"] if one not in _LOOKING)
        yield Grant("Alarms", (*alarms, "cloudwatch:EnableAlarmActions"), tuple(dict.fromkeys(self._alarms())))

    def _image_parameter(self, region: str, given: Mapping[str, Any]) -> str | None:
        parameter = image_parameter(given)
        if parameter is None:
            return None
        owner = "" if parameter.startswith("/aws/") else self.account  # AWS's own have none
        return f"arn:{self.partition}:ssm:{region}:{owner}:parameter/{parameter.removeprefix('/')}"

    def _alarms(self) -> Iterator[str]:
        for region, one in self.resources:
            if one.type == "AWS::CloudWatch::Alarm":
                # CloudFormation names one that has no name by its stack.
                name = one.properties.get("AlarmName") or f"{self.names.stack('queues')}*"
                yield self._arn("cloudwatch", f"alarm:{name}", region)


def _key_of(volume: Mapping[str, Json]) -> str | None:
    """The KMS key of a volume as an ARN or an id, `*` for an alias; None where EC2 takes the account's own."""
    key = volume.get("Ebs", {}).get("KmsKeyId")
    if not isinstance(key, str) or not volume["Ebs"].get("Encrypted", True):
        return None
    return "*" if "alias/" in key else key


def _beginning(start: str, limit: int) -> str:
    """The pattern of names that begin with `start`, where those over `limit` are cut for a digest (`shortened_to`)."""
    kept = limit - len("-01234567")
    return f"{start}*" if len(start) < kept else f"{start[:kept].rstrip('-_.')}*"


def image_parameter(instance: Mapping[str, Any]) -> str | None:
    """The SSM parameter that names the image of an instance of these properties, without its version; None where the
    plan names the image itself.
    """
    image = str(instance.get("ImageId", ""))
    name = image.removeprefix("resolve:ssm:")
    return None if name == image else name.partition(":")[0]
