"""Leads from a place in a template back to the place in the plan that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory_cdk.design.model import Resource, StageDesign
from factory_cdk.lint.alarms import ALARM
from factory_cdk.lint.finding import InTemplate
from factory_cdk.lint.instances import INSTANCE
from factory_cdk.plan.yaml.nodes import Path

_OURS = {INSTANCE: ("UserData", "IamInstanceProfile"), ALARM: ("Dimensions", "ActionsEnabled")}
"""Properties that are always ours, whatever the plan says."""


class Places:
    """The places of one stage: `data` is the whole plan as plain data."""

    def __init__(self, data: Any, design: StageDesign) -> None:
        self._factory = _mapping(_mapping(data).get("factory"))
        self._stage = design.stage
        self._sectors = _mapping(_mapping(self._factory.get("stages")).get(design.stage))
        self._bots = {queue.physical_name: queue.name for queue in design.queues}
        self._bots |= {queue.dead_letter_name: queue.name for queue in design.queues}
        self._readers = {
            bot.queue: (sector.name, bot.name) for sector in reversed(design.sectors) for bot in reversed(sector.bots)
        }
        self._resources = {
            (stack.name, resource.logical_id): resource for stack in design.stacks for resource in stack.resources
        }

    def in_plan(self, place: InTemplate) -> Path | None:
        """The path in the plan that `place` comes from; None when factory_cdk generates what is there by itself."""
        section, *rest = place.path or ("",)
        if section == "Metadata" and rest[:2] == ["factory-cdk", "meta"]:
            return ("factory", "meta", *rest[2:])
        resource = self._resources.get((place.stack, str(rest[0]))) if section == "Resources" and rest else None
        if resource is None:
            return None
        properties = tuple(rest[2:]) if len(rest) > 1 and rest[1] == "Properties" else ()
        if properties[:1] == ("Tags",):
            return self._tag(resource, properties)
        if resource.type == "AWS::SQS::Queue":
            return self._queue(resource)
        if resource.type == "AWS::IAM::Role":
            return self._policy(resource, properties)
        given = self._given(resource)
        if given is not None:
            path, data = given
            if not properties:
                return path
            if properties[0] in data and properties[0] not in _OURS[resource.type]:
                return (*path, *properties)
        return self._config(resource)

    def _given(self, resource: Resource) -> tuple[Path, Mapping[str, Any]] | None:
        """Where the plan gives a resource's properties, and what it gives."""
        sector = resource.sector
        if resource.type == INSTANCE and sector is not None:
            data = _mapping(_mapping(self._sectors.get(sector)).get("parameters"))
            return ("factory", "stages", self._stage, sector, "parameters"), data
        if resource.type == ALARM and sector is not None:
            name = _mapping(self._sectors.get(sector)).get("alarm")
            if isinstance(name, str):
                return ("factory", "alarms", name), _mapping(_mapping(self._factory.get("alarms")).get(name))
        return None

    def _tag(self, resource: Resource, properties: Path) -> Path | None:
        """A tag of the resource's own properties, or of the factory's tags; None for ours."""
        if len(properties) < 2:
            return None
        index, tags = properties[1], resource.properties.get("Tags")
        given = self._given(resource)
        own = given[1].get("Tags") if given is not None else None
        if given is not None and isinstance(own, list) and isinstance(index, int) and index < len(own):
            return (*given[0], *properties)
        key = index
        if isinstance(tags, list) and isinstance(index, int) and index < len(tags):
            key = tags[index].get("Key")
        return ("factory", "tags", key) if key in _mapping(self._factory.get("tags")) else None

    def _queue(self, resource: Resource) -> Path | None:
        """The first bot on a sector that reads the queue."""
        reader = self._readers.get(self._bots.get(str(resource.properties.get("QueueName")), ""))
        return None if reader is None else ("factory", "stages", self._stage, reader[0], "bots", reader[1])

    def _config(self, resource: Resource) -> Path | None:
        """The bot on a sector whose config a parameter holds."""
        if resource.type != "AWS::SSM::Parameter":
            return None
        # /factory-cdk/<factory>/<stage>/<place>/config/<bot>/<part>
        parts = str(resource.properties.get("Name")).split("/")
        of_bot = len(parts) == 8 and parts[5] == "config"
        return ("factory", "stages", self._stage, str(resource.sector), "bots", parts[6]) if of_bot else None

    def _policy(self, resource: Resource, properties: Path) -> Path | None:
        """The statement of the plan's `policies` that a role's second policy holds."""
        match properties:
            case ("Policies", 1, "PolicyDocument", "Statement", int(index), *rest):
                given = _mapping(self._sectors.get(str(resource.sector))).get("policies")
                places = [place for place, one in enumerate(given or ()) if isinstance(one, Mapping)]
                if index < len(places):
                    path = ("factory", "stages", self._stage, str(resource.sector), "policies", places[index])
                    return (*path, *rest)
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
