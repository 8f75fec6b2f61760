"""Whether these credentials have the permissions of a stage, as IAM itself decides (SimulatePrincipalPolicy)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.deploy.check_rows import CheckRow, State
from factory_cdk.deploy.permissions import Grant

_CHECK = "permissions"
_AT_ONCE = 8
_NAMED = 6
"""Actions that are named of those that are missing."""

_SEE = (
    "factory-cdk permissions prints all that a stage needs: attach it to these credentials; "
    "where IAM allows it all the same, build with --no-preflight"
)


def check_permissions(
    account: Account, region: str, identity: str, grants: Sequence[Grant], pool: ThreadPoolExecutor
) -> list[CheckRow]:
    """A row for each of `grants`, or one that says why it is not known. `identity` is the ARN of the caller, `region`
    the one whose endpoint is asked. What resource policies and session policies say is not looked at.
    """
    source, why = _source(account, region, identity)
    if source is None:
        return [CheckRow(_CHECK, "", identity, State.UNKNOWN, why)]
    try:
        first = _simulated(account, region, source, grants[0])
    except RefusedError as error:
        detail = f"IAM does not tell what {source} may do: {error.code}"
        remedy = "allow it iam:SimulatePrincipalPolicy on itself" if error.denied else error.remedy or ""
        return [CheckRow(_CHECK, "", source, State.UNKNOWN, detail, remedy)]
    return [first, *pool.map(lambda one: _row(account, region, source, one), grants[1:])]


def _source(account: Account, region: str, identity: str) -> tuple[str | None, str]:
    """The ARN of the user or role behind `identity`, or None and why there is none."""
    partition, kind = identity.split(":")[1], identity.split(":", 5)[5]
    if kind == "root":
        return None, "these are the credentials of the account's root user, whose permissions IAM does not simulate"
    if kind.startswith("user/"):
        return identity, ""
    if kind.startswith("assumed-role/"):
        name = kind.split("/")[1]
        try:  # a role may have a path, which the ARN of a session has not
            return str(account.call(region, "iam", "get_role", RoleName=name)["Role"]["Arn"]), ""
        except RefusedError as error:
            if not error.denied:
                return None, f"the role {name} of this session is not found: {error.code}"
            return f"arn:{partition}:iam::{identity.split(':')[4]}:role/{name}", ""
    return None, f"{kind.partition('/')[0]} sessions have no user or role whose permissions IAM could simulate"


def _row(account: Account, region: str, source: str, grant: Grant) -> CheckRow:
    try:
        return _simulated(account, region, source, grant)
    except RefusedError as error:
        return CheckRow(_CHECK, "", grant.sid, State.UNKNOWN, error.message, error.remedy or "")


def _simulated(account: Account, region: str, source: str, grant: Grant) -> CheckRow:
    refused: dict[str, str] = {}
    marker: dict[str, str] = {}
    while True:
        answer = account.call(
            region, "iam", "simulate_principal_policy",
            PolicySourceArn=source, ActionNames=list(grant.actions), ResourceArns=list(grant.resources),
            ContextEntries=_context(grant), **marker,
        )  # fmt: skip
        for one in answer["EvaluationResults"]:
            for arn, decision in _decisions(one):
                if decision != "allowed":
                    refused.setdefault(str(one["EvalActionName"]), arn)
        if not answer.get("IsTruncated"):
            break
        marker = {"Marker": str(answer["Marker"])}
    if not refused:
        return CheckRow(_CHECK, "", grant.sid, State.OK, f"{len(grant.actions)} actions")
    names = sorted(refused)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    detail = f"{source} may not {', '.join(names[:_NAMED])}{more} on {refused[names[0]]}"
    return CheckRow(_CHECK, "", grant.sid, State.MISSING, detail, _SEE)


def _decisions(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The resources of a result, each with what is decided; IAM says of several what it decides of each."""
    several = result.get("ResourceSpecificResults")
    if several:
        return [(str(one["EvalResourceName"]), str(one["EvalResourceDecision"])) for one in several]
    return [(str(result["EvalResourceName"]), str(result["EvalDecision"]))]


def _context(grant: Grant) -> list[dict[str, Any]]:
    """What a request would have that fulfils the condition of `grant`."""
    return [
        {"ContextKeyName": key, "ContextKeyValues": [values[0]], "ContextKeyType": "string"}
        for keys in grant.condition.values()
        for key, values in keys.items()
    ]
