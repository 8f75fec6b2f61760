"""The verdict on a sector, and everything that differs in it with what that does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from factory_cdk.bundle import layout_as_json
from factory_cdk.canonical_json import canonical_json
from factory_cdk.design.model import Resource
from factory_cdk.design.policy import PLAN_POLICY
from factory_cdk.plan.model import Json, SecretReference
from factory_cdk.plan.names import logical
from factory_cdk.release import BotRelease, SectorRelease, release_as_json
from factory_cdk.review.access import ROLE
from factory_cdk.review.behaviour import INSTANCE, effect_of
from factory_cdk.review.model import Difference, Effect, ResourceChange, SectorReport, Verdict
from factory_cdk.review.resources import is_kept
from factory_cdk.review.sides.side import SectorBot, SectorSide, StageSide, resource_of
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
    if moved:
        yield from _of_replaced(before, after, old, new)
    else:
        yield from _of_resources(before, after, old, new, changes)


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
        elif not same_bot(was, now):
            yield from _of_bot(name, was, now, new.line)
    order = list(old.bots), list(new.bots)
    if order[0] != order[1] and sorted(order[0]) == sorted(order[1]):
        yield Difference("bots", *order, why="their order in the release", line=new.line)


def same_bot(was: SectorBot, now: SectorBot) -> bool:
    """Whether a bot runs alike on both sides. What plans may give as any JSON is compared as JSON: True equals 1."""
    given = (canonical_json([bot.config, bot.release.arguments.meta]) for bot in (was, now))
    return was == now and len({*given}) == 1


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
    yield from _of_code(prefix, was.release, now.release, old, new, line)
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
    for where, one, other in differences(_sources(was.release), _sources(now.release), f"secrets.{name}"):
        yield Difference(where, one, other, why="where its value comes from", line=line)


def _of_code(
    prefix: str, was: BotRelease, now: BotRelease, old: Mapping[str, Json], new: Mapping[str, Json], line: int | None
) -> Iterator[Difference]:
    changed = {key for key in _CODE_KEYS if not same(old.get(key), new.get(key))}
    other_code = was.digest != now.digest
    if other_code or "requirements" in changed:
        before, after = (was.digest, now.digest) if other_code else (was.requirements, now.requirements)
        yield Difference(f"{prefix}.code", _short(before), _short(after), why=_code_reason(changed), line=line)
    layouts = layout_as_json(was.layout), layout_as_json(now.layout)
    for where, one, other in exact_differences(*layouts, f"{prefix}.layout"):
        if not other_code or where.endswith(".index_options"):  # other code mostly has another layout, too
            yield Difference(where, one, other, why="where its modules and its packages are looked for", line=line)
    if was.archive_sha256 != now.archive_sha256 and not other_code:
        archives = _short(was.archive_sha256), _short(now.archive_sha256)
        yield Difference(f"{prefix}.archive", *archives, why="another archive for the same code", line=line)


def _short(digest: str | None) -> str | None:
    return digest[:12] if digest else None


def secret_changes(was: SectorBot | None, now: SectorBot | None) -> Iterator[tuple[str, str | None, str | None]]:
    """The secrets of a bot that differ: the name, and in words where its value comes from on either side (None: it is
    no secret there). Where both sides know it, that is where `build` takes it from, which on AWS no release says.
    """
    olds, news = (_sources(bot.release) if bot else {} for bot in (was, now))
    for name in dict.fromkeys((*olds, *news)):
        first, second = (bot.origins.get(name) if bot and bot.origins is not None else None for bot in (was, now))
        if first is not None and second is not None and first != second:
            yield name, _source(first), _source(second)
        elif olds.get(name) != news.get(name):
            yield name, olds.get(name), news.get(name)


def _sources(release: BotRelease) -> dict[str, str]:
    """Where a release finds the values of a bot's secrets, in words, by their names."""
    return {name: _source(reference) for name, reference in release.secrets.items()}


def _said(release: BotRelease) -> dict[str, Json]:
    whole = release_as_json(SectorRelease("", "", "", (release,)))
    return dict(whole["bots"][release.name])


def _code_reason(changed: Set[str]) -> str:
    if changed == {"requirements"}:
        return "its locked requirements differ"
    return "its code differs" if "requirements" not in changed else "its code and its locked requirements differ"


def _successors(value: Json) -> Json:
    return [f"{one['bot']} on {one['queue']} ({one['sector']})" for one in value] if value else None


def _source(reference: SecretReference) -> str:
    key = f", key {reference.key}" if reference.key else ""
    if reference.secret is not None:
        return f"secret {reference.secret}{key}"
    if reference.env is not None:
        return f"variable {reference.env}"
    return f"profile {reference.profile}{key}" if reference.profile is not None else "filled in when it is built"


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


def _of_replaced(before: StageSide, after: StageSide, old: SectorSide, new: SectorSide) -> Iterator[Difference]:
    """What the plan says otherwise of the instance and the alarm of a sector that moves: it is not only moved."""
    if old.stack not in before.stacks or new.stack not in after.stacks:
        return
    for type_, kind, prefix in ((INSTANCE, "instance", ""), (ALARM, "alarm", "alarm.")):
        was, now = resource_of(type_, before, old), resource_of(type_, after, new)
        why = f"the {kind} that takes its place has this"
        if was is None or now is None:
            if was is not now:
                yield _whole(kind, was, now, new.line)
            continue
        for key in dict.fromkeys((*was.properties, *now.properties)):
            if key == "Tags":
                for tag, one, other in _tags(was, now):
                    yield Difference(f"tags.{tag}", one, other, why=why, line=new.line)
            elif key not in ("UserData", "IamInstanceProfile"):
                for path, one, other in differences(was.properties.get(key), now.properties.get(key), key):
                    yield Difference(f"{prefix}{path}", one, other, why=why, line=new.line)


def _of_property(kind: str, key: str, was: Resource, now: Resource, line: int | None) -> Iterator[Difference]:
    if was.type == _PARAMETER and key == "Value":
        return  # the values are those of bots
    effect, why = effect_of(now, key, was.properties.get(key), now.properties.get(key))
    if was.type == ROLE and key == "Policies":  # access.py says in words what is ours; what the plan adds is the plan's
        for path, one, other in differences(_of_plan(was), _of_plan(now), "policies"):
            yield Difference(path, one, other, effect, why, line)
        return
    prefix = "" if now.type == INSTANCE else f"{kind}."
    if key == "UserData":
        yield Difference("UserData", None, None, effect, why, line)
        return
    for path, one, other in differences(was.properties.get(key), now.properties.get(key), key):
        yield Difference(f"{prefix}{path}", one, other, effect, why, line)


def _of_plan(role: Resource) -> Json:
    """The statements that a plan adds to a role; None without any."""
    found = (one for one in role.properties.get("Policies", ()) if one.get("PolicyName") == PLAN_POLICY)
    return next((one["PolicyDocument"]["Statement"] for one in found), None)


def _whole(kind: str, was: Resource | None, now: Resource | None, line: int | None) -> Difference:
    gone = "it stays on AWS, outside of the stack" if was is not None and is_kept(was) else "it is deleted"
    return Difference(kind, _named(was), _named(now), why="it is new" if was is None else gone, line=line)


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
