"""Whether the vCPUs of a stage's instances fit into what the account may run in a region."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from factory_cdk.deploy.account import Account
from factory_cdk.deploy.check_rows import CheckRow, State, asked
from factory_cdk.deploy.instance_checks import WantedInstance
from factory_cdk.design.model import StageDesign
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG

_CHECK = "vCPU quota"
_MOST_TYPES = 100
"""Instance types that DescribeInstanceTypes takes at once."""

_STANDARD = frozenset("acdhimrtz")
_CODES = {
    ("standard", False): "L-1216C47A",
    ("standard", True): "L-34B43A08",
    ("g", False): "L-DB2E81BA",
    ("g", True): "L-3819A6DF",
    ("p", False): "L-417A185B",
    ("p", True): "L-7212CCBC",
}
"""The quotas of EC2 in vCPUs by family and whether they are of spot instances
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits; their
codes are those that `aws service-quotas list-service-quotas --service-code ec2` names)."""


@dataclass(frozen=True, slots=True)
class QuotaClass:
    """Instances that have one quota: those of a `family` (`standard`, `g`, `p`; else unknown), on demand or spot."""

    family: str
    spot: bool

    @property
    def code(self) -> str | None:
        """The code of its quota; None where it is not known here."""
        return _CODES.get((self.family, self.spot))


def quota_class(instance_type: str, *, spot: bool) -> QuotaClass:
    """The class that `instance_type` is counted in."""
    letters = re.match(r"[a-z]+", instance_type)
    start = letters[0] if letters else ""
    if start in ("g", "gr", "vt"):
        return QuotaClass("g", spot)
    if start == "p":
        return QuotaClass("p", spot)
    standard = start[:1] in _STANDARD and start not in ("dl", "hpc", "inf", "trn", "mac")
    return QuotaClass("standard" if standard else start, spot)


def check_quotas(account: Account, design: StageDesign, wanted: Iterable[WantedInstance]) -> list[CheckRow]:
    """A row for each class of the `wanted` instances of one region."""
    here = [one for one in wanted if one.type]
    if not here:
        return []
    region = here[0].region
    return asked(_CHECK, region, "", lambda: _rows(account, design, region, here))


def _rows(account: Account, design: StageDesign, region: str, here: list[WantedInstance]) -> Iterator[CheckRow]:
    running = [
        (str(one["InstanceType"]), one.get("InstanceLifecycle") == "spot")
        for reservation in account.pages(
            region, "ec2", "describe_instances", "Reservations",
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}],
        )
        for one in reservation["Instances"]
        if not _is_of_stage(one, design)
    ]  # fmt: skip
    wanted = [(one.type or "", one.spot) for one in here]
    vcpus = _vcpus(account, region, sorted({type_ for type_, _ in (*running, *wanted)}))
    for group in dict.fromkeys(quota_class(type_, spot=spot) for type_, spot in wanted):
        label = f"{group.family}, {'spot' if group.spot else 'on demand'}"
        needed = sum(vcpus.get(type_, 0) for type_, spot in wanted if quota_class(type_, spot=spot) == group)
        used = sum(vcpus.get(type_, 0) for type_, spot in running if quota_class(type_, spot=spot) == group)
        yield from asked(_CHECK, region, label, partial(_judged, account, region, group, label, needed, used))


def _judged(account: Account, region: str, group: QuotaClass, label: str, needed: int, used: int) -> Iterator[CheckRow]:
    if group.code is None:
        yield CheckRow(_CHECK, region, label, State.UNKNOWN, f"which quota {group.family} has is not known here")
        return
    answer = account.call(region, "service-quotas", "get_service_quota", ServiceCode="ec2", QuotaCode=group.code)
    most = int(answer["Quota"]["Value"])
    said = f"{needed} vCPUs of the stage and {used} of others that run, of {most}"
    if needed + used <= most:
        yield CheckRow(_CHECK, region, label, State.OK, said)
        return
    ask = f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {group.code}"
    remedy = f"ask for more: {ask} --region {region} --desired-value {needed + used}"
    yield CheckRow(_CHECK, region, label, State.MISSING, f"{region} has too few vCPUs ({label}): {said}", remedy)


def _vcpus(account: Account, region: str, types: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(types), _MOST_TYPES):
        answer = account.call(
            region, "ec2", "describe_instance_types", InstanceTypes=types[start : start + _MOST_TYPES]
        )
        found |= {str(one["InstanceType"]): int(one["VCpuInfo"]["DefaultVCpus"]) for one in answer["InstanceTypes"]}
    return found


def _is_of_stage(instance: Mapping[str, Any], design: StageDesign) -> bool:
    tags = {one["Key"]: one["Value"] for one in instance.get("Tags", ())}
    own = {FACTORY_TAG: design.factory, STAGE_TAG: design.stage}
    return own.items() <= tags.items()
