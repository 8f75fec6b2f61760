"""What AWS, CloudFormation or CDK would refuse in a stage, or understand differently than the plan means it.

Every check yields Problems; `designing` turns them into diagnostics of the plan's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from factory_cdk.bundle import Bundle
from factory_cdk.design.commit import RESOURCES
from factory_cdk.design.model import BotDesign, Resource
from factory_cdk.design.policy import POLICY_LIMIT
from factory_cdk.design.stacks import MAX_RESOURCES, MAX_TEMPLATE_BYTES, Unit
from factory_cdk.design.values import PARAMETER_LIMIT, canonical
from factory_cdk.plan.model import Json, Position, SectorType, StagePlan, StageSector

MAX_CONFIG_PARTS = 100
"""Parameters that the config of one bot on one sector may take; a runner reads them ten at a time (the most of
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html)."""

MAX_EXACT_NUMBER = 2**53
"""The largest number that every JSON reader keeps exactly, Node's included."""

_TOKEN = re.compile(r"[$#]\{Token\[")
"""How CDK writes a value that it does not know yet into text and into lists; it evaluates every text of this form."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a stage and where in the plan it comes from, as a Diagnostic needs it."""

    position: Position
    code: str
    message: str
    hint: str | None = None


def check_texts(plan: StagePlan, bundles: Mapping[str, Bundle]) -> Iterator[Problem]:
    """Text that templates contain as the plan wrote it must mean the same to CDK: refuse what CDK would evaluate.

    `canonical` escapes everything that parameters contain as JSON, so config may contain any text.
    """
    start = plan.sectors[0].position
    written: list[tuple[str, Position, Json]] = [("`meta`", start, plan.meta)]
    for sector in plan.sectors:
        written.append((f"the parameters of the sector `{sector.name}`", sector.position, sector.parameters))
        written.append((f"the policies of the sector `{sector.name}`", sector.position, list(sector.options.policies)))
        if sector.alarm is not None:
            alarm = sector.alarm
            written.append((f"the alarm `{alarm.name}`", alarm.position, alarm.properties))
    written += [(f"the source of `{bot.name}`", bot.position, bundles[bot.name].origin) for bot in plan.bots]
    seen: set[tuple[str, str]] = set()
    for owner, position, value in written:
        for text in _evaluated(value):
            if (owner, text) not in seen:
                seen.add((owner, text))
                yield Problem(position, "F108", f"CDK would evaluate `{text[:60]}` in {owner}", "change this text")
    for number in _numbers(plan.meta):
        if abs(number) > MAX_EXACT_NUMBER:
            message = f"the number {number:g} in `meta` is too large to be stored exactly"
            yield Problem(start, "F019", message, "quote it")


def _evaluated(value: Json) -> Iterator[str]:
    """Texts and keys in `value` that CDK would not pass on as they are."""
    match value:
        case str():
            if _TOKEN.search(value):
                yield value
        case Mapping():
            for key, item in value.items():
                if key == "__proto__" or _TOKEN.search(key):
                    yield key
                yield from _evaluated(item)
        case list() | tuple():
            for item in value:
                yield from _evaluated(item)


def _numbers(value: Json) -> Iterator[int | float]:
    match value:
        case bool():
            return
        case int() | float():
            yield value
        case Mapping():
            for item in value.values():
                yield from _numbers(item)
        case list() | tuple():
            for item in value:
                yield from _numbers(item)


def check_alarm_names(plan: StagePlan) -> Iterator[Problem]:
    """CloudWatch knows an alarm by its name, so an alarm with an `AlarmName` watches one sector of a region."""
    seen: dict[tuple[str | None, str], str] = {}
    for sector in plan.sectors:
        name = sector.alarm.properties.get("AlarmName") if sector.alarm else None
        if sector.type is not SectorType.AWS or name is None:
            continue
        first = seen.setdefault((sector.region, str(name)), sector.name)
        if first != sector.name:
            message = f"duplicate alarm name `{name}` in {sector.region}: of the sectors `{first}` and `{sector.name}`"
            hint = "remove `AlarmName`: then each sector gets its own alarm"
            yield Problem(sector.position, "F511", message, hint)


def check_ids(resources: Iterable[Resource], positions: Mapping[str, Position]) -> Iterator[Problem]:
    """Two resources of a template must not get one logical id; `positions` are those of the sectors."""
    seen: dict[str, str] = {}
    for resource in resources:
        owner = resource.sector or ""
        if resource.logical_id in seen:
            both = dict.fromkeys((seen[resource.logical_id], owner))
            whose = " and ".join(f"`{name}`" for name in both)
            message = f"two resources of {whose} would have the logical id `{resource.logical_id}`"
            yield Problem(positions[owner], "F511", message, "rename a sector or a bot")
        seen[resource.logical_id] = owner


def check_config(sector: StageSector, bots: Iterable[BotDesign]) -> Iterator[Problem]:
    """A bot's config must fit into a sensible number of parameters."""
    for bot in bots:
        size = len(canonical(bot.config))
        if size > MAX_CONFIG_PARTS * PARAMETER_LIMIT:
            limit = f"{MAX_CONFIG_PARTS} parameters of {PARAMETER_LIMIT:,}"
            message = (
                f"the config of `{bot.name}` on the sector `{sector.name}` has {size:,} bytes; the limit is {limit}"
            )
            yield Problem(sector.position, "F604", message, "keep large data in the bot's source")


def check_policy(sector: StageSector, bots: tuple[BotDesign, ...], size: int) -> Iterator[Problem]:
    """The policy of a sector's role (`size` characters) must be one that IAM takes."""
    if size > POLICY_LIMIT:
        successors = len({successor.queue for bot in bots for successor in bot.successors})
        counted = f"{len(bots)} bots and the {successors} queues that they send to"
        message = f"the IAM policy of the sector `{sector.name}` has {size:,} characters for {counted}"
        hint = f"the limit is {POLICY_LIMIT:,}: move some bots or their successors to more sectors"
        yield Problem(sector.position, "F603", message, hint)


def check_unit(sector: StageSector, whole: Unit, overhead: int, meta_size: int) -> Iterator[Problem]:
    """A sector must fit a stack of its own, beside the `overhead` bytes (`meta_size` of them the plan's `meta`)."""
    count, size = len(whole.resources), overhead + whole.size
    if count + RESOURCES <= MAX_RESOURCES and size <= MAX_TEMPLATE_BYTES:
        return
    message = f"the sector `{sector.name}` needs {count} resources and a template of up to {size:,} bytes"
    resources = f"{MAX_RESOURCES} resources ({RESOURCES} of them its commit gates)"
    hint = f"the limit of a stack is {resources} and {MAX_TEMPLATE_BYTES:,} bytes: "
    large_meta = size > MAX_TEMPLATE_BYTES and meta_size > whole.size
    hint += f"shorten `meta`, which has {meta_size:,}" if large_meta else "move some of its bots to more sectors"
    yield Problem(sector.position, "F602", message, hint)
