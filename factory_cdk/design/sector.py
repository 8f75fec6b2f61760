"""The resources of one `aws` sector: an instance, what it may do, what it runs and how it says that it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from factory_cdk.bootstrap import BOOTSTRAP_LIMIT, SectorFacts, render_user_data, shared_user_data
from factory_cdk.design import policy
from factory_cdk.design.instance import is_at_boot, launched
from factory_cdk.design.model import Asset, BotDesign, Resource
from factory_cdk.design.naming import Names, assets_bucket, placed
from factory_cdk.design.release import (
    bundle_asset,
    config_parameters,
    content_asset,
    created_secrets,
    manifest,
    requirements_asset,
    router,
    runner_assets,
    sector_release,
    wheel_assets,
)
from factory_cdk.design.store import kept
from factory_cdk.design.values import canonical, literal, ref, sha256, sub, tag_list
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.checks.alarms import ALARM_ACTIONS, ALARM_VERBS, gets_instance
from factory_cdk.plan.model import JobStore, Json, Platform, StageSector
from factory_cdk.plan.names import logical

READY_TIMEOUT = BOOTSTRAP_LIMIT + 600
"""Seconds that CloudFormation waits until an instance has installed its release: longer than the instance tries."""

BOOTED_TIMEOUT = 900
"""Seconds that CloudFormation waits until an instance has read its release: one that reaches no AWS service, or has no
Python and gets none, says nothing, and shall not be waited for as long as one that installs."""

_KEPT = ("AWS::SecretsManager::Secret", "AWS::Logs::LogGroup")

_READ_BY_NAME = ("AWS::SSM::Parameter", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup")

DOES_ACT = "factory-cdk:acts"
"""The tag of an alarm that is never turned on; its value is `false`."""

USER_DATA_MAPPING = "UserData"
"""The template mapping that holds the part of the user-data that all instances of a platform share."""


class OverLimit(Exception):
    """A sector cannot be designed within a limit of AWS: the code, message and hint of the diagnostic."""

    def __init__(self, code: str, message: str, hint: str | None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True, slots=True)
class SectorParts:
    """What one sector adds to a stack. `policy_size` is in characters as IAM counts them, `instance` the logical id of
    its instance, `place` what names have for it (`naming.placed`), `last` the logical id of what is made last.
    """

    resources: tuple[Resource, ...]
    assets: tuple[Asset, ...]
    release: str
    policy_size: int
    instance: str
    place: str
    last: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the sectors of a stage have in common. `tags` are the factory's and ours, without a sector's own; the queues
    are in `home_region`; `qualifier` is that of `cdk bootstrap`.
    """

    names: Names
    tags: Mapping[str, str]
    home_region: str
    jobs: JobStore
    qualifier: str


def sector_parts(
    stage: Surroundings, sector: StageSector, bots: tuple[BotDesign, ...], *, number: int = 1, generation: int = 1
) -> SectorParts:
    """The resources and assets of an aws sector in the stack `number` of its region.

    Another `generation` makes another instance: an unchanged template would not make one again that its alarm has
    terminated. Raises OverLimit when its user-data is larger than EC2 takes.
    """
    return _Sector(stage, sector, bots, number, generation).parts()


class _Sector:
    """Gathers the resources of one sector in the order in which CloudFormation makes them."""

    def __init__(
        self, stage: Surroundings, sector: StageSector, bots: tuple[BotDesign, ...], number: int, generation: int
    ) -> None:
        self.stage = stage
        self.names = names = stage.names
        self.sector = sector
        self.bots = bots
        self.tags = {**stage.tags, "factory-cdk:sector": sector.name}
        self.generation = generation
        self.id = logical(sector.name)
        self.place = place = placed(sector.name, number)
        self.bucket = assets_bucket(stage.qualifier)
        self.resources: list[Resource] = []
        self.alarm_name = self._alarm_name()
        self.facts = SectorFacts(
            factory=names.factory,
            stage=names.stage,
            sector=sector.name,
            region=sector.region or "",
            release_parameter=names.path(place, "release"),
            gate_parameter=names.path("gate"),
            parameters_path=names.path(place),
            log_group=names.path(place),
        )

    def parts(self) -> SectorParts:
        """Everything, the release's manifest included."""
        secrets = self._secrets()
        runner = runner_assets(self.sector.platform, self.sector.options.offline)
        bundles = [asset for bot in self.bots if (asset := bundle_asset(bot.bundle))]
        locks = [asset for bot in self.bots if (asset := requirements_asset(bot.bundle))]
        wheels = [asset for bot in self.bots for asset in wheel_assets(bot)]
        options = self.sector.options
        content = manifest(
            sector_release(self.names, self.sector.name, self.bots, aws=True, place=self.place),
            runner,
            routes=router(self.names, self.bots, self.stage.home_region),
            logs={
                "group": self.facts.log_group,
                "boot": self.names.boot_log(),
                "retention": options.log_retention,
            },
            availability=list(options.availability),
        )
        release = content_asset(canonical(content), ".json")
        assets = tuple({asset.key: asset for asset in (release, *runner.assets, *bundles, *locks, *wheels)}.values())
        reach = policy.Reach(
            place=self.place,
            region=self.sector.region or "",
            home_region=self.stage.home_region,
            bucket=self.bucket,
            asset_keys=tuple(asset.key for asset in assets),
            secrets=secrets,
            alarm=self.alarm_name,
            history=self.stage.jobs.history,
            session_manager=options.session_manager,
        )
        policies = self._role(policy.statements(self.names, self.bots, reach))
        self._log_group()
        for bot in self.bots:
            self._parts(f"Config{logical(bot.name)}", config_parameters(self.names, self.place, bot))
        instance = self._instance(release)
        size = policy.resolved_size([one["PolicyDocument"] for one in policies], reach)
        last = self.resources[-1].logical_id
        return SectorParts(tuple(self.resources), assets, release.sha256, size, instance, self.place, last)

    def _add(self, kind: str, type_: str, properties: Mapping[str, Json], depends_on: tuple[str, ...] = ()) -> str:
        logical_id = self.id + kind
        made = Resource(logical_id, type_, properties, depends_on, self.sector.name)
        self.resources.append(kept(made) if type_ in _KEPT else made)
        return logical_id

    def _secrets(self) -> dict[str, str]:
        """One secret for all bots that take the same values; made empty, filled by `build` or `secrets put`. Their
        names by their logical ids, which say what is in them, too: another bot alone makes no other secret.
        """
        users: dict[str, list[BotDesign]] = {}
        created = created_secrets(self.names, self.place, self.bots)
        for bot in self.bots:
            if bot.name in created:
                users.setdefault(created[bot.name], []).append(bot)
        ids: dict[str, str] = {}
        for name, bots in users.items():
            values = sorted(key for key, reference in bots[0].secrets.items() if reference.secret is None)
            description = f"Secret values on sector {self.sector.name}: {', '.join(values)}"
            properties = {"Name": name, "Description": description[:2048], "Tags": tag_list(self.tags)}
            kind = f"Secret{name.rpartition('/')[2]}"
            ids[self._add(kind, "AWS::SecretsManager::Secret", properties)] = name
        return ids

    def _role(self, statements: list[Json]) -> list[Json]:
        """Add the role and its profile; its inline policies."""
        name = self.names.role(self.place, self.sector.region or "")
        options = self.sector.options
        policies = [{"PolicyName": "sector", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}]
        given = [one for one in options.policies if isinstance(one, Mapping)]
        if given:
            policies.append(
                {"PolicyName": policy.PLAN_POLICY, "PolicyDocument": {"Version": "2012-10-17", "Statement": given}}
            )
        managed = [one for one in options.policies if isinstance(one, str)]
        boundary = options.permissions_boundary
        role = self._add(
            "Role",
            "AWS::IAM::Role",
            {
                "RoleName": name,
                "Description": f"The instance of sector {self.sector.name}",
                "AssumeRolePolicyDocument": policy.trust(name if policy.gives_credentials(self.bots) else None),
                **({"ManagedPolicyArns": managed} if managed else {}),
                **({"PermissionsBoundary": boundary} if boundary else {}),
                "Policies": policies,
                "Tags": tag_list(self.tags),
            },
        )
        self._add("InstanceProfile", "AWS::IAM::InstanceProfile", {"InstanceProfileName": name, "Roles": [ref(role)]})
        return policies

    def _log_group(self) -> None:
        properties = {
            "LogGroupName": self.facts.log_group,
            "RetentionInDays": self.sector.options.log_retention,
            "Tags": tag_list(self.tags),
        }
        self._add("LogGroup", "AWS::Logs::LogGroup", properties)

    def _parts(self, kind: str, parts: Mapping[str, str]) -> None:
        for number, (name, part) in enumerate(parts.items(), start=1):
            self._parameter(kind if number == 1 else f"{kind}Part{number}", name, part)

    def _parameter(self, kind: str, name: str, value: Json) -> str:
        properties = {"Name": name, "Type": "String", "Value": value, "Tags": self.tags}
        return self._add(kind, "AWS::SSM::Parameter", properties)

    def _instance(self, release: Asset) -> str:
        """Add the instance, what it waits for and what waits for it; its logical id."""
        user_data = self._user_data()
        properties = self._instance_properties(user_data)
        options = self.sector.options
        profile = {"IamInstanceProfile": ref(f"{self.id}InstanceProfile")}
        # What is rendered, and not the reference to it in the mapping: another text stops and starts the instance.
        rendered = {**properties, "UserData": [user_data[0], _shared_digest(self.sector.platform)]}
        boot = sha256(canonical([self.generation, options.spot, is_at_boot(rendered)]))[:8]
        instance_id, launch = launched(rendered, self.id, self.generation, spot=options.spot)
        said = {
            "release": release.sha256,
            "bucket": self.bucket,
            "key": release.key,
            "sha256": release.sha256,
            **({"history": self.names.table()} if self.stage.jobs.history else {}),
            "payloads": self.names.payload_bucket(self.stage.home_region),
            "keep_days": self.stage.jobs.days,
            **({"alarm": literal(self.alarm_name)} if self.alarm_name and self._acts() else {}),
        }
        # A wait condition cannot be updated: there is another one whenever the instance has to do something again, so
        # that an update waits as a build does, and none where it has nothing to do. Another tag is nothing to do.
        ready = sha256(canonical([boot, said]))[:8]
        booted = self._add(f"BootedHandle{boot}", "AWS::CloudFormation::WaitConditionHandle", {})
        handle = self._add(f"ReadyHandle{ready}", "AWS::CloudFormation::WaitConditionHandle", {})
        said |= {"booted": f"${{{booted}}}", "signal": f"${{{handle}}}"}
        self._parameter("Release", self.facts.release_parameter, sub(canonical(said)))
        if launch is not None:
            template = self._add("LaunchTemplate", "AWS::EC2::LaunchTemplate", {"LaunchTemplateData": launch})
            version = {"Fn::GetAtt": [template, "LatestVersionNumber"]}
            profile["LaunchTemplate"] = {"LaunchTemplateId": ref(template), "Version": version}
        # The role and its profile are referred to; what the instance reads by name must be named.
        waits_for = tuple(resource.logical_id for resource in self.resources if resource.type in _READ_BY_NAME)
        kind = instance_id.removeprefix(self.id)
        instance = self._add(kind, "AWS::EC2::Instance", {**properties, **profile}, waits_for)
        up = self._wait(f"Booted{boot}", booted, BOOTED_TIMEOUT, instance)
        done = self._wait(f"Ready{ready}", handle, READY_TIMEOUT, up)
        if self.sector.alarm is not None:
            # Created last: an instance that idles while it installs must not be terminated for idling. CloudWatch
            # looks at what was measured before the alarm existed, so it does not act until the instance says so.
            self._add("Alarm", "AWS::CloudWatch::Alarm", self._alarm_properties(instance), (done,))
        return instance

    def _wait(self, kind: str, handle: str, seconds: int, after: str) -> str:
        properties = {"Handle": ref(handle), "Timeout": str(seconds), "Count": 1}
        return self._add(kind, "AWS::CloudFormation::WaitCondition", properties, (after,))

    def _instance_properties(self, user_data: list[str]) -> dict[str, Json]:
        """All but the profile and the launch template."""
        given = in_order(self.sector.parameters, self.sector.options.availability)
        tags = [*given.pop("Tags", ())]
        own = {"Name": self.names.instance(self.sector.name), **self.tags}
        taken = {tag.get("Key") for tag in tags}
        options = given.pop("MetadataOptions", {})
        text, platform = user_data[0], self.sector.platform
        shared = {"Fn::FindInMap": [USER_DATA_MAPPING, platform.value, "shared"]}
        return {
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", **options},
            "PropagateTagsToVolumeOnCreation": True,
            **given,
            "UserData": {"Fn::Base64": {"Fn::Join": ["", [text, shared]]}},
            "Tags": tags + [tag for tag in tag_list(own) if tag["Key"] not in taken],
        }

    def _user_data(self) -> list[str]:
        """The sector's own part of the user-data, and the part that all sectors of its platform share."""
        platform = self.sector.platform
        same_for_all = shared_user_data(platform)
        try:
            text = render_user_data(self.facts, platform)
        except FactoryError as error:  # with the shared part rendered, only its size is left to refuse
            raise OverLimit("F601", error.message, error.remedy) from error
        return [text.removesuffix(same_for_all), same_for_all]

    def _acts(self) -> bool:
        """Whether the sector's alarm shall act at all."""
        said = self.sector.alarm.properties.get("ActionsEnabled", True) if self.sector.alarm else False
        return str(said).lower() != "false"

    def _alarm_name(self) -> str | None:
        """The name of the sector's alarm: the plan's, else ours, so that the role may be allowed to switch it."""
        alarm = self.sector.alarm
        return None if alarm is None else str(alarm.properties.get("AlarmName") or self.names.instance(self.place))

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
        said = {} if self._acts() else {DOES_ACT: "false"}  # so that whoever looks at it knows
        own = [tag for tag in tag_list({**self.tags, **said}) if tag["Key"] not in taken]
        return {
            **properties,
            "AlarmName": self.alarm_name,
            "ActionsEnabled": False,
            "Tags": [*properties.get("Tags", ()), *own],
        }


@cache
def _shared_digest(platform: Platform) -> str:
    return sha256(shared_user_data(platform))


def in_order(parameters: Mapping[str, Json], availability: tuple[str, ...]) -> dict[str, Json]:
    """`parameters` with the first subnet and the first instance type of `availability` in them."""
    found = dict(parameters)
    subnets = [one for one in availability if is_subnet(one)]
    types = [one for one in availability if not is_subnet(one)]
    if types:
        found["InstanceType"] = types[0]
    interfaces = found.get("NetworkInterfaces")
    if subnets and interfaces:
        found["NetworkInterfaces"] = [{**interfaces[0], "SubnetId": subnets[0]}, *interfaces[1:]]
    elif subnets:
        found["SubnetId"] = subnets[0]
    return found


def is_subnet(text: str) -> bool:
    """Whether an entry of `availability` is a subnet; else it is an instance type."""
    return text.startswith("subnet-")


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
