"""What a deployed stage is: its sectors, their bots, its queues and stores, as its stacks and their releases say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from factory_cdk.agent.aws import Aws, AwsError, asking
from factory_cdk.agent.fetching import MOST_PARAMETERS
from factory_cdk.agent.locations import DAY
from factory_cdk.agent.manifest import Manifest, fetch_manifest
from factory_cdk.agent.release import ReleasePointer, pointer_from_text
from factory_cdk.deploy.finding import DeployedStage
from factory_cdk.deploy.refusals import remedy_of
from factory_cdk.deploy.stacks import StackNow
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX
from factory_cdk.diagnostics import FactoryError
from factory_cdk.install.pool_specs import remote_pool_specs
from factory_cdk.plan.model import Json
from factory_cdk.queues.opening import QueueNames, SqsLocation
from factory_cdk.state.stage_instances import RemoteSector, StageInstances

AT_ONCE = 16
"""Requests that are under way at the same time."""

RELEASE = "/release"
"""How the names of release parameters end."""

_NOT_THERE = ("ValidationError", "NoSuchKey", "NoSuchBucket")
"""What AWS says of a stack, an object and a bucket that do not exist."""

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class StageContent:
    """The instances and the queues of a stage, None where no release of it can be read, and what cannot be read.
    `refusal` is the first answer that AWS did not give, of what may well be there.
    """

    instances: StageInstances | None
    queues: SqsLocation | None
    problems: tuple[str, ...] = ()
    refusal: FactoryError | None = None


@dataclass(frozen=True, slots=True)
class _Template:
    """What is needed of a stack's template: the names of the release parameters, and of the stage's queues in SQS by
    the plan's names.
    """

    stack: StackNow
    releases: tuple[str, ...]
    queues: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Release:
    region: str
    pointer: ReleasePointer
    manifest: Manifest


def read_content(stage: DeployedStage, aws: Callable[[str], Aws]) -> StageContent:
    """What `stage` is; `aws` has the services of a region. What cannot be read is among its problems."""
    reading = _Reading(aws)
    with ThreadPoolExecutor(AT_ONCE, "reading") as pool:
        templates = reading.each(pool, "cloudformation:GetTemplate", reading.template, stage.stacks)
        named = [(one.stack.region, one.releases) for one in templates if one.releases]
        pointers = [
            found for several in reading.each(pool, "ssm:GetParameters", reading.pointers, named) for found in several
        ]
        releases = reading.each(pool, "s3:GetObject", reading.release, pointers)
    if not releases:
        return StageContent(None, None, tuple(reading.problems), reading.refusal)
    home = str(releases[0].manifest.routes["region"])
    releases.sort(key=lambda one: one.region != home)  # usually that of the plan's first sector
    stores = releases[0].pointer.stores
    queues = {name: queue for template in templates for name, queue in template.queues.items()}
    location = SqsLocation(
        region=home,
        queues={
            **_routed(releases),
            **{name: QueueNames(queue, queue + DEAD_LETTER_SUFFIX) for name, queue in queues.items()},
        },
        bucket=stores.get("payloads", ""),
        table=stores.get("history"),
        keep=float(stores.get("keep_days", 14)) * DAY,
    )
    instances = StageInstances(
        region=home,
        table=stores.get("history"),
        sectors=tuple(
            RemoteSector(one.manifest.release.sector, one.region, one.manifest.log_group) for one in releases
        ),
        pool_specs=tuple(spec for one in releases for spec in remote_pool_specs(one.manifest.release)),
    )
    return StageContent(instances, location, tuple(reading.problems), reading.refusal)


class _Reading:
    """What is read of one stage, and the problems with that."""

    def __init__(self, aws: Callable[[str], Aws]) -> None:
        self._aws = aws
        self.problems: list[str] = []
        self.refusal: FactoryError | None = None

    def each(
        self, pool: ThreadPoolExecutor, action: str, read: Callable[[_Item], _Found], items: Iterable[_Item]
    ) -> list[_Found]:
        """What `read` finds of each of `items`; what it does not is a problem. It needs the permission `action`."""

        def tried(item: _Item) -> _Found | FactoryError:
            try:
                return read(item)
            except FactoryError as error:
                return error

        answers = list(pool.map(tried, items))
        for one in answers:
            if isinstance(one, FactoryError):
                self.problems.append(one.message)
            if isinstance(one, AwsError) and one.code not in _NOT_THERE:
                self.refusal = self.refusal or FactoryError(one.message, remedy_of(one.code, action))
        return [one for one in answers if not isinstance(one, FactoryError)]

    def template(self, stack: StackNow) -> _Template:
        """The template of `stack`. FactoryError."""
        with asking(f"the template of stack {stack.name} ({stack.region})"):
            client = self._aws(stack.region).client("cloudformation")
            said = client.get_template(StackName=stack.id or stack.name)["TemplateBody"]
        try:
            parameters = [one for one in said["Resources"].values() if one["Type"] == "AWS::SSM::Parameter"]
            names = [str(one["Properties"]["Name"]) for one in parameters]
            queues = said.get("Metadata", {}).get("factory-cdk", {}).get("queues", [])
            return _Template(
                stack,
                tuple(name for name in names if name.endswith(RELEASE)),
                {str(one["name"]): str(one["queue"]) for one in queues},
            )
        except (AttributeError, LookupError, TypeError) as error:
            raise FactoryError(f"the template of stack {stack.name} ({stack.region}) is none of factory-cdk") from error

    def pointers(self, named: tuple[str, Sequence[str]]) -> list[tuple[str, ReleasePointer]]:
        """The region and what the parameter says of each release that is there. FactoryError."""
        region, names = named
        found: dict[str, str] = {}
        for start in range(0, len(names), MOST_PARAMETERS):
            with asking(f"the releases in {region}"):
                answer = self._aws(region).client("ssm").get_parameters(Names=[*names[start : start + MOST_PARAMETERS]])
            found |= {one["Name"]: one["Value"] for one in answer["Parameters"]}
        try:
            return [(region, pointer_from_text(found[name])) for name in names if name in found]
        except ValueError as error:
            raise FactoryError(f"a release in {region} cannot be read: {error}") from error

    def release(self, found: tuple[str, ReleasePointer]) -> _Release:
        """The manifest that a release names. FactoryError."""
        region, pointer = found
        return _Release(region, pointer, fetch_manifest(self._aws(region), pointer))


def _routed(releases: Iterable[_Release]) -> dict[str, QueueNames]:
    """The queues that the routes of `releases` name: all that is known where the queues' stacks were not read."""
    own: dict[str, QueueNames] = {}
    others: dict[str, QueueNames] = {}
    for one in releases:
        routes: Json = one.manifest.routes["bots"]
        for bot in one.manifest.release.bots:
            route = routes[bot.name]
            own[bot.queue] = QueueNames(route["queue"], route["dead_letters"])
            for successor, said in zip(bot.successors, route["successors"], strict=True):
                others[successor.queue] = QueueNames(said["queue"])
    return {**others, **own}
