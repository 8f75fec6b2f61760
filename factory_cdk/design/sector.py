"""The resources of one `aws` sector: an instance, what it may do, what it runs and how it says that it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from factory_cdk.bootstrap import BOOTSTRAP_LIMIT, SectorFacts, render_user_data, shared_user_data
from factory_cdk.design import policy
from factory_cdk.design.model import Asset, BotDesign, Resource
from factory_cdk.design.naming import ASSETS_BUCKET, Names
from factory_cdk.design.release import (
    bundle_asset,
    config_parameters,
    content_asset,
    created_secrets,
    install_asset,
    manifest,
    requirements_asset,
    router,
    sector_release,
)
from factory_cdk.design.values import canonical, ref, sha256, split, sub, tag_list
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.checks.alarms import ALARM_ACTIONS, ALARM_VERBS, gets_instance
from factory_cdk.plan.model import Json, Platform, StageSector
from factory_cdk.plan.names import logical

LOG_RETENTION_DAYS = 30

READY_TIMEOUT = BOOTSTRAP_LIMIT + 600
"""Seconds that CloudFormation waits for an instance: longer than the instance itself tries."""

_READ_BY_NAME = ("AWS::SSM::Parameter", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup")

USER_DATA_MAPPING = "UserData"
"""The template mapping that holds the part of the user-data that all instances of a platform share."""


class OverLimit(Exception):
    """A sector cannot be designed within a limit of AWS: the code, message and hint of the diagnostic."""

    def __init__(self, code: str, message: str, hint: str | None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True, slots=True)
class SectorParts:
    """What one sector adds to a stack."""

    resources: tuple[Resource, ...]
    assets: tuple[Asset, ...]
    release: str
    policy_size: int


def sector_parts(
    names: Names,
    sector: StageSector,
    bots: tuple[BotDesign, ...],
    tags: Mapping[str, str],
    *,
    home_region: str,
    version: str,
) -> SectorParts:
    """The resources and assets of an aws sector. `tags` are the factory's and ours, without the sector's own.

    Raises OverLimit when its user-data is larger than EC2 takes.
    """
    return _Sector(names, sector, bots, {**tags, "factory-cdk:sector": sector.name}, home_region, version).parts()


class _Sector:
    """Gathers the resources of one sector in the order in which CloudFormation makes them."""

    def __init__(
        self,
        names: Names,
        sector: StageSector,
        bots: tuple[BotDesign, ...],
        tags: Mapping[str, str],
        home_region: str,
        version: str,
    ) -> None:
        self.names = names
        self.sector = sector
        self.bots = bots
        self.tags = dict(tags)
        self.home_region = home_region
        self.id = logical(sector.name)
        self.resources: list[Resource] = []
        self.facts = SectorFacts(
            factory=names.factory,
            stage=names.stage,
            sector=sector.name,
            region=sector.region or "",
            release_parameter=names.path(sector.name, "release"),
            gate_parameter=names.path("gate"),
            parameters_path=names.path(sector.name),
            log_group=names.path(sector.name),
            version=version,
            runner=f"factory-cdk=={version}",
        )

    def parts(self) -> SectorParts:
        """Everything, the release's manifest included."""
        secret_ids = self._secrets()
        install = install_asset(self.facts, self.sector.platform)
        bundles = [asset for bot in self.bots if (asset := bundle_asset(bot.bundle))]
        locks = [asset for bot in self.bots if (asset := requirements_asset(bot.bundle))]
        routes = router(self.names, self.bots, self.home_region)
        runs = sector_release(self.names, self.sector.name, self.bots, aws=True)
        release = content_asset(canonical(manifest(runs, install, routes=routes)), ".json")
        assets = tuple({asset.key: asset for asset in (release, install, *bundles, *locks)}.values())
        statements = policy.statements(
            self.names,
            self.sector.name,
            self.bots,
            asset_keys=[asset.key for asset in assets],
            secret_ids=secret_ids,
            home_region=self.home_region,
        )
        self._role(statements)
        self._log_group()
        self._parameters(routes)
        self._instance(release)
        return SectorParts(tuple(self.resources), assets, release.sha256, len(canonical(statements)))

    def _add(self, kind: str, type_: str, properties: Mapping[str, Json], depends_on: tuple[str, ...] = ()) -> str:
        logical_id = self.id + kind
        self.resources.append(Resource(logical_id, type_, properties, depends_on, self.sector.name))
        return logical_id

    def _secrets(self) -> list[str]:
        """One secret for all bots that take the same values; made empty, filled by `build` or `secrets put`."""
        ids: list[str] = []
        made: set[str] = set()
        secrets = {bot.name: bot.secrets for bot in self.bots}
        for bot, secret in created_secrets(self.names, self.sector.name, self.bots).items():
            if secret in made:
                continue
            made.add(secret)
            values = sorted(name for name, reference in secrets[bot].items() if reference.secret is None)
            description = f"Secret values of {bot} on sector {self.sector.name}: {', '.join(values)}"
            properties = {"Name": secret, "Description": description[:2048], "Tags": tag_list(self.tags)}
            ids.append(self._add(f"Secret{logical(bot)}", "AWS::SecretsManager::Secret", properties))
        return ids

    def _role(self, statements: list[Json]) -> None:
        name = self.names.role(self.sector.name)
        document = {"Version": "2012-10-17", "Statement": statements}
        role = self._add(
            "Role",
            "AWS::IAM::Role",
            {
                "RoleName": name,
                "Description": f"The instance of sector {self.sector.name}",
                "AssumeRolePolicyDocument": policy.trust(),
                "Policies": [{"PolicyName": "sector", "PolicyDocument": document}],
                "Tags": tag_list(self.tags),
            },
        )
        self._add("InstanceProfile", "AWS::IAM::InstanceProfile", {"InstanceProfileName": name, "Roles": [ref(role)]})

    def _log_group(self) -> None:
        properties = {
            "LogGroupName": self.facts.log_group,
            "RetentionInDays": LOG_RETENTION_DAYS,
            "Tags": tag_list(self.tags),
        }
        self._add("LogGroup", "AWS::Logs::LogGroup", properties)

    def _parameters(self, routes: Json) -> None:
        for bot in self.bots:
            self._parts(f"Config{logical(bot.name)}", config_parameters(self.names, self.sector.name, bot))
        parts = enumerate(split(canonical(routes)), start=1)
        self._parts(
            "Router", {self.names.path(self.sector.name, "router", str(number)): part for number, part in parts}
        )

    def _parts(self, kind: str, parts: Mapping[str, str]) -> None:
        for number, (name, part) in enumerate(parts.items(), start=1):
            self._parameter(kind if number == 1 else f"{kind}Part{number}", name, part)

    def _parameter(self, kind: str, name: str, value: Json) -> str:
        properties = {"Name": name, "Type": "String", "Value": value, "Tags": self.tags}
        return self._add(kind, "AWS::SSM::Parameter", properties)

    def _instance(self, release: Asset) -> None:
        properties = self._instance_properties()
        # A wait condition cannot be updated: another release or other properties make another one, so that an
        # update waits for the instance as a build does.
        mark = sha256(canonical([release.sha256, properties]))[:8]
        handle = self._add(f"ReadyHandle{mark}", "AWS::CloudFormation::WaitConditionHandle", {})
        self._parameter(
            "Release",
            self.facts.release_parameter,
            sub(
                canonical(
                    {
                        "release": release.sha256,
                        "bucket": ASSETS_BUCKET,
                        "key": release.key,
                        "sha256": release.sha256,
                        "signal": f"${{{handle}}}",
                    }
                )
            ),
        )
        # The role and its profile are referred to; what the instance reads by name must be named.
        waits_for = tuple(resource.logical_id for resource in self.resources if resource.type in _READ_BY_NAME)
        instance = self._add("Instance", "AWS::EC2::Instance", properties, waits_for)
        ready = self._add(
            f"Ready{mark}",
            "AWS::CloudFormation::WaitCondition",
            {"Handle": ref(handle), "Timeout": str(READY_TIMEOUT), "Count": 1},
            (instance,),
        )
        if self.sector.alarm is not None:
            # Created last: an instance that idles while it installs must not be terminated for idling.
            self._add("Alarm", "AWS::CloudWatch::Alarm", self._alarm_properties(instance), (ready,))

    def _instance_properties(self) -> dict[str, Json]:
        given = dict(self.sector.parameters)
        tags = [*given.pop("Tags", ())]
        own = {"Name": self.names.role(self.sector.name), **self.tags}
        taken = {tag.get("Key") for tag in tags}
        options = given.pop("MetadataOptions", {})
        return {
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", **options},
            **given,
            "IamInstanceProfile": ref(f"{self.id}InstanceProfile"),
            "UserData": {"Fn::Base64": {"Fn::Join": ["", self._user_data()]}},
            "Tags": tags + [tag for tag in tag_list(own) if tag["Key"] not in taken],
        }

    def _user_data(self) -> list[Json]:
        platform = self.sector.platform
        same_for_all = shared_user_data(platform)
        try:
            text = render_user_data(self.facts, platform)
        except FactoryError as error:  # with the shared part rendered, only its size is left to refuse
            raise OverLimit("F601", error.message, error.remedy) from error
        shared = {"Fn::FindInMap": [USER_DATA_MAPPING, platform.value, "shared"]}
        return [text.removesuffix(same_for_all), shared]

    def _alarm_properties(self, instance: str) -> dict[str, Json]:
        alarm = self.sector.alarm
        properties = dict(alarm.properties) if alarm else {}
        for key in ALARM_ACTIONS:
            if key in properties:
                properties[key] = [_action(action) for action in properties[key]]
        dimensions = [{"Name": "InstanceId", "Value": ref(instance)}]
        if "Metrics" in properties:
            properties["Metrics"] = [_of_instance(metric, dimensions) for metric in properties["Metrics"]]
        elif "EvaluationCriteria" not in properties:
            properties["Dimensions"] = dimensions
        taken = {tag.get("Key") for tag in properties.get("Tags", ())}
        own = [tag for tag in tag_list(self.tags) if tag["Key"] not in taken]
        return {**properties, "Tags": [*properties.get("Tags", ()), *own]}


def _of_instance(query: Mapping[str, Json], dimensions: Json) -> Json:
    """A part of an alarm's `Metrics`, with `dimensions` where it is a metric of the instance."""
    stat = query.get("MetricStat")
    if not isinstance(stat, Mapping) or not gets_instance(stat.get("Metric")):
        return query
    return {**query, "MetricStat": {**stat, "Metric": {**stat["Metric"], "Dimensions": dimensions}}}


def _action(action: str) -> Json:
    if action in ALARM_VERBS:
        return sub(f"arn:${{AWS::Partition}}:automate:${{AWS::Region}}:ec2:{action}")
    return action


def user_data_mapping(platforms: set[Platform]) -> dict[str, Json]:
    """The `Mappings` section of a template with instances of `platforms`."""
    shared = {platform.value: {"shared": shared_user_data(platform)} for platform in sorted(platforms)}
    return {USER_DATA_MAPPING: shared}
