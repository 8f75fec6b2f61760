"""What a change opens or closes: addresses, ports, metadata, secrets, encryption, protection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from factory_cdk.design.model import Resource
from factory_cdk.design.sector import DOES_ACT
from factory_cdk.plan.model import Json
from factory_cdk.review.behaviour import INSTANCE
from factory_cdk.review.model import SecurityReport
from factory_cdk.review.sectors import ALARM, secret_changes
from factory_cdk.review.sides.side import SectorSide, StageSide, resource_of


def security_reports(before: StageSide | None, after: StageSide | None) -> tuple[SecurityReport, ...]:
    """Everything of that kind that differs, by sector. A sector that is new is held against nothing, one that is gone
    is not told of.
    """
    found: list[SecurityReport] = []
    for name, sector in after.sectors.items() if after else ():
        old = before.sectors.get(name) if before else None
        instances = (resource_of(INSTANCE, *side) for side in ((before, old), (after, sector)))
        found += _of_instance(name, *instances)
        found += _of_alarm(name, *(resource_of(ALARM, *side) for side in ((before, old), (after, sector))))
        found += _of_secrets(name, old, sector)
    found += _of_stacks(before, after)
    return tuple(found)


def instance_properties(stage: StageSide | None, sector: SectorSide | None) -> Mapping[str, Json] | None:
    """The properties of an aws sector's instance; None where there is none."""
    instance = resource_of(INSTANCE, stage, sector)
    return instance.properties if instance else None


def _of_instance(name: str, was: Resource | None, now: Resource | None) -> Iterator[SecurityReport]:
    if now is None:
        return
    old, new = (one.properties if one else {} for one in (was, now))
    if _public(new) != _public(old):
        text = "its instance gets a public address" if _public(new) else "its instance no longer gets a public address"
        yield SecurityReport(name, "public", text, worse=_public(new))
    if was is not None and _groups(new) != _groups(old):
        gained, lost = (sorted(one - other) for one, other in _both_ways(_groups(new), _groups(old)))
        said = [f"gets {', '.join(gained)}"] * bool(gained) + [f"loses {', '.join(lost)}"] * bool(lost)
        text = f"its security groups change ({'; '.join(said)}): their ports are not in the plan"
        yield SecurityReport(name, "port", text, worse=bool(gained))
    if new.get("KeyName") != old.get("KeyName"):
        key = new.get("KeyName")
        text = f"the key pair {key} can log in" if key else "no key pair can log in any more"
        yield SecurityReport(name, "port", text, worse=key is not None)
    yield from _of_metadata(name, old.get("MetadataOptions", {}), new.get("MetadataOptions", {}))
    for device, encrypted in _volumes(new).items():
        before = _volumes(old).get(device)
        if before is not None and before != encrypted:
            text = f"the volume {device} is {'encrypted' if encrypted else 'not encrypted any more'}"
            yield SecurityReport(name, "encryption", text, worse=not encrypted)
        elif before is None and not encrypted:
            yield SecurityReport(
                name, "encryption", f"the new volume {device} is not encrypted by the plan", worse=True
            )
    if was is not None and bool(old.get("DisableApiTermination")) != bool(new.get("DisableApiTermination")):
        on = bool(new.get("DisableApiTermination"))
        text = f"its instance {'is' if on else 'is no longer'} protected against termination"
        yield SecurityReport(name, "protection", text, worse=not on)


def _of_alarm(name: str, was: Resource | None, now: Resource | None) -> Iterator[SecurityReport]:
    """An alarm that stops or terminates an idle instance keeps it from costing money for ever."""
    if was is None or not _acts(was) or (now is not None and _acts(now)):
        return
    text = "its alarm does nothing any more" if now is not None else "no alarm watches its instance any more"
    yield SecurityReport(name, "protection", text, worse=True)


def _acts(alarm: Resource) -> bool:
    """Whether an alarm is meant to act: the template has the actions of all off, and the instance turns them on."""
    tags = {one.get("Key"): one.get("Value") for one in alarm.properties.get("Tags", ())}
    return tags.get(DOES_ACT) != "false" and bool(alarm.properties.get("AlarmActions"))


def _of_metadata(name: str, old: Json, new: Json) -> Iterator[SecurityReport]:
    for option, safe, text in (
        ("HttpTokens", "required", "the metadata service answers without a token (IMDSv1)"),
        ("HttpEndpoint", "disabled", "the metadata service is on"),
    ):
        was, now = (side.get(option) if isinstance(side, Mapping) else None for side in (old, new))
        if not old:  # a new instance is held against what it has where the plan says nothing
            was = "required" if option == "HttpTokens" else now
        if was != now:
            worse = was == safe
            yield SecurityReport(name, "metadata", text if worse else f"no longer: {text}", worse=worse)


def _of_secrets(name: str, old: SectorSide | None, new: SectorSide) -> Iterator[SecurityReport]:
    for bot, now in new.bots.items():
        was = old.bots.get(bot) if old else None
        for secret, before, after in secret_changes(was, now):
            here = f"the secret {secret} of {bot}"
            if before is None:
                in_clear = was is not None and secret in was.config
                text = f"{here} was a config value until now" if in_clear else f"{here} is new ({after})"
                yield SecurityReport(name, "secret", text, worse=False)
            elif after is None:
                in_clear = secret in now.config
                text = f"{here} becomes a config value, in the clear" if in_clear else f"{here} is no longer used"
                yield SecurityReport(name, "secret", text, worse=in_clear)
            else:
                text = f"{here} comes from another place: {before} until now, {after} afterwards"
                yield SecurityReport(name, "secret", text, worse=False)


def _of_stacks(before: StageSide | None, after: StageSide | None) -> Iterator[SecurityReport]:
    for name, stack in after.stacks.items() if after else ():
        old = before.stacks.get(name) if before else None
        if old is None:
            continue
        if old.protect != stack.protect:
            said = "gets" if stack.protect else "loses its"
            yield SecurityReport(name, "protection", f"the stack {said} termination protection", worse=old.protect)
        for logical_id, resource in stack.resources.items():
            was = old.resources.get(logical_id)
            for key in ("SqsManagedSseEnabled", "KmsMasterKeyId", "KmsKeyId"):
                values = [one.properties.get(key) if one else None for one in (was, resource)]
                if was is not None and values[0] != values[1]:
                    text = f"the encryption of {logical_id} changes: {key} was {values[0]} and is {values[1]}"
                    yield SecurityReport(name, "encryption", text, worse=not values[1])


def _both_ways(one: frozenset[str], other: frozenset[str]) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    return (one, other), (other, one)


def _interfaces(properties: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    found = properties.get("NetworkInterfaces", ())
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def _public(properties: Mapping[str, Json]) -> bool:
    return any(str(one.get("AssociatePublicIpAddress", "")).lower() == "true" for one in _interfaces(properties))


def _groups(properties: Mapping[str, Json]) -> frozenset[str]:
    own = [*properties.get("SecurityGroupIds", ()), *properties.get("SecurityGroups", ())]
    return frozenset(map(str, [*own, *(group for one in _interfaces(properties) for group in one.get("GroupSet", ()))]))


def _volumes(properties: Mapping[str, Json]) -> dict[str, bool]:
    """Whether each volume that the plan describes is encrypted by it, by its device."""
    found = properties.get("BlockDeviceMappings", ())
    return {
        str(one.get("DeviceName")): str(one["Ebs"].get("Encrypted", "")).lower() == "true"
        for one in (found if isinstance(found, list | tuple) else ())
        if isinstance(one, Mapping) and isinstance(one.get("Ebs"), Mapping)
    }
