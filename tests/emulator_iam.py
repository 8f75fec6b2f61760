"""What ministack's IAM asks for, put right where AWS asks for something else; for an emulator that enforces it.

Each correction says what the service authorization reference of AWS has: which action a call needs, and of what.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import iam

PARTIQL = re.compile(r'\s*(INSERT INTO|SELECT .*? FROM|UPDATE|DELETE FROM)\s+"?([\w.-]+)"?', re.IGNORECASE | re.DOTALL)
PARTIQL_ACTIONS = {
    "INSERT": "PartiQLInsert",
    "SELECT": "PartiQLSelect",
    "UPDATE": "PartiQLUpdate",
    "DELETE": "PartiQLDelete",
}


def simulate(request: Any) -> Any:
    """SimulatePrincipalPolicy for every action and resource, with the context that is given."""
    kind, _, name = str(iam._p(request, "PolicySourceArn")).split(":", 5)[5].partition("/")
    gather = iam_evaluator._gather_user_policies if kind == "user" else iam_evaluator._gather_role_policies
    policies = gather(name.rpartition("/")[2], get_account_id())
    context: dict[str, Any] = {}
    for number in itertools.count(1):
        entry = f"ContextEntries.member.{number}"
        if not (key := iam._p(request, f"{entry}.ContextKeyName")):
            break
        context[key.lower()] = iam._p(request, f"{entry}.ContextKeyValues.member.1")
    arns = members(request, "ResourceArns")
    results = "".join(
        result(action, {arn: decision(action, arn, context, policies) for arn in arns})
        for action in members(request, "ActionNames")
    )
    return iam._xml(
        200,
        "SimulatePrincipalPolicyResponse",
        f"<SimulatePrincipalPolicyResult><EvaluationResults>{results}</EvaluationResults>"
        "<IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult>",
        ns="iam",
    )


def result(action: str, decisions: Mapping[str, str]) -> str:
    """What is decided of an action; of several resources, of each of them."""
    arn, decided = next((one for one in decisions.items() if one[1] != "allowed"), next(iter(decisions.items())))
    each = "".join(
        f"<member><EvalResourceName>{name}</EvalResourceName><EvalResourceDecision>{one}</EvalResourceDecision></member>"
        for name, one in decisions.items()
        if len(decisions) > 1
    )
    return (
        f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{arn}</EvalResourceName>"
        f"<EvalDecision>{decided}</EvalDecision><ResourceSpecificResults>{each}</ResourceSpecificResults></member>"
    )


def members(request: Any, name: str) -> list[str]:
    found = (iam._p(request, f"{name}.member.{number}") for number in itertools.count(1))
    return list(itertools.takewhile(bool, found)) or ["*"]


def decision(action: str, arn: str, context: Mapping[str, Any], policies: Any) -> str:
    asked = iam_evaluator.EvalContext(
        principal_arn="", principal_type="User", principal_account=get_account_id(), action=action, resource_arn=arn,
        region="us-east-1", secure_transport=True, service_context=dict(context),
    )  # fmt: skip
    found = iam_evaluator.evaluate(asked, policies).decision if policies else "ImplicitDeny"
    return {"Allow": "allowed", "Deny": "explicitDeny"}.get(found, "implicitDeny")


class SeveralArns(str):
    """A resource that stands for several: each has to be allowed."""

    __slots__ = ("arns",)
    arns: tuple[str, ...]


def correct() -> None:
    """Have ministack ask for what AWS asks for."""
    iam_actions.extract_iam_action = of_one_message(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = of_what_is_asked(iam_actions.extract_resource_arn)
    iam_actions.dynamodb_transaction_checks = each_statement(iam_actions.dynamodb_transaction_checks)
    iam_evaluator._resolve_condition_key = of_the_role(iam_evaluator._resolve_condition_key)
    iam_evaluator.enforce = of_each(iam_evaluator.enforce)
    pin = app.pin_request_origin
    app.pin_request_origin = lambda address, _: pin(address, True)  # as over TLS, which policies insist on


def several(arns: Iterable[str]) -> str:
    all_ = tuple(arns)
    made = SeveralArns(all_[0] if all_ else "*")
    made.arns = all_ or ("*",)
    return made


def of_one_message(original: Callable[..., str | None]) -> Callable[..., str | None]:
    """A batch of SQS needs the permission for one message ("Amazon SQS API permissions" in its developer guide)."""

    def extract_iam_action(*asked: Any) -> str | None:
        action = original(*asked)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    return extract_iam_action


def of_what_is_asked(original: Callable[..., str]) -> Callable[..., str]:
    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, params: Any, region: str, account: str
    ) -> str:
        said = original(service, method, path, headers, body, params, region, account)
        action = str(headers.get("x-amz-target", "")).rpartition(".")[2]
        if service == "ssm" and action in ("GetParameters", "GetParametersByPath"):
            return several(f"arn:aws:ssm:{region}:{account}:parameter{name}" for name in parameters(content(body)))
        if service == "logs" and said.startswith("arn:") and ":log-group:" in said:
            stream = content(body).get("logStreamName")
            # CreateLogStream is asked of the group, which policies write with `:*`.
            return f"{said}:log-stream:{stream}" if stream and action != "CreateLogStream" else f"{said}:*"
        if service == "iam" and (source := iam_actions._query_param(params, "PolicySourceArn")):
            return str(source)  # SimulatePrincipalPolicy is asked of whom it is about
        if service == "monitoring" and (names := alarms(body)):
            return several(f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}" for name in names)
        return said

    return extract_resource_arn


def content(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def parameters(asked: Mapping[str, Any]) -> list[str]:
    """The parameters that are asked for, each of which is a resource; of a path, the path itself."""
    return [*asked.get("Names", ()), *([asked["Path"].rstrip("/")] if "Path" in asked else [])]


def alarms(body: bytes) -> list[str]:
    asked = content(body) or parse_qs(body.decode(errors="replace"))
    listed = asked.get("AlarmNames")
    if isinstance(listed, list):
        return [str(name) for name in listed]
    return [name for key, (name, *_) in asked.items() if key.startswith("AlarmNames.member.")]


def each_statement(original: Callable[..., list[tuple[str, str]]]) -> Callable[..., list[tuple[str, str]]]:
    """A statement of PartiQL is allowed as what it does, not as the call that carries it."""

    def checks(action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
        asked = content(body)
        if action == "dynamodb:BatchExecuteStatement":
            said = [one["Statement"] for one in asked["Statements"]]
        elif action == "dynamodb:ExecuteStatement":
            said = [asked["Statement"]]
        else:
            return original(action, body, region, account)
        return [_checked(statement, region, account) for statement in said]

    return checks


def _checked(statement: str, region: str, account: str) -> tuple[str, str]:
    found = PARTIQL.match(statement)
    if found is None:
        return "dynamodb:ExecuteStatement", "*"
    verb, table = found[1].split()[0].upper(), found[2]
    return f"dynamodb:{PARTIQL_ACTIONS[verb]}", f"arn:aws:dynamodb:{region}:{account}:table/{table}"


def of_the_role(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """aws:PrincipalArn of a session is the ARN of its role (global condition context keys in IAM's user guide)."""

    def resolve(key: str, context: Any) -> Any:
        found = original(key, context)
        if key.lower() != "aws:principalarn":
            return found
        return re.sub(r":sts:(.*):assumed-role/([^/]+)/.*", r":iam:\1:role/\2", str(found))

    return resolve


def of_each(original: Callable[..., Any]) -> Callable[..., Any]:
    def enforce(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        for arn in getattr(resource_arn, "arns", (resource_arn,)):
            denied = original(access_key, action, service, region, resource_arn=arn, service_context=service_context)
            if denied:
                return denied
        return None

    return enforce
