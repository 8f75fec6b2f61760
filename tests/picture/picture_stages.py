"""Stages to draw: plans of this folder, and designs that no plan can hold."""

from __future__ import annotations

from pathlib import Path

from factory_cdk.bundle import unpacked
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.picture.model import Picture, picture_of
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Bot, BotArguments, PathSource, SectorType, Successor
from factory_cdk.plan.stage import resolve_stage

HERE = Path(__file__).parent
REFERENCE = HERE.parents[1] / "plans" / "reference" / "factory-plan.yml"
STAGES = {
    "reference-dev": (REFERENCE, "dev"),
    "thirty-bots": (HERE / "plans" / "thirty-bots.yml", "prod"),
    "split": (HERE / "plans" / "split.yml", "test"),
}


def picture(name: str) -> Picture:
    """The picture of one of STAGES."""
    file, stage = STAGES[name]
    return picture_of(design_stage(resolve_stage(read_plan(file), stage, region="eu-west-2")))


def design(factory: str, sectors: dict[str, dict[str, tuple[str, ...]]], region: str | None = None) -> StageDesign:
    """A design with any text as names: sectors, their bots, and those that get the bots' jobs next."""
    bundle = unpacked(Bot("bot", PathSource("bots", Path("/bots")), "a:b"))
    where = {bot: sector for sector, bots in sectors.items() for bot in bots}
    return StageDesign(
        factory=factory,
        stage="test",
        version="0",
        sectors=tuple(
            SectorDesign(
                sector,
                SectorType.AWS if region else SectorType.LOCAL,
                tuple(
                    BotDesign(
                        bot,
                        f"{bot} queue",
                        tuple(Successor(name, f"{name} queue", where[name]) for name in following),
                        BotArguments(),
                        bundle,
                    )
                    for bot, following in bots.items()
                ),
                region=region,
            )
            for sector, bots in sectors.items()
        ),
        queues=(),
    )
