"""StagePlan + Bundles → StageDesign. Pure: no CDK, no boto3, no clock, no network, no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from factory_cdk.bundle import Bundle, unpacked
from factory_cdk.design.model import (
    Asset,
    BotDesign,
    QueueDesign,
    Resource,
    SectorDesign,
    StackDesign,
    StageDesign,
)
from factory_cdk.design.naming import Names
from factory_cdk.design.policy import POLICY_LIMIT
from factory_cdk.design.queues import queue_designs, queue_resources
from factory_cdk.design.sector import SectorParts, sector_parts, user_data_mapping
from factory_cdk.design.stacks import MAX_RESOURCES, MAX_TEMPLATE_BYTES, Unit, fill, too_large, unit
from factory_cdk.diagnostics import Diagnostic, PlanError, Severity
from factory_cdk.plan.model import Json, Position, SectorType, StageBot, StagePlan, StageSector
from factory_cdk.plan.stage import diagnose
from factory_cdk.version import __version__


def design_stage(
    plan: StagePlan, bundles: Mapping[str, Bundle] | None = None, *, pinned: Mapping[str, str] | None = None
) -> StageDesign:
    """The design of a stage. `bundles` are by bot name; a bot without one is designed as unpacked.

    `pinned` names the stack that a sector was in when plan.lock was written. Raises PlanError when something
    is over a limit of AWS, FactoryError when a user-data is.
    """
    return _Design(plan, bundles or {}, pinned or {}).stage()


class _Design:
    """One stage while it is designed; collects the diagnostics."""

    def __init__(self, plan: StagePlan, bundles: Mapping[str, Bundle], pinned: Mapping[str, str]) -> None:
        self.plan = plan
        self.names = Names(plan.factory, plan.name)
        self.bundles = {bot.name: bundles.get(bot.name) or unpacked(bot) for bot in plan.bots}
        self.pinned = pinned
        self.positions = {sector.name: sector.position for sector in plan.sectors}
        self.found: list[Diagnostic] = []
        self.tags = {
            **plan.tags,
            "factory-cdk:factory": plan.factory,
            "factory-cdk:stage": plan.name,
            "factory-cdk:version": __version__,
        }

    def stage(self) -> StageDesign:
        """The whole StageDesign."""
        plan = self.plan
        sectors = tuple(_sector_design(sector, self.bundles) for sector in plan.sectors)
        for bot in plan.bots:
            if not self.bundles[bot.name].packed and plan.has_aws:
                message = f"`{bot.name}` is not packed: its stacks can be reviewed, not deployed"
                self._report(bot.position, "F401", message, "run `factory-cdk pack` first")
        queues = queue_designs(self.names, sectors)
        self._check_queue_names(queues)
        stacks: tuple[StackDesign, ...] = ()
        if plan.has_aws and plan.home_region:
            queue_stacks = self._queue_stacks(queues, plan.home_region)
            region_stacks, placed = self._region_stacks(sectors, plan.home_region, queue_stacks)
            sectors = tuple(placed.get(sector.name, sector) for sector in sectors)
            stacks = (*queue_stacks, *region_stacks)
        if any(found.severity is Severity.ERROR for found in self.found):
            raise PlanError(self.found)
        return StageDesign(
            factory=plan.factory,
            stage=plan.name,
            version=__version__,
            sectors=sectors,
            queues=queues,
            stacks=stacks,
            home_region=plan.home_region,
            roots=plan.roots,
            demolish_order=plan.demolish_order,
            demolish_on_failure=plan.demolish_on_failure,
            meta=plan.meta,
            tags=plan.tags,
            diagnostics=tuple(self.found),
        )

    def _report(self, position: Position, code: str, message: str, hint: str | None = None) -> None:
        self.found.append(diagnose(self.plan.file, position, code, message, hint))

    def _check_queue_names(self, queues: Iterable[QueueDesign]) -> None:
        seen: dict[str, str] = {}
        position = self.plan.sectors[0].position
        for queue in queues:
            for name in (queue.physical_name, queue.dead_letter_name):
                if name in seen:
                    message = f"the queues `{seen[name]}` and `{queue.name}` would both be `{name}` on SQS"
                    self._report(position, "F511", message, "give one of them another `queue-name`")
                seen[name] = queue.name

    def _queue_stacks(self, queues: Iterable[QueueDesign], region: str) -> tuple[StackDesign, ...]:
        units = [unit(queue.name, queue_resources(queue, self.tags)) for queue in queues]
        return tuple(
            StackDesign(
                name=self.names.stack("queues", number),
                region=region,
                description=f"factory_cdk: the queues of stage {self.plan.name} of factory {self.plan.factory}",
                resources=tuple(resource for placed in stack.units for resource in placed.resources),
                metadata=self._metadata({"queues": {one.name: self.names.queue(one.name) for one in stack.units}}),
                tags=self.tags,
                protect=self.plan.protect,
            )
            for number, stack in enumerate(fill(units), start=1)
        )

    def _metadata(self, content: Mapping[str, Json]) -> dict[str, Json]:
        factory = {"factory": self.plan.factory, "stage": self.plan.name, "version": __version__}
        meta = {"meta": dict(self.plan.meta)} if self.plan.meta else {}
        return {"factory-cdk": {**factory, **content, **meta}}

    def _region_stacks(
        self, sectors: Iterable[SectorDesign], home_region: str, queue_stacks: tuple[StackDesign, ...]
    ) -> tuple[list[StackDesign], dict[str, SectorDesign]]:
        """The stacks of every region in the order of the plan, and the aws sectors with their stack named."""
        designs = {sector.name: sector for sector in sectors}
        parts: dict[str, SectorParts] = {}
        units: dict[str, Unit] = {}
        by_region: dict[str, list[StageSector]] = {}
        for sector in self.plan.sectors:
            if sector.type is not SectorType.AWS or sector.region is None:
                continue
            by_region.setdefault(sector.region, []).append(sector)
            bots = designs[sector.name].bots
            parts[sector.name] = sector_parts(
                self.names, sector, bots, self.tags, home_region=home_region, version=__version__
            )
            units[sector.name] = unit(sector.name, parts[sector.name].resources)
            self._check_limits(sector, parts[sector.name], units[sector.name])
        after = tuple(stack.name for stack in queue_stacks)
        stacks: list[StackDesign] = []
        placed: dict[str, SectorDesign] = {}
        for region, in_region in by_region.items():
            filled = fill([units[sector.name] for sector in in_region], self._pinned_numbers(region, in_region))
            if len(filled) > 1 and not self.pinned:
                message = f"the sectors in {region} fill {len(filled)} stacks, in the order of the plan"
                hint = "run `factory-cdk lock`, so that a change of the plan moves no sector to another stack"
                self._report(in_region[0].position, "F605", message, hint)
            for number, stack in enumerate(filled, start=1):
                if not stack.units:
                    continue
                name = self.names.stack(region, number)
                here = [sector for sector in in_region if sector.name in {unit.name for unit in stack.units}]
                for sector in here:
                    release = parts[sector.name].release
                    placed[sector.name] = replace(designs[sector.name], stack=name, release=release)
                stacks.append(
                    self._region_stack(name, region, [(one, parts[one.name]) for one in here], designs, after)
                )
        return stacks, placed

    def _pinned_numbers(self, region: str, sectors: Iterable[StageSector]) -> dict[str, int]:
        first = self.names.stack(region)
        numbers: dict[str, int] = {}
        for sector in sectors:
            stack = self.pinned.get(sector.name, "")
            number = stack.removeprefix(f"{first}-")
            if stack == first:
                numbers[sector.name] = 1
            elif stack != number and number.isdigit() and 1 < int(number) <= len(self.plan.sectors):
                numbers[sector.name] = int(number)
        return numbers

    def _region_stack(
        self,
        name: str,
        region: str,
        sectors: list[tuple[StageSector, SectorParts]],
        designs: Mapping[str, SectorDesign],
        after: tuple[str, ...],
    ) -> StackDesign:
        bots = {bot.name: bot.bundle for sector, _ in sectors for bot in designs[sector.name].bots}
        assets: dict[str, Asset] = {asset.key: asset for _, part in sectors for asset in part.assets}
        resources = tuple(resource for _, part in sectors for resource in part.resources)
        self._check_ids(resources, sectors[0][0])
        not_packed = [bot for bot, bundle in bots.items() if not bundle.packed]
        content = {
            "sectors": [sector.name for sector, _ in sectors],
            "bots": {bot: _described(bundle) for bot, bundle in bots.items()},
        }
        return StackDesign(
            name=name,
            region=region,
            description=f"factory_cdk: stage {self.plan.name} of factory {self.plan.factory} in {region}",
            resources=resources,
            mappings=user_data_mapping({sector.platform for sector, _ in sectors}),
            rules=_not_packed_rule(not_packed) if not_packed else {},
            metadata=self._metadata(content),
            tags=self.tags,
            assets=tuple(assets.values()),
            depends_on=after,
            protect=self.plan.protect,
        )

    def _check_ids(self, resources: Iterable[Resource], sector: StageSector) -> None:
        seen: set[str] = set()
        for resource in resources:
            if resource.logical_id in seen:
                message = f"two resources would have the logical id `{resource.logical_id}`"
                self._report(sector.position, "F511", message, "rename a sector or a bot")
            seen.add(resource.logical_id)

    def _check_limits(self, sector: StageSector, parts: SectorParts, whole: Unit) -> None:
        if parts.policy_size > POLICY_LIMIT:
            message = f"the role of the sector `{sector.name}` needs {parts.policy_size:,} characters of policy"
            hint = f"IAM takes {POLICY_LIMIT:,}: spread its {len(sector.bots)} bots over more sectors"
            self._report(sector.position, "F603", message, hint)
        if too_large(whole):
            message = f"the sector `{sector.name}` makes {len(whole.resources)} resources of {whole.size:,} bytes"
            hint = f"a stack takes {MAX_RESOURCES} and {MAX_TEMPLATE_BYTES:,} bytes: spread its bots over more sectors"
            self._report(sector.position, "F602", message, hint)


def _sector_design(sector: StageSector, bundles: Mapping[str, Bundle]) -> SectorDesign:
    return SectorDesign(
        name=sector.name,
        type=sector.type,
        bots=tuple(_bot_design(bot, bundles[bot.bot.name]) for bot in sector.bots),
        platform=sector.platform,
        region=sector.region,
    )


def _bot_design(stage_bot: StageBot, bundle: Bundle) -> BotDesign:
    bot = stage_bot.bot
    return BotDesign(
        name=bot.name,
        queue=stage_bot.queue,
        successors=stage_bot.successors,
        arguments=stage_bot.arguments,
        bundle=bundle,
        bot_path=bot.bot_path,
        command=bot.command,
        requirements_path=bot.requirements_path,
        subdirectory=getattr(bot.source, "subdirectory", None),
        python=stage_bot.python,
        config=stage_bot.config,
        secrets=stage_bot.secrets,
    )


def _described(bundle: Bundle) -> dict[str, Json]:
    commit = {"commit": bundle.commit} if bundle.commit else {}
    return {
        "source": bundle.origin,
        "kind": bundle.kind,
        "digest": bundle.digest,
        "packed": bundle.packed,
        **commit,
    }


def _not_packed_rule(bots: list[str]) -> dict[str, Json]:
    """A rule that always fails, so that a plain `cdk deploy` of unpacked bots is refused before it starts."""
    shown = ", ".join(bots[:20]) + (f" and {len(bots) - 20} more" if len(bots) > 20 else "")
    description = f"not packed: {shown}. Run `factory-cdk pack`, then synthesize again."
    assertion = {"Assert": {"Fn::Equals": ["packed", "not packed"]}, "AssertDescription": description}
    return {"NotPacked": {"Assertions": [assertion]}}
