"""StagePlan + Bundles → StageDesign. Pure: no CDK, no boto3, no clock, no network, no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from factory_cdk.bundle import Bundle, unpacked
from factory_cdk.design import commit, limits
from factory_cdk.design.model import (
    Asset,
    BotDesign,
    QueueDesign,
    Resource,
    SectorDesign,
    StackDesign,
    StageDesign,
)
from factory_cdk.design.naming import DEFAULT_QUALIFIER, Names
from factory_cdk.design.queues import queue_designs, queue_policy, queue_resources
from factory_cdk.design.release import bundle_asset
from factory_cdk.design.sector import OverLimit, SectorParts, Surroundings, sector_parts, user_data_mapping
from factory_cdk.design.stacks import (
    FRAME_BYTES,
    MAX_RESOURCES,
    MAX_TEMPLATE_BYTES,
    Unit,
    estimated,
    fill,
    numbers_after,
    unit,
)
from factory_cdk.design.store import store_resources
from factory_cdk.design.template import described, not_packed_rule
from factory_cdk.diagnostics import Diagnostic, PlanError, Severity
from factory_cdk.plan.model import Json, Offline, Position, SectorType, StageBot, StagePlan, StageSector
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG
from factory_cdk.plan.stage import diagnose
from factory_cdk.version import __version__
from factory_cdk.wheels import bot_target

_STORE = ""
"""The name of what the stage keeps beside its queues, where queues have theirs; it is always in the first stack."""


def design_stage(
    plan: StagePlan,
    bundles: Mapping[str, Bundle] | None = None,
    *,
    pinned: Mapping[str, str] | None = None,
    pinned_queues: Mapping[str, str] | None = None,
    generations: Mapping[str, int] | None = None,
    qualifier: str = DEFAULT_QUALIFIER,
) -> StageDesign:
    """The design of a stage. `bundles` are by bot name; a bot without one is designed as unpacked.

    `pinned` names the stack that a sector was in when plan.lock was written, `pinned_queues` that of a queue by
    the plan's name of it. `generations` are those of sectors whose instance is gone and has to be made again (1 where
    none is named), `qualifier` is that of `cdk bootstrap`. Raises PlanError when something is over a limit of AWS, or
    is text that CDK would evaluate.
    """
    return _Design(plan, bundles or {}, pinned or {}, pinned_queues or {}, generations or {}, qualifier).stage()


class _Design:
    """One stage while it is designed; collects the diagnostics."""

    def __init__(
        self,
        plan: StagePlan,
        bundles: Mapping[str, Bundle],
        pinned: Mapping[str, str],
        pinned_queues: Mapping[str, str],
        generations: Mapping[str, int],
        qualifier: str,
    ) -> None:
        self.plan = plan
        self.names = Names(plan.factory, plan.name)
        self.bundles = {bot.name: bundles.get(bot.name) or unpacked(bot) for bot in plan.bots}
        self.pinned = pinned
        self.pinned_queues = pinned_queues
        self.generations = generations
        self.qualifier = qualifier
        self.positions = {sector.name: sector.position for sector in plan.sectors}
        self.found: list[Diagnostic] = []
        # Not the version: tags of a stack go to its resources, and another version alone shall change none of them.
        self.tags = {**plan.tags, FACTORY_TAG: plan.factory, STAGE_TAG: plan.name}

    def stage(self) -> StageDesign:
        """The whole StageDesign."""
        plan = self.plan
        sectors = tuple(_sector_design(sector, self.bundles) for sector in plan.sectors)
        queues = queue_designs(self.names, sectors)
        stacks: tuple[StackDesign, ...] = ()
        if plan.home_region:
            self._report(limits.check_texts(plan, self.bundles))
            self._report(limits.check_alarm_names(plan))
            unpacked_bots = self._unpacked()
            queue_stacks, queues = self._queue_stacks(queues, plan.home_region, unpacked_bots)
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
            qualifier=self.qualifier,
            history=self.names.table() if plan.home_region and plan.jobs.history else None,
            payloads=self.names.payload_bucket(plan.home_region) if plan.home_region else None,
            runs=plan.runs,
            pools=plan.pools,
        )

    def _report(self, problems: Iterable[limits.Problem]) -> None:
        for problem in problems:
            self.found.append(diagnose(self.plan.file, problem.position, problem.code, problem.message, problem.hint))

    def _warn(self, position: Position, code: str, message: str, hint: str) -> None:
        self._report([limits.Problem(position, code, message, hint)])

    def _unpacked(self) -> list[str]:
        """The bots of aws sectors that are not packed, each with a warning."""
        on_instances = {
            bot.bot.name: bot.bot
            for sector in self.plan.sectors
            if sector.type is SectorType.AWS
            for bot in sector.bots
        }
        found = [bot for bot in on_instances.values() if bundle_asset(self.bundles[bot.name]) is None]
        for bot in found:
            message = f"`{bot.name}` is not packed: its stacks can be reviewed but not deployed"
            self._warn(bot.position, "F401", message, "run `factory-cdk pack` first")
        return [bot.name for bot in found]

    def _queue_stacks(
        self, queues: tuple[QueueDesign, ...], region: str, unpacked_bots: list[str]
    ) -> tuple[tuple[StackDesign, ...], tuple[QueueDesign, ...]]:
        """The stacks of the queues, and the queues with their stack named.

        These stacks too are refused while a bot is unpacked, so that nothing is deployed.
        """
        shown = {queue.name: {"name": queue.name, "queue": queue.physical_name} for queue in queues}
        jobs = self.plan.jobs
        store = unit(_STORE, tuple(store_resources(self.names, region, jobs, self.tags)))
        units = [store]
        for queue in queues:
            made = queue_resources(queue, self.tags, jobs)
            said = [
                shown[queue.name],
                *([one.logical_id for one in made] for _ in range(3)),
            ]  # the policy and the gates
            units.append(unit(queue.name, made, said))
        pinned = {**numbers_after(self.names.stack("queues"), self.pinned_queues), _STORE: 1}
        filled = fill(units, pinned, overhead=self._overhead(), reserved=1 + commit.RESOURCES)
        stack_of = {one.name: self.names.stack("queues", number) for number, here in filled.items() for one in here}
        stacks = tuple(
            StackDesign(
                name=self.names.stack("queues", number),
                region=region,
                description=f"factory_cdk: the queues of stage {self.plan.name} of factory {self.plan.factory}",
                resources=_gated(_with_policy(resource for one in placed_units for resource in one.resources)),
                parameters=commit.commit_parameters(),
                conditions=commit.commit_conditions(),
                rules=not_packed_rule(unpacked_bots),
                metadata=self._metadata({"queues": [shown[one.name] for one in placed_units if one.name != _STORE]}),
                tags=self.tags,
                protect=self.plan.protect,
            )
            for number, placed_units in filled.items()
        )
        return stacks, tuple(replace(queue, stack=stack_of[queue.name]) for queue in queues)

    def _metadata(self, content: Mapping[str, Json]) -> dict[str, Json]:
        factory = {"factory": self.plan.factory, "stage": self.plan.name, "version": __version__}
        meta = {"meta": dict(self.plan.meta)} if self.plan.meta else {}
        return {"factory-cdk": {**factory, **content, **meta}}

    def _overhead(self, mappings: Json = None) -> int:
        """The bytes of a template that has no resources yet."""
        return FRAME_BYTES + estimated([self._metadata({}), mappings])

    def _region_stacks(
        self, sectors: Iterable[SectorDesign], home_region: str, queue_stacks: tuple[StackDesign, ...]
    ) -> tuple[list[StackDesign], dict[str, SectorDesign]]:
        """The stacks of every region in the order of the plan, and the aws sectors with their stack named."""
        designs = {sector.name: sector for sector in sectors}
        by_region: dict[str, list[StageSector]] = {}
        for sector in self.plan.sectors:
            if sector.type is SectorType.AWS and sector.region is not None:
                by_region.setdefault(sector.region, []).append(sector)
        after = tuple(stack.name for stack in queue_stacks)
        stacks: list[StackDesign] = []
        placed: dict[str, SectorDesign] = {}
        for region, in_region in by_region.items():
            overhead = self._overhead(user_data_mapping({sector.platform for sector in in_region}))
            first = self.names.stack(region)
            numbers = numbers_after(first, self.pinned)
            guesses = numbers if numbers else self._guessed(in_region, designs, home_region, overhead)
            parts = self._parts(in_region, designs, home_region, guesses)
            units = {name: self._unit(name, part, designs[name]) for name, part in parts.items()}
            for sector in in_region:
                if sector.name in units:
                    self._check_limits(sector, parts[sector.name], units[sector.name], overhead, designs)
            filled = fill(list(units.values()), numbers, overhead=overhead, reserved=commit.RESOURCES)
            found = {one.name: number for number, here in filled.items() for one in here}
            moved = [one for one in in_region if found.get(one.name, 1) != guesses.get(one.name, 1)]
            parts |= self._parts(moved, designs, home_region, found)
            if len(filled) > 1 and not self.pinned:
                message = (
                    f"the sectors in {region} need {len(filled)} stacks, and no plan.lock says which sector is in which"
                )
                hint = "run `factory-cdk lock`: else a change of the plan can move a sector to another stack"
                self._warn(in_region[0].position, "F605", message, hint)
            by_name = {sector.name: sector for sector in in_region}
            for number, here in filled.items():
                name = self.names.stack(region, number)
                for one in here:
                    part = parts[one.name]
                    placed[one.name] = replace(
                        designs[one.name], stack=name, release=part.release, place=part.place, instance=part.instance
                    )
                here_parts = [(by_name[one.name], parts[one.name]) for one in here]
                stacks.append(self._region_stack(name, region, here_parts, designs, after))
        return stacks, placed

    def _guessed(
        self,
        sectors: list[StageSector],
        designs: Mapping[str, SectorDesign],
        home_region: str,
        overhead: int,
    ) -> dict[str, int]:
        """In which stack each of `sectors` will probably be: as if all were as large as the first. What is guessed
        wrong is designed again, which costs as much as designing it.
        """
        first = sectors[0]
        stage = Surroundings(self.names, self.tags, home_region, self.plan.jobs, self.qualifier)
        try:
            part = sector_parts(stage, first, designs[first.name].bots)
        except OverLimit:  # it is reported when it is designed
            return {}
        one = self._unit(first.name, part, designs[first.name])
        each = max(
            1,
            min((MAX_RESOURCES - commit.RESOURCES) // len(one.resources), (MAX_TEMPLATE_BYTES - overhead) // one.size),
        )
        return {sector.name: 1 + place // each for place, sector in enumerate(sectors)}

    def _parts(
        self,
        sectors: Iterable[StageSector],
        designs: Mapping[str, SectorDesign],
        home_region: str,
        numbers: Mapping[str, int],
    ) -> dict[str, SectorParts]:
        """What each sector adds to its stack (`numbers`, 1 where none is named); one that is over a limit is reported
        and left out.
        """
        parts: dict[str, SectorParts] = {}
        stage = Surroundings(self.names, self.tags, home_region, self.plan.jobs, self.qualifier)
        for sector in sectors:
            bots = designs[sector.name].bots
            try:
                number, generation = numbers.get(sector.name, 1), self.generations.get(sector.name, 1)
                parts[sector.name] = sector_parts(stage, sector, bots, number=number, generation=generation)
            except OverLimit as over:
                self._report([limits.Problem(sector.position, over.code, over.message, over.hint)])
        return parts

    def _unit(self, name: str, parts: SectorParts, design: SectorDesign) -> Unit:
        made = unit(name, parts.resources, [described(bot.bundle) for bot in design.bots])
        # The names of its parameters grow by the number of the stack that it may be put into.
        return replace(made, size=made.size + 8 * (len(made.resources) + 16))

    def _check_limits(
        self,
        sector: StageSector,
        parts: SectorParts,
        whole: Unit,
        overhead: int,
        designs: Mapping[str, SectorDesign],
    ) -> None:
        bots = designs[sector.name].bots
        self._report(limits.check_config(sector, bots))
        self._report(limits.check_policy(sector, bots, parts.policy_size))
        self._report(limits.check_unit(sector, whole, overhead, estimated(self.plan.meta)))

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
        self._report(limits.check_ids(resources, self.positions))
        content = {
            "sectors": [sector.name for sector, _ in sectors],
            "bots": [described(bundle) for bundle in bots.values()],
            **_elsewhere(sector for sector, _ in sectors),
        }
        return StackDesign(
            name=name,
            region=region,
            description=f"factory_cdk: stage {self.plan.name} of factory {self.plan.factory} in {region}",
            resources=(*resources, *commit.commit_resources([part.last for _, part in sectors])),
            parameters=commit.commit_parameters(),
            conditions=commit.commit_conditions(),
            mappings=user_data_mapping({sector.platform for sector, _ in sectors}),
            rules=not_packed_rule([bot for bot, bundle in bots.items() if bundle_asset(bundle) is None]),
            metadata=self._metadata(content),
            tags=self.tags,
            assets=tuple(assets.values()),
            depends_on=after,
            protect=self.plan.protect,
        )


def _with_policy(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """`resources` and the policy of the queues among them."""
    whole = tuple(resources)
    queues = [one for one in whole if one.type == "AWS::SQS::Queue"]
    return (*whole, queue_policy(queues)) if queues else whole


def _gated(resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """`resources` and the gates that wait for all of them."""
    return (*resources, *commit.commit_resources([one.logical_id for one in resources]))


def _elsewhere(sectors: Iterable[StageSector]) -> dict[str, Json]:
    """Where the instances of `sectors` could be, for who builds: in a list, since CloudFormation evaluates keys."""
    found = [
        {"sector": sector.name, "in_order": list(sector.options.availability)}
        for sector in sectors
        if sector.options.availability
    ]
    return {"availability": found} if found else {}


def _sector_design(sector: StageSector, bundles: Mapping[str, Bundle]) -> SectorDesign:
    return SectorDesign(
        name=sector.name,
        type=sector.type,
        bots=tuple(_bot_design(bot, bundles[bot.bot.name], sector.options.offline) for bot in sector.bots),
        platform=sector.platform,
        region=sector.region,
    )


def _bot_design(stage_bot: StageBot, bundle: Bundle, offline: Offline | None) -> BotDesign:
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
        target=bot_target(offline, stage_bot.python) if offline is not None else None,
        python_build=offline.build.sha256 if offline is not None and offline.build is not None else None,
    )
