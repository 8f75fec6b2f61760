"""What the role of a sector may do, in words, and what of it is new or gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from factory_cdk.design import policy
from factory_cdk.design.model import Resource
from factory_cdk.plan.model import Json
from factory_cdk.review.model import AccessReport
from factory_cdk.review.sides.side import StageSide, resource_of

ROLE = "AWS::IAM::Role"

_RECEIVE = frozenset(
    {
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
    }
)
_SEND = frozenset({"sqs:SendMessage"})
_LOOK_UP = frozenset({"sqs:GetQueueUrl"})
"""Says nothing beside what else is allowed on the queue."""
_PARAMETERS = frozenset({"ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"})
_LOGS = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
_PHRASES: tuple[tuple[frozenset[str], str], ...] = (
    (_RECEIVE | _SEND, "receive jobs from and send jobs to the queue {}"),
    (_RECEIVE, "receive jobs from the queue {}"),
    (_SEND, "send jobs to the queue {}"),
    (_PARAMETERS, "read the parameters {}"),
    (_PARAMETERS - {"ssm:GetParametersByPath"}, "read the parameter {}"),
    (_LOGS, "write to the log group {}"),
    (frozenset(policy.LOG_ACTIONS), "read and write the log group {}"),
    (frozenset(policy.BOOT_LOG_ACTIONS), "make and write the log group {}"),
    (frozenset(policy.HISTORY_ACTIONS), "read and write the items of {}"),
    (frozenset(policy.SWITCH_ACTIONS), "turn the {} on and off"),
    (frozenset(policy.PAYLOAD_ACTIONS), "read, write and delete the objects {}"),
    (frozenset({"secretsmanager:GetSecretValue"}), "read the secret {}"),
    (frozenset({"s3:GetObject"}), "read the object {}"),
)
"""What these actions, together and no others, are called."""

_OWN_RELEASE = "its release"
"""Stands for the objects of a release: another code has other keys, and that is no other permission."""

_OWN_SECRETS = "its own secrets"
"""Stands for the secrets that its stack makes for it: other places that they are filled from give them other names."""


def access_report(name: str, before: StageSide | None, after: StageSide | None) -> AccessReport | None:
    """What the role of the sector `name` gains and loses; None where that is nothing."""
    old, new = (_permissions(side, name) if side else set() for side in (before, after))
    gains = (*_sentences(_granted(new - old)), *_sentences(_limits(old - new), "until now"))
    loses = (*_sentences(_granted(old - new)), *_sentences(_limits(new - old), "from now on"))
    return AccessReport(name, gains, loses) if gains or loses else None


Permission = tuple[str, str, str]
"""Effect, action and resource."""

_LIMITS = ("Deny", "Boundary")
"""Effects that take access away: where one is gone, access is gained."""


def _granted(permissions: set[Permission]) -> set[Permission]:
    return {one for one in permissions if one[0] not in _LIMITS}


def _limits(permissions: set[Permission]) -> set[Permission]:
    return {one for one in permissions if one[0] in _LIMITS}


def _permissions(stage: StageSide, sector: str) -> set[Permission]:
    side = stage.sectors.get(sector)
    role = resource_of(ROLE, stage, side)
    return set(_of_role(role)) if role else set()


def _of_role(role: Resource) -> Iterator[Permission]:
    for inline in role.properties.get("Policies", ()):
        yield from _of_document(inline.get("PolicyDocument", {}))
    for arn in role.properties.get("ManagedPolicyArns", ()):
        yield "Allow", "everything in the policy", _text(arn)
    for statement in _listed(role.properties.get("AssumeRolePolicyDocument", {}).get("Statement", ())):
        for kind, principals in statement.get("Principal", {}).items():
            for one in _listed(principals):
                name = _text(one).removesuffix(".${AWS::URLSuffix}").removesuffix(".amazonaws.com")
                yield (
                    "Trust",
                    "taken",
                    (name if kind in ("Service", "AWS") else f"{kind} {name}") + _condition(statement),
                )
    if "PermissionsBoundary" in role.properties:
        yield "Boundary", "limited", _text(role.properties["PermissionsBoundary"])


def _of_document(document: Mapping[str, Json]) -> Iterator[Permission]:
    for statement in _listed(document.get("Statement", ())):
        for resource in _subjects(statement, "Resource"):
            for action in _subjects(statement, "Action"):
                shown = _text(resource)
                # What a plan says is text, and never an intrinsic: it cannot pass for what is the sector's own.
                own = isinstance(resource, Mapping)
                if own and action == "s3:GetObject" and "-assets-${AWS::AccountId}-" in shown:
                    shown = _OWN_RELEASE
                if own and action == "secretsmanager:GetSecretValue" and "Ref" in resource:
                    shown = _OWN_SECRETS
                yield str(statement.get("Effect", "Allow")), str(action), shown + _condition(statement)


def _subjects(statement: Mapping[str, Json], key: str) -> Iterable[Json]:
    """The actions or resources of a statement; in one text those that it leaves out."""
    if f"Not{key}" in statement:
        return (f"everything but {', '.join(sorted(map(_text, _listed(statement[f'Not{key}']))))}",)
    return _listed(statement.get(key, ()))


def _condition(statement: Mapping[str, Json]) -> str:
    return f" (if {_text(statement['Condition'])})" if statement.get("Condition") else ""


def _sentences(changed: set[Permission], when: str = "") -> Iterator[str]:
    """`changed` in sentences, one for each resource; `when` limits hold."""
    by_resource: dict[tuple[str, str], set[str]] = {}
    for effect, action, resource in sorted(changed):
        by_resource.setdefault((effect, resource), set()).add(action)
    for (effect, resource), actions in by_resource.items():
        if effect == "Trust":
            yield f"be taken by {resource}"
        elif effect == "Boundary":
            yield f"do what the boundary {resource} forbids, which limits it {when}"
        else:
            yield _phrase(frozenset(actions), resource) + (f", which is denied {when}" if effect == "Deny" else "")


def _phrase(actions: frozenset[str], resource: str) -> str:
    own = {_OWN_RELEASE: {"s3:GetObject"}, _OWN_SECRETS: {"secretsmanager:GetSecretValue"}}
    if actions == own.get(resource, set()):
        return f"read {resource}"
    name = _short(resource)
    said = actions - _LOOK_UP or actions
    phrase = next((phrase for known, phrase in _PHRASES if said == known), None)
    return phrase.format(name) if phrase else f"{', '.join(sorted(said))} on {name}"


_PART = r"(\$\{AWS::[A-Za-z]+\}|[^:${]*)"
_ARN = re.compile(rf"arn:{_PART}:([a-z0-9-]+):{_PART}:{_PART}:(.+)")
_PREFIXES = ("parameter", "log-group:", "secret:")


def _short(resource: str) -> str:
    """The part of an ARN that names the thing, where the rest says nothing: it is of the same account."""
    found = _ARN.fullmatch(resource)
    if found is None or found[4] not in ("", "${AWS::AccountId}"):
        return resource
    name = found[5]
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name.removesuffix(":*").removesuffix("-??????")


def _listed(value: Json) -> Iterable[Json]:
    return value if isinstance(value, list | tuple) else (value,)


def _text(value: Json) -> str:
    """A value of a policy as text, intrinsics without their wrapping."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, inner),) = value.items()
        if key in ("Fn::Sub", "Ref") and isinstance(inner, str):
            return inner
        return f"{key} {_text(inner)}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)
