"""A StageDesign as a side of a review."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Container, Mapping
from pathlib import Path

from factory_cdk.bundle import Bundle, without_credentials
from factory_cdk.design.model import BotDesign, SectorDesign, StackDesign, StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.release import sector_release
from factory_cdk.design.stacks import estimated
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.sources.code import code_of_folder
from factory_cdk.plan.model import Bot, GitSource, PathSource, Plan, SectorType
from factory_cdk.plan.yaml.nodes import Node
from factory_cdk.review.lines import lines_of
from factory_cdk.review.resources import is_kept
from factory_cdk.review.sides.side import CodeSide, QueueSide, SectorBot, SectorSide, StackSide, StageSide


def side_of_design(
    plan: Plan, design: StageDesign, root: Node | None = None, outside: Container[str] = ()
) -> StageSide:
    """`design`, which is that of a stage of `plan`, to be compared; `root` is the plan's text as a tree. The folders of
    the bots `outside` are not read.
    """
    names = Names(design.factory, design.stage)
    lines = {sector.name: sector.position.line for sector in plan.stages[design.stage].sectors}
    bots = {bot.name: bot for sector in design.sectors for bot in sector.bots}
    edges = {
        (bot.name, successor.bot): None
        for sector in design.sectors
        for bot in sector.bots
        for successor in bot.successors
    }
    kept = {one.properties.get("QueueName") for stack in design.stacks for one in stack.resources if is_kept(one)}
    return StageSide(
        name=design.stage,
        factory=design.factory,
        version=design.version,
        sectors={sector.name: _sector(names, sector, lines.get(sector.name)) for sector in design.sectors},
        queues={
            queue.name: QueueSide(
                queue.name, queue.physical_name, queue.visibility_timeout, queue.stack, queue.physical_name in kept
            )
            for queue in design.queues
        },
        stacks={stack.name: _stack(stack) for stack in design.stacks},
        edges=tuple(edges),
        roots=design.roots,
        code={name: _code(plan.bots[name], bot, read=name not in outside) for name, bot in bots.items()},
        demolish_on_failure=design.demolish_on_failure,
        line_of=lines_of(root, design.stage) if root is not None else lambda sector, what: None,
    )


def _sector(names: Names, sector: SectorDesign, line: int | None) -> SectorSide:
    aws = sector.type is SectorType.AWS
    release = sector_release(names, sector.name, sector.bots, aws=aws, place=sector.place)
    return SectorSide(
        name=sector.name,
        type=str(sector.type),
        bots={
            one.name: SectorBot(one, bot.config, bot.secrets)
            for one, bot in zip(release.bots, sector.bots, strict=True)
        },
        platform=str(sector.platform),
        region=sector.region,
        stack=sector.stack,
        line=line,
    )


def _stack(stack: StackDesign) -> StackSide:
    sections = [stack.metadata, stack.mappings, [(one.logical_id, one.properties) for one in stack.resources]]
    return StackSide(
        name=stack.name,
        region=stack.region,
        resources={one.logical_id: one for one in stack.resources},
        mappings=stack.mappings,
        size=sum(map(estimated, sections)),
        protect=stack.protect,
    )


def _code(bot: Bot, design: BotDesign, *, read: bool) -> CodeSide:
    bundle = design.bundle
    source = bot.source
    return CodeSide(
        name=bot.name,
        kind=bundle.kind,
        origin=bundle.origin,
        digest=bundle.digest,
        pinned=bundle.packed or isinstance(source, PathSource),
        url=without_credentials(source.url) if isinstance(source, GitSource) else None,
        commit=bundle.commit,
        requirements=bundle.requirements if bundle.packed else None,
        files=_files(bot, bundle) if read else lambda: None,
        requirements_path=bot.requirements_path,
    )


def _files(bot: Bot, bundle: Bundle) -> Callable[[], Mapping[str, str] | None]:
    if isinstance(bot.source, PathSource):
        return lambda: files_of_folder(bot)
    return lambda: _files_of_archive(bundle.archive)


def files_of_folder(bot: Bot) -> Mapping[str, str] | None:
    """The SHA-256 of the files of a bot whose source is a folder, by their paths; None where it cannot be read."""
    assert isinstance(bot.source, PathSource)  # noqa: S101 - of our own callers
    try:
        return {file.path: f"{file.sha256}{file.executable}" for file in code_of_folder(bot.source, bot).files}
    except FactoryError:  # `pack` says what is wrong with it; there is nothing to compare
        return None


def _files_of_archive(archive: str | None) -> Mapping[str, str] | None:
    """What tells the contents of the files of a packed bundle apart, by their paths; None where it is not here."""
    if archive is None or not Path(archive).is_file():
        return None
    with zipfile.ZipFile(archive) as packed:
        return {one.filename: f"{one.CRC:08x}{one.file_size}{one.external_attr}" for one in packed.infolist()}
