"""The verdict on a sector, and everything that differs in it with what that does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from factory_cdk.design.model import Resource
from factory_cdk.plan.model import Json, SecretReference
from factory_cdk.plan.names import logical
from factory_cdk.release import BotRelease, SectorRelease, release_as_json
from factory_cdk.review.access import ROLE
from factory_cdk.review.behaviour import INSTANCE, effect_of
from factory_cdk.review.model import Difference, Effect, ResourceChange, SectorReport, Verdict
from factory_cdk.review.sides.side import SectorBot, SectorSide, StageSide
from factory_cdk.review.values import differences, exact_differences, same

ALARM = "AWS::CloudWatch::Alarm"
_PARAMETER = "AWS::SSM::Parameter"
_WAITS = ("AWS::CloudFormation::WaitCondition", "AWS::CloudFormation::WaitConditionHandle")

_VERDICTS = {
    Effect.REPLACE: Verdict.REPLACED,
    Effect.MAY_REPLACE: Verdict.REPLACED,
    Effect.RESTART: Verdict.RESTARTED,
    Effect.UPDATE: Verdict.CHANGED,
}
_SEVERITY = tuple(_VERDICTS)

_CODE_KEYS = frozenset({"bundle", "source", "layout", "requirements"})
_ELSEWHERE = "it runs on another instance afterwards, and the one until now is taken down"


def sector_report(
    name: str, before: StageSide | None, after: StageSide | None, changes: Sequence[ResourceChange]
) -> SectorReport:
    """The report of the sector `name`, which one of the two sides has; `changes` are those of its resources."""
    old = before.sectors.get(name) if before else None
    new = after.sectors.get(name) if after else None
    found = tuple(_with_line(one, name, after) for one in _differences(before, after, old, new, changes))
    verdict = _verdict(old, new, found)
    side = new or old
    assert side is not None  # noqa: S101 - the name is from one of the two
    return SectorReport(
        name=name,
        verdict=verdict,
        type=side.type,
        why=found,
        possible=bool(found) and min(_SEVERITY.index(one.effect) for one in found) == 1,
        region_before=old.region if old else None,
        region_after=new.region if new else None,
        stack_before=old.stack if old else None,
        stack_after=new.stack if new else None,
        line=new.line if new else None,
    )


def _with_line(found: Difference, sector: str, after: StageSide | None) -> Difference:
    """`found` with the line of the new plan that says it, where one does."""
    line = after.line_of(sector, found.what) if after else None
    return found if line is None else replace(found, line=line)


def _verdict(old: SectorSide | None, new: SectorSide | None, found: Sequence[Difference]) -> Verdict:
    if old is None:
        return Verdict.ADDED
    if new is None:
        return Verdict.REMOVED
    if not found:
        return Verdict.UNCHANGED
    return _VERDICTS[min((one.effect for one in found), key=_SEVERITY.index)]


def _differences(
    before: StageSide | None,
    after: StageSide | None,
    old: SectorSide | None,
    new: SectorSide | None,
    changes: Sequence[ResourceChange],
) -> Iterator[Difference]:
    if old is None or before is None:
        yield Difference("sector", None, _summary(new), why="it is new")
        return
    if new is None or after is None:
        yield Difference("sector", _summary(old), None, Effect.REPLACE, "it is taken down")
        return
    moved = False
    for what in ("type", "platform", "region", "stack"):
        was, now = getattr(old, what), getattr(new, what)
        if was != now and not (what == "stack" and moved):
            moved = True
            yield Difference(what, was, now, Effect.REPLACE, _ELSEWHERE, new.line)
    yield from _of_bots(old, new)
    yield from _of_queue_regions(before, after, old, new)
    yield from _of_resources(before, after, old, new, () if moved else changes)


def _summary(sector: SectorSide | None) -> Json:
    if sector is None:
        return None
    where = sector.region or "this machine"
    return f"{sector.type} in {where}: {', '.join(sector.bots) or 'no bots'}"


def _of_bots(old: SectorSide, new: SectorSide) -> Iterator[Difference]:
    for name in dict.fromkeys((*old.bots, *new.bots)):
        was, now = old.bots.get(name), new.bots.get(name)
        if was is None or now is None:
            said = "the bot runs here, too" if was is None else "the bot no longer runs here"
            yield Difference(f"bots.{name}", _queue(was), _queue(now), why=said, line=new.line)
        elif was != now:
            yield from _of_bot(name, was, now, new.line)
    order = list(old.bots), list(new.bots)
    if order[0] != order[1] and sorted(order[0]) == sorted(order[1]):
        yield Difference("bots", *order, why="their order in the release", line=new.line)


def _of_queue_regions(before: StageSide, after: StageSide, old: SectorSide, new: SectorSide) -> Iterator[Difference]:
    """Queues of the sector's bots that are in another region afterwards; their names are the same there."""
    for name, bot in new.bots.items():
        if name in old.bots:
            was, now = _queue_region(before, old.bots[name]), _queue_region(after, bot)
            if was != now:
                yield Difference(f"bots.{name}.queue-region", was, now, why="it reads another queue", line=new.line)


def _queue_region(stage: StageSide, bot: SectorBot) -> str | None:
    queue = stage.queues.get(bot.release.queue)
    stack = stage.stacks.get(queue.stack or "") if queue else None
    return stack.region if stack else None


def _queue(bot: SectorBot | None) -> Json:
    return None if bot is None else f"reads {bot.release.queue}"


def _of_bot(name: str, was: SectorBot, now: SectorBot, line: int | None) -> Iterator[Difference]:
    prefix = f"bots.{name}"
    old, new = _said(was.release), _said(now.release)
    code = {key: (old.get(key), new.get(key)) for key in _CODE_KEYS if not same(old.get(key), new.get(key))}
    if code:
        yield Difference(
            f"{prefix}.code", was.release.digest[:12], now.release.digest[:12], why=_code_reason(code), line=line
        )
    for key in dict.fromkeys((*old, *new)):
        if key in _CODE_KEYS or key in ("config", "secrets"):
            continue
        if key == "arguments":
            for where, one, other in exact_differences(old.get(key, {}), new.get(key, {}), prefix):
                yield Difference(where, one, other, why="its workers restart with it", line=line)
            continue
        path = f"{prefix}.{key.replace('_', '-')}"
        if key == "successors":
            olds, news = (_successors(side.get(key)) for side in (old, new))
            if olds != news:
                yield Difference(path, olds, news, why="jobs that it finishes go elsewhere", line=line)
            continue
        for where, one, other in exact_differences(old.get(key), new.get(key), path):
            why = "it reads another queue" if key == "queue" else "its workers restart with it"
            yield Difference(where, one, other, why=why, line=line)
    for where, one, other in exact_differences(was.config, now.config, f"config.{name}"):
        yield Difference(where, one, other, why="its workers restart with it", line=line)
    for where, one, other in differences(secret_sources(was), secret_sources(now), f"secrets.{name}"):
        yield Difference(where, one, other, why="where its value comes from", line=line)


def secret_sources(bot: SectorBot | None) -> dict[str, str]:
    """Where the values of a bot's secrets come from, in words, by their names."""
    return {key: _source(value) for key, value in bot.release.secrets.items()} if bot else {}


def _said(release: BotRelease) -> dict[str, Json]:
    whole = release_as_json(SectorRelease("", "", "", (release,)))
    return dict(whole["bots"][release.name])


def _code_reason(changed: Mapping[str, object]) -> str:
    if set(changed) == {"requirements"}:
        return "its locked requirements differ"
    return "its code differs" if "requirements" not in changed else "its code and its locked requirements differ"


def _successors(value: Json) -> Json:
    return [f"{one['bot']} on {one['queue']} ({one['sector']})" for one in value] if value else None


def _source(reference: SecretReference) -> str:
    if reference.secret is not None:
        return f"secret {reference.secret}" + (f", key {reference.key}" if reference.key else "")
    if reference.env is not None:
        return f"variable {reference.env}"
    return f"profile {reference.profile}" if reference.profile is not None else "filled in when it is built"


def _of_resources(
    before: StageSide,
    after: StageSide,
    old: SectorSide,
    new: SectorSide,
    changes: Sequence[ResourceChange],
) -> Iterator[Difference]:
    """What differs in the sector's resources, beside what its bots explain: their code is in the release, which is a
    parameter, in the keys that the role may read and in the names of the wait condition.
    """
    was_in, now_in = before.stacks.get(old.stack or ""), after.stacks.get(new.stack or "")
    if was_in is None or now_in is None:
        return
    if was_in.name != now_in.name or was_in.region != now_in.region:
        return
    tags: dict[str, tuple[Json, Json]] = {}
    for change in changes:
        if change.type in _WAITS:
            continue
        was, now = was_in.resources.get(change.logical_id), now_in.resources.get(change.logical_id)
        kind = _kind(change.logical_id, new.name)
        if was is None or now is None:
            if change.type != _PARAMETER:
                yield _whole(kind, was, now, new.line)
            continue
        for key in change.properties:
            if key == "Tags":
                tags.update({path: (one, other) for path, one, other in _tags(was, now)})
            elif key not in change.references:
                yield from _of_property(kind, key, was, now, new.line)
    for tag, (one, other) in tags.items():
        yield Difference(f"tags.{tag}", one, other, why="changed without interruption", line=new.line)


def _of_property(kind: str, key: str, was: Resource, now: Resource, line: int | None) -> Iterator[Difference]:
    if (was.type == ROLE and key == "Policies") or (was.type == _PARAMETER and key == "Value"):
        return  # access.py says it in words; the values are those of bots
    effect, why = effect_of(now, key, was.properties.get(key), now.properties.get(key))
    prefix = "" if now.type == INSTANCE else f"{kind}."
    if key == "UserData":
        yield Difference("UserData", None, None, effect, why, line)
        return
    for path, one, other in differences(was.properties.get(key), now.properties.get(key), key):
        yield Difference(f"{prefix}{path}", one, other, effect, why, line)


def _whole(kind: str, was: Resource | None, now: Resource | None, line: int | None) -> Difference:
    return Difference(kind, _named(was), _named(now), why="it is new" if was is None else "it is deleted", line=line)


def _named(resource: Resource | None) -> Json:
    if resource is None:
        return None
    if resource.type == ALARM:
        said = {key: value for key, value in resource.properties.items() if key not in ("Tags", "Dimensions")}
        return json.dumps(said, sort_keys=True)
    name = next((value for key, value in resource.properties.items() if key.endswith("Name")), None)
    return name if isinstance(name, str) else resource.type


def _kind(logical_id: str, sector: str) -> str:
    """`alarm`, `role`, `log group`, … of the resource of a sector."""
    rest = logical_id.removeprefix(logical(sector))
    if rest.startswith("Secret"):
        return "secret"
    return {"LogGroup": "log group", "InstanceProfile": "instance profile"}.get(rest, rest[:1].lower() + rest[1:])


def _tags(was: Resource, now: Resource) -> Iterable[tuple[str, Json, Json]]:
    olds, news = (_by_key(side.properties.get("Tags")) for side in (was, now))
    for key in dict.fromkeys((*olds, *news)):
        if olds.get(key) != news.get(key):
            yield key, olds.get(key), news.get(key)


def _by_key(tags: Json) -> Mapping[str, Json]:
    if isinstance(tags, Mapping):  # as parameters have them
        return tags
    return {str(one.get("Key")): one.get("Value") for one in tags or () if isinstance(one, Mapping)}
