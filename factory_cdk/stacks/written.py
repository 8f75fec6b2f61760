"""What typed constructs would write otherwise than the plan does.

CloudFormation takes a number where it wants text and the other way round (`DeviceIndex: 0`, `Threshold: '5'`);
typed constructs convert such values to the type of the property's schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.design.model import Resource
from factory_cdk.plan.facts import resource_schema
from factory_cdk.plan.model import Json
from factory_cdk.plan.yaml.nodes import Path

_SCHEMAS = {"AWS::EC2::Instance": "ec2-instance", "AWS::CloudWatch::Alarm": "cloudwatch-alarm"}
"""The resources whose properties a plan writes; those that factory_cdk writes by itself are of the right types."""


def as_written(resource: Resource) -> Iterator[tuple[Path, Json]]:
    """The paths in a resource's properties, and their values, whose type is not that of the schema."""
    name = _SCHEMAS.get(resource.type)
    if name is not None:
        schema = resource_schema(name)
        yield from _other(resource.properties, schema, schema["definitions"], ())


def _other(value: Json, schema: Mapping[str, Any], definitions: Mapping[str, Any], path: Path) -> Iterator[Any]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        for key, item in value.items():
            if key in properties:
                yield from _other(item, properties[key], definitions, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _other(item, schema.get("items", {}), definitions, (*path, index))
    elif not _fits(value, schema.get("type")):
        yield path, value


def _fits(value: Json, wanted: Any) -> bool:
    match wanted:
        case "string":
            return isinstance(value, str)
        case "integer" | "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case _:
            return True
