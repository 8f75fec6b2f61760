"""The secrets of a stage's aws sectors: those that its templates create empty, and those that it refers to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from factory_cdk.design.model import SectorDesign, StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.release import created_secrets
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import SecretReference, SectorType
from factory_cdk.plan.spelling import did_you_mean


@dataclass(frozen=True, slots=True)
class StageSecret:
    """A secret of Secrets Manager that `bots` of `sector` read. `name` may be an ARN. `references` say where the values
    of a secret that the template creates (`created`) come from, by their keys in its JSON; of one that is referred to,
    they are what bots read of it, by the key (an empty key is the whole text).
    """

    name: str
    region: str
    sector: str
    bots: tuple[str, ...]
    created: bool
    references: Mapping[str, SecretReference]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that its JSON has to have."""
        return tuple(sorted(key for key in self.references if key))


def stage_secrets(design: StageDesign, sector: str | None = None, bot: str | None = None) -> tuple[StageSecret, ...]:
    """The secrets of `design` that its aws sectors read, in the order of the plan: all, or those of `sector`, of `bot`.
    FactoryError when there is no such sector or bot on AWS.
    """
    on_aws = [one for one in design.sectors if one.type is SectorType.AWS]
    if not on_aws:
        raise FactoryError(
            f"stage {design.stage} has no aws sector: its secrets are read when it is built", "factory-cdk build"
        )
    _refuse_unknown("aws sector", sector, [one.name for one in on_aws], design.stage)
    chosen = [one for one in on_aws if sector in (None, one.name)]
    bots = dict.fromkeys(one.name for place in chosen for one in place.bots)
    _refuse_unknown("bot on AWS", bot, bots, design.stage)
    names = Names(design.factory, design.stage)
    found = [secret for one in chosen for secret in (*_created(names, one), *_referred(one))]
    return tuple(secret for secret in found if bot is None or bot in secret.bots)


def _refuse_unknown(what: str, name: str | None, known: Collection[str], stage: str) -> None:
    if name is not None and name not in known:
        hint = did_you_mean(name, known) or f"there are: {', '.join(known)}"
        raise FactoryError(f"stage {stage} has no {what} {name!r}", hint)


def _created(names: Names, sector: SectorDesign) -> Iterator[StageSecret]:
    created = created_secrets(names, sector.place or sector.name, sector.bots)
    for name in dict.fromkeys(created.values()):
        bots = [bot for bot in sector.bots if created.get(bot.name) == name]
        references = {key: one for key, one in bots[0].secrets.items() if one.secret is None}
        yield StageSecret(
            name, sector.region or "", sector.name, tuple(bot.name for bot in bots), created=True, references=references
        )


def _referred(sector: SectorDesign) -> Iterator[StageSecret]:
    used = [(bot.name, one) for bot in sector.bots for one in bot.secrets.values() if one.secret is not None]
    for name in dict.fromkeys(one.secret for _, one in used):
        users = [(bot, one) for bot, one in used if one.secret == name]
        region = name.split(":")[3] if name and name.startswith("arn:") else sector.region
        yield StageSecret(
            name or "",
            region or "",
            sector.name,
            tuple(dict.fromkeys(bot for bot, _ in users)),
            created=False,
            references={one.key or "": one for _, one in users},
        )
