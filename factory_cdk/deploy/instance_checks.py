"""What the instance of a sector needs in its region, looked at before anything is made: image, type, network, key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.deploy.check_rows import CheckRow, State, asked
from factory_cdk.deploy.permissions import image_parameter
from factory_cdk.design.model import SectorDesign, StageDesign
from factory_cdk.plan.model import Json, Platform, SectorType

_NOT_THERE = (".NotFound", ".Malformed", ".Unavailable", "InvalidInstanceType", "ParameterNotFound")
_HTTPS = 443
_EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class WantedInstance:
    """The instance of `sector` in `region`, with the properties that its template gives it."""

    sector: SectorDesign
    region: str
    properties: Mapping[str, Json]
    spot: bool
    history: bool

    @property
    def type(self) -> str | None:
        """Its instance type; None where the plan names none."""
        return self.properties.get("InstanceType")

    @property
    def subnets(self) -> tuple[str, ...]:
        """The subnets that it is in."""
        found = [self.properties.get("SubnetId"), *(one.get("SubnetId") for one in self._interfaces)]
        return tuple(dict.fromkeys(one for one in found if one))

    @property
    def groups(self) -> tuple[str, ...]:
        """Its security groups."""
        found = [
            *self.properties.get("SecurityGroupIds", ()),
            *(group for one in self._interfaces for group in one.get("GroupSet", ())),
        ]
        return tuple(dict.fromkeys(found))

    @property
    def services(self) -> tuple[str, ...]:
        """The services of AWS that it talks to, as VPC endpoints name them."""
        secrets = any(bot.secrets for bot in self.sector.bots)
        return (
            *("logs", "s3", "sqs", "ssm"),
            *(("dynamodb",) if self.history else ()),
            *(("secretsmanager",) if secrets else ()),
        )

    @property
    def _interfaces(self) -> tuple[Mapping[str, Json], ...]:
        return tuple(self.properties.get("NetworkInterfaces", ()))


def wanted_instances(design: StageDesign) -> tuple[WantedInstance, ...]:
    """The instances of the aws sectors of `design`."""
    by_id = {(stack.name, one.logical_id): one for stack in design.stacks for one in stack.resources}
    return tuple(
        WantedInstance(
            sector,
            sector.region or "",
            resource.properties,
            spot="LaunchTemplate" in resource.properties,
            history=design.history is not None,
        )
        for sector in design.sectors
        if sector.type is SectorType.AWS
        and (resource := by_id.get((sector.stack or "", sector.instance or ""))) is not None
    )


def check_instance(account: Account, wanted: WantedInstance) -> list[CheckRow]:
    """The rows of one instance."""
    return _Checks(account, wanted).rows()


class _Checks:
    """What AWS says about one instance that is wanted."""

    def __init__(self, account: Account, wanted: WantedInstance) -> None:
        self.account, self.wanted, self.region = account, wanted, wanted.region
        self.where = f"sector {wanted.sector.name} ({wanted.region})"

    def rows(self) -> list[CheckRow]:
        """All of them."""
        found = asked("image", self.region, str(self.wanted.properties.get("ImageId", "")), self._image)
        if "KeyName" in self.wanted.properties:
            found += asked("key pair", self.region, str(self.wanted.properties["KeyName"]), self._key)
        found += asked("subnet", self.region, ", ".join(self.wanted.subnets) or "(default)", self._network)
        return [replace(one, sector=self.wanted.sector.name) for one in found]

    def _call(self, service: str, operation: str, **parameters: Any) -> Any:
        """What AWS answers; None when it says that there is no such thing."""
        try:
            return self.account.call(self.region, service, operation, **parameters)
        except RefusedError as error:
            if error.code.endswith(_NOT_THERE):
                return None
            raise

    def _row(self, check: str, subject: str, state: State, detail: str, remedy: str = "") -> CheckRow:
        return CheckRow(check, self.region, subject, state, detail, remedy)

    def _missing(self, check: str, subject: str, detail: str, remedy: str) -> CheckRow:
        return self._row(check, subject, State.MISSING, f"{self.where}: {detail}", remedy)

    # Image and type

    def _image(self) -> Iterator[CheckRow]:
        given = str(self.wanted.properties.get("ImageId", ""))
        if not given:
            return  # a launch template of the plan's own may name it
        id_ = given
        if image_parameter(self.wanted.properties) is not None:
            name = given.removeprefix("resolve:ssm:")
            answer = self._call("ssm", "get_parameter", Name=name)
            if answer is None:
                yield self._missing("image", given, f"there is no parameter {name}", "correct ImageId")
                return
            id_ = str(answer["Parameter"]["Value"])
        answer = self._call("ec2", "describe_images", ImageIds=[id_])
        if answer is None or not answer["Images"]:
            remedy = f"name an image of {self.region}: each region has its own ids"
            yield self._missing("image", given, f"there is no image {id_}, or this account may not use it", remedy)
            return
        image = answer["Images"][0]
        if image.get("State") != "available":
            yield self._missing(
                "image", given, f"the image {id_} is {image.get('State')}", "name one that is available"
            )
            return
        windows = str(image.get("Platform", "")).lower() == "windows"
        if windows != (self.wanted.sector.platform is Platform.WINDOWS):
            other = Platform.WINDOWS if windows else Platform.LINUX
            detail = f"the image {id_} is of {other}, the sector of {self.wanted.sector.platform}"
            yield self._missing("image", given, detail, f"write `platform: {other}`, or name another image")
            return
        yield self._row("image", given, State.OK, str(image.get("Name") or id_))
        type_ = self.wanted.type
        if type_ is not None:
            yield from asked("instance type", self.region, type_, lambda: self._architecture(image, id_, type_))

    def _architecture(self, image: Mapping[str, Any], id_: str, type_: str) -> Iterator[CheckRow]:
        answer = self._call("ec2", "describe_instance_types", InstanceTypes=[type_])
        if answer is None or not answer["InstanceTypes"]:
            yield self._missing("instance type", type_, f"{self.region} has no instance type {type_}", "name another")
            return
        takes = answer["InstanceTypes"][0]["ProcessorInfo"]["SupportedArchitectures"]
        has = str(image.get("Architecture", ""))
        if has not in takes:
            detail = f"{type_} runs {', '.join(takes)}, and the image {id_} is of {has}"
            yield self._missing("instance type", type_, detail, "name an image or a type of the same architecture")

    def _offered(self, zones: Iterable[str]) -> Iterator[CheckRow]:
        """Whether its type is offered in `zones`; without one, in the region."""
        type_ = self.wanted.type
        if type_ is None:
            return
        places = tuple(zones)
        kind = "availability-zone" if places else "region"
        answer = self.account.call(
            self.region, "ec2", "describe_instance_type_offerings", LocationType=kind,
            Filters=[
                {"Name": "instance-type", "Values": [type_]},
                {"Name": "location", "Values": list(places or (self.region,))},
            ],
        )  # fmt: skip
        offered = {str(one["Location"]) for one in answer["InstanceTypeOfferings"]}
        for place in places or (self.region,):
            if place in offered:
                yield self._row("instance type", type_, State.OK, f"offered in {place}")
            else:
                remedy = "name another subnet or instance type; `availability` lists several"
                yield self._missing("instance type", type_, f"{type_} is not offered in {place}", remedy)

    # Key and network

    def _key(self) -> Iterator[CheckRow]:
        name = str(self.wanted.properties["KeyName"])
        if self._call("ec2", "describe_key_pairs", KeyNames=[name]) is None:
            remedy = f"import it into {self.region} (`aws ec2 import-key-pair`), or name another"
            yield self._missing("key pair", name, f"there is no key pair {name}", remedy)
        else:
            yield self._row("key pair", name, State.OK, "there")

    def _network(self) -> Iterator[CheckRow]:
        zones, vpcs = [], []
        for id_ in self.wanted.subnets:
            answer = self._call("ec2", "describe_subnets", SubnetIds=[id_])
            if answer is None or not answer["Subnets"]:
                remedy = f"name a subnet of {self.region} in this account"
                yield self._missing("subnet", id_, f"there is no subnet {id_}", remedy)
                continue
            subnet = answer["Subnets"][0]
            zones.append(str(subnet["AvailabilityZone"]))
            vpcs.append(str(subnet["VpcId"]))
            if int(subnet.get("AvailableIpAddressCount", 1)) < 1:
                yield self._missing("subnet", id_, f"the subnet {id_} has no free address", "name another subnet")
            else:
                yield self._row("subnet", id_, State.OK, f"in {zones[-1]}, {vpcs[-1]}")
        if not self.wanted.subnets and "NetworkInterfaces" not in self.wanted.properties:
            yield from self._default_vpc(vpcs)
        if zones or not self.wanted.subnets:
            yield from asked("instance type", self.region, self.wanted.type or "", lambda: self._offered(zones))
        if self.wanted.groups:
            groups = ", ".join(self.wanted.groups)
            yield from asked("security group", self.region, groups, lambda: self._groups(vpcs))

    def _default_vpc(self, vpcs: list[str]) -> Iterator[CheckRow]:
        found = self.account.call(
            self.region, "ec2", "describe_vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}]
        )["Vpcs"]
        if found:
            vpcs.append(str(found[0]["VpcId"]))
            yield self._row("subnet", "(default)", State.OK, f"of the default VPC {vpcs[0]}")
        else:
            detail = "the plan names no subnet, and the region has no default VPC"
            yield self._missing("subnet", "(default)", detail, "write SubnetId, or `aws ec2 create-default-vpc`")

    def _groups(self, vpcs: list[str]) -> Iterator[CheckRow]:
        found = []
        for id_ in self.wanted.groups:
            answer = self._call("ec2", "describe_security_groups", GroupIds=[id_])
            if answer is None or not answer["SecurityGroups"]:
                remedy = f"name a security group of {self.region} in this account"
                yield self._missing("security group", id_, f"there is no security group {id_}", remedy)
                continue
            group = answer["SecurityGroups"][0]
            found.append(group)
            if vpcs and group.get("VpcId") not in vpcs:
                detail = f"the security group {id_} is of {group.get('VpcId')}, the subnet of {', '.join(vpcs)}"
                yield self._missing("security group", id_, detail, "name a group and a subnet of one VPC")
            else:
                yield self._row("security group", id_, State.OK, f"of {group.get('VpcId')}")
        if len(found) == len(self.wanted.groups):
            yield from self._outbound(found)

    def _outbound(self, groups: Iterable[Mapping[str, Any]]) -> Iterator[CheckRow]:
        """Whether the instance may reach AWS over HTTPS: anywhere, or the endpoints of its VPC."""
        groups = list(groups)
        subject = ", ".join(str(one["GroupId"]) for one in groups)
        rules = [rule for one in groups for rule in one.get("IpPermissionsEgress", ()) if _is_https(rule)]
        if not rules:
            detail = (
                f"no security group ({subject}) lets HTTPS out (tcp {_HTTPS}), over which the instance talks to AWS"
            )
            yield self._missing("security group", subject, detail, f"allow outbound tcp {_HTTPS} in one of them")
            return
        to = {str(one.get("CidrIp") or one.get("CidrIpv6")) for rule in rules for one in _ranges(rule)}
        if to & set(_EVERYWHERE):
            yield self._row("security group", subject, State.OK, "HTTPS may go out")
            return
        vpc = str(groups[0].get("VpcId", ""))
        endpoints = self.account.call(
            self.region, "ec2", "describe_vpc_endpoints", Filters=[{"Name": "vpc-id", "Values": [vpc]}]
        )["VpcEndpoints"]
        there = {str(one["ServiceName"]).rpartition(".")[2] for one in endpoints}
        lacking = [one for one in self.wanted.services if one not in there]
        if lacking:
            detail = (
                f"HTTPS may go out to parts of the network alone, and {vpc} has no endpoint of {', '.join(lacking)}"
            )
            remedy = f"make these VPC endpoints, or allow outbound tcp {_HTTPS} to 0.0.0.0/0"
            yield self._missing("security group", subject, detail, remedy)
        else:
            yield self._row("security group", subject, State.OK, f"HTTPS may go out to the endpoints of {vpc}")


def _is_https(rule: Mapping[str, Any]) -> bool:
    protocol = str(rule.get("IpProtocol", ""))
    if protocol == "-1":
        return True
    return protocol in ("tcp", "6") and int(rule.get("FromPort", -1)) <= _HTTPS <= int(rule.get("ToPort", -1))


def _ranges(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*rule.get("IpRanges", ()), *rule.get("Ipv6Ranges", ())]
