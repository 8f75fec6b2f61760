"""Reads what an aws sector says of its instance beside `parameters`: its permissions, its capacity, its logs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.checks.alarms import ALARM_ACTIONS, instance_verb
from factory_cdk.plan.checks.offline import read_offline
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import InstanceOptions, Json, Plan
from factory_cdk.plan.yaml.nodes import Path

OPTION_KEYS = (
    "availability",
    "capacity",
    "log-retention",
    "offline",
    "permissions-boundary",
    "policies",
    "python-build",
    "session-manager",
)
"""Keys of a sector that only an EC2 instance can have, beside `alarm`, `parameters`, `platform`, `region_name`."""

POLICY_ARN = r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[!-~]{1,512}"
PLACE = r"subnet-[0-9a-z]+|[a-z0-9-]+\.[a-z0-9-]+"
"""An entry of `availability`: a subnet or an instance type."""

MAX_MANAGED = 10
"""Managed policies of a role, unless the account's quota was raised (IAM and STS quotas)."""

_STATEMENT_KEYS = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
_NOT_FOR_SPOT = ("HibernationOptions", "HostId", "LaunchTemplate")
_VERBS_NOT_FOR_SPOT = ("stop", "recover")
_SPOT_STOPS = "a spot instance cannot be stopped and started again"


def read_options(data: Mapping[str, Any], path: Path, findings: Findings) -> InstanceOptions:
    """The options of the aws sector `data` at `path`; what is wrong with them is reported and left out."""
    boundary = data.get("permissions-boundary")
    if isinstance(boundary, str) and boundary and not re.fullmatch(POLICY_ARN, boundary):
        message = f"invalid permissions boundary `{shortened(boundary)}`: it must be the ARN of an IAM policy"
        findings.at_value((*path, "permissions-boundary"), "F520", message, _LIKE_AN_ARN)
    retention = data.get("log-retention")
    spot = data.get("capacity") == "spot"
    if spot:
        _check_spot(data, path, findings)
    return InstanceOptions(
        policies=_policies(data.get("policies"), (*path, "policies"), findings),
        permissions_boundary=boundary if isinstance(boundary, str) else None,
        session_manager=data.get("session-manager") is True,
        log_retention=retention if isinstance(retention, int) else InstanceOptions().log_retention,
        availability=_availability(data, path, findings),
        spot=spot,
        offline=read_offline(data, path, findings),
    )


_LIKE_AN_ARN = "for example `arn:aws:iam::123456789012:policy/team/boundary`"


def _policies(given: Any, path: Path, findings: Findings) -> tuple[Json, ...]:
    if not isinstance(given, list):
        return ()
    sids: dict[str, int] = {}
    for index, one in enumerate(given):
        spot = (*path, index)
        if isinstance(one, str) and one and not re.fullmatch(POLICY_ARN, one):
            message = f"invalid policy `{shortened(one)}`: it must be the ARN of a managed policy, or a statement"
            findings.at_value(spot, "F520", message, _LIKE_AN_ARN)
        elif isinstance(one, dict) and one:
            _check_statement(one, spot, findings)
            sid = one.get("Sid")
            if isinstance(sid, str) and sids.setdefault(sid, index) != index:
                findings.at_value((*spot, "Sid"), "F520", f"duplicate Sid `{shortened(sid)}`", "use another one")
    managed = [one for one in given if isinstance(one, str)]
    if len(managed) > MAX_MANAGED:
        message = f"{len(managed)} managed policies; a role has at most {MAX_MANAGED}"
        findings.at_key(path, "F520", message, "combine some of them in one policy, or write statements")
    return tuple(given)


def _check_statement(statement: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Refuse what IAM would: a statement of a role's policy has an effect, actions and resources, and no principal."""
    for key in statement:
        if key not in _STATEMENT_KEYS:
            hint = findings.suggest_key((*path, key), _STATEMENT_KEYS)
            if key in ("Principal", "NotPrincipal"):
                hint = "remove it: the policy is the role's own"
            findings.at_key((*path, key), "F520", f"unknown key `{shortened(str(key))}` of a policy statement", hint)
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        spot = (*path, "Effect") if "Effect" in statement else path
        findings.at_value(spot, "F520", "the `Effect` of a policy statement must be `Allow` or `Deny`", "write `Allow`")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            message = f"a policy statement needs either `{one}` or `{other}`"
            findings.at_value(path, "F520", message, f"write `{one}:` and what it is about")
        for key in (one, other):
            if key in statement and not _is_texts(statement[key]):
                message = f"`{key}` of a policy statement must be text or a list of texts"
                findings.at_value((*path, key), "F520", message, "quote each of them")
    sid = statement.get("Sid")
    if sid is not None and not (isinstance(sid, str) and re.fullmatch("[A-Za-z0-9]{1,64}", sid)):
        message = "invalid `Sid` of a policy statement: it must be up to 64 letters and digits"
        findings.at_value((*path, "Sid"), "F520", message, "remove it, or write another one")
    condition = statement.get("Condition")
    if condition is not None and not (isinstance(condition, dict) and all(map(_is_mapping, condition.values()))):
        message = "`Condition` of a policy statement must be a mapping of operators"
        findings.at_value(
            (*path, "Condition"), "F520", message, "for example `{StringEquals: {aws:RequestedRegion: eu-west-2}}`"
        )
    for spot, is_key, text in _texts(statement, path):
        if is_key and (text == "Ref" or text.startswith("Fn::")):
            message = f"CloudFormation would evaluate the key `{shortened(text)}`"
            findings.at_key(spot, "F108", message, "write what it stands for")
        findings.refuse_control(spot, text, key=is_key)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_texts(value: Any) -> bool:
    return all(isinstance(one, str) and one for one in value) if isinstance(value, list) else isinstance(value, str)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, bool, str]]:
    """The texts in `value`, at their paths, and whether each is a key."""
    if isinstance(value, str):
        yield path, False, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), True, str(key)
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _availability(data: Mapping[str, Any], path: Path, findings: Findings) -> tuple[str, ...]:
    given = data.get("availability")
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        return ()
    spot = (*path, "availability")
    for index, one in enumerate(given):
        if one and not re.fullmatch(PLACE, one):
            message = f"`{shortened(one)}` is neither a subnet nor an instance type"
            findings.at_value((*spot, index), "F521", message, "write `subnet-…`, or a type: `m7i.large`")
        elif one in given[:index]:
            findings.at_value((*spot, index), "F521", f"duplicate `{shortened(one)}` in `availability`", "remove it")
    interfaces = data["parameters"].get("NetworkInterfaces") if isinstance(data.get("parameters"), dict) else None
    first = interfaces[0] if isinstance(interfaces, list) and interfaces else None
    if isinstance(first, dict) and "NetworkInterfaceId" in first and any(one.startswith("subnet-") for one in given):
        message = "`availability` has a subnet, but the network interface of `parameters` is in one already"
        findings.at_key(spot, "F521", message, "remove the subnets, or `NetworkInterfaceId`")
    return tuple(given)


def _check_spot(data: Mapping[str, Any], path: Path, findings: Findings) -> None:
    parameters = data.get("parameters")
    for name in _NOT_FOR_SPOT:
        if isinstance(parameters, dict) and name in parameters:
            message = f"`{name}` cannot be used with `capacity: spot`"
            reason = "factory_cdk makes the launch template" if name == "LaunchTemplate" else _SPOT_STOPS
            findings.at_key((*path, "parameters", name), "F522", message, f"remove one of them: {reason}")


def check_spot_alarms(plan: Plan, findings: Findings) -> None:
    """Add F522 for spot instances whose alarm would stop or recover them, which EC2 does not do."""
    for stage in plan.stages.values():
        for sector in stage.sectors:
            alarm = plan.alarms.get(sector.alarm or "") if sector.options.spot else None
            actions = [one for key in ALARM_ACTIONS for one in _listed(alarm.properties.get(key))] if alarm else []
            for verb in dict.fromkeys(instance_verb(one) for one in actions if isinstance(one, str)):
                if verb in _VERBS_NOT_FOR_SPOT:
                    message = f"the alarm `{sector.alarm}` would {verb} the spot instance of `{sector.name}`"
                    path = ("factory", "stages", stage.name, sector.name, "alarm")
                    findings.at_value(path, "F522", message, f"{_SPOT_STOPS}: use an alarm with `terminate`")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
