"""CloudFormation's resource schemas as JSON Schema of what a plan may write, coercions included.

The counterpart of `properties`, for editors: it is never stricter than the checks there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

_TYPES: Mapping[str, tuple[list[str], str | None]] = {
    "string": (["string", "number", "boolean"], None),
    "integer": (["integer", "string"], r"^[+-]?[0-9]{1,18}$"),
    "number": (["number", "string"], r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$"),
    "boolean": (["boolean", "string"], r"^([Tt]rue|[Ff]alse)$"),
    "object": (["object"], None),
    "array": (["array"], None),
}
"""What CloudFormation takes where it wants a type, and the pattern of the text that it takes."""

EXAMPLES: Mapping[str, tuple[Any, ...]] = {
    "AlarmActions": (["terminate"],),
    "AlarmDescription": ("idle for ten minutes",),
    "AvailabilityZone": ("eu-west-2a",),
    "CPUCredits": ("unlimited",),
    "DeviceIndex": (0,),
    "DeviceName": ("/dev/xvda",),
    "ExtendedStatistic": ("p99",),
    "GroupSet": (["sg-0123456789abcdef0"],),
    "Iops": (3000,),
    "ImageId": ("ami-0123456789abcdef0",),
    "InsufficientDataActions": (["stop"],),
    "InstanceType": ("t3.micro",),
    "Key": ("owner",),
    "KeyName": ("my-key-pair",),
    "KmsKeyId": ("alias/my-key",),
    "LaunchTemplateId": ("lt-0123456789abcdef0",),
    "MetricName": ("CPUUtilization",),
    "Namespace": ("AWS/EC2",),
    "NetworkInterfaceId": ("eni-0123456789abcdef0",),
    "OKActions": (["arn:aws:sns:eu-west-2:123456789012:topic"],),
    "Period": (300,),
    "PrivateIpAddress": ("10.0.0.5",),
    "SecurityGroupIds": (["sg-0123456789abcdef0"],),
    "SecurityGroups": (["default"],),
    "SnapshotId": ("snap-0123456789abcdef0",),
    "SubnetId": ("subnet-0123456789abcdef0",),
    "Tags": ([{"Key": "owner", "Value": "cfd"}],),
    "Tenancy": ("default",),
    "Threshold": (5,),
    "VirtualName": ("ephemeral0",),
    "VolumeId": ("vol-0123456789abcdef0",),
    "VolumeSize": (20,),
}
"""Examples of properties by their names, which mean the same in every part of a resource."""

_ALIKE = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required")


def resource_definitions(resource: Mapping[str, Any], name: str, own: tuple[str, ...]) -> dict[str, Schema]:
    """The definitions for JSON Schema's `$defs` of a CloudFormation resource schema: the resource's under
    `name`, those of its parts under `name.Part`. The properties in `own` are ours and left out, like those that
    AWS sets.
    """
    top = {key: value for key, value in resource.items() if key != "definitions"}
    hidden = {*own, *(pointer.rsplit("/", 1)[1] for pointer in resource.get("readOnlyProperties", ()))}
    top["properties"] = {key: value for key, value in resource["properties"].items() if key not in hidden}
    parts = {f"{name}.{part}": _schema(schema, name, part) for part, schema in resource["definitions"].items()}
    used = {name: _schema(top, name)}
    for reference in _references(used[name]):
        _take(reference, parts, used)
    return used


def excluding(*keys: str) -> Schema:
    """A mapping without `keys`, worded so that an editor marks the key that is too much."""
    return {"properties": dict.fromkeys(keys, False)}


def _take(name: str, parts: Mapping[str, Schema], used: dict[str, Schema]) -> None:
    """Add the part `name` and all that it refers to to `used`."""
    if name not in used:
        used[name] = parts[name]
        for reference in _references(parts[name]):
            _take(reference, parts, used)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix("#/$defs/")
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _described(key: str, schema: Mapping[str, Any], name: str, part: str) -> Schema:
    """The schema of the property `key` of a resource or of its `part`, with what an editor shows of it."""
    made = _schema(schema, name, key)  # what is written out here has a page of its own all the same
    by_type = {"boolean": (True,)} | dict.fromkeys(("integer", "number"), (schema.get("minimum", 1),))
    examples = EXAMPLES.get(key) or by_type.get(str(schema.get("type")))
    shown: Schema = {"description": f"See {_page(key, name, part)}"}
    if examples is not None and "enum" not in made:
        shown["examples"] = list(examples)
    elif "enum" in made:
        shown["examples"] = made["enum"][:1]
    return {**shown, **made}


def _page(key: str, name: str, part: str) -> str:
    """Where AWS describes a property."""
    resource = name.removeprefix("AWS.").replace(".", "-").lower()
    page = f"properties-{resource}-{part.lower()}" if part else f"resource-{resource}"
    anchor = "-".join(one for one in ("cfn", resource, part.lower(), key.lower()) if one)
    return f"https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-{page}.html#{anchor}"


def _schema(schema: Mapping[str, Any], name: str, part: str = "") -> Schema:
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{name}.{schema['$ref'].rsplit('/', 1)[1]}"}
    wanted = schema.get("type", "object" if "properties" in schema else None)
    if wanted is None:
        return {}
    kinds = [wanted] if isinstance(wanted, str) else list(wanted)
    types = list(dict.fromkeys(type_ for kind in kinds for type_ in _TYPES[kind][0]))
    made: Schema = {"type": types[0] if len(types) == 1 else types}
    made |= {keyword: schema[keyword] for keyword in _ALIKE if keyword in schema}
    patterns = [_TYPES[kind][1] for kind in kinds] if "string" not in kinds else []
    if len(patterns) == 1 and patterns[0]:
        made["pattern"] = patterns[0]
    elif "pattern" in schema:
        # `\_` is no escape in the regular expressions of JSON Schema.
        made["pattern"] = schema["pattern"].replace(r"\_", "_")
    if "enum" in schema:
        made["enum"] = schema["enum"]
    if "object" in kinds:
        made |= _object(schema, name, part)
    if "array" in kinds:
        made["items"] = _schema(schema.get("items", {}), name)
        if "maxUniqueItems" in schema:
            made.setdefault("maxItems", schema["maxUniqueItems"])
    return made


def _object(schema: Mapping[str, Any], name: str, part: str) -> Schema:
    properties = {key: _described(key, value, name, part) for key, value in schema.get("properties", {}).items()}
    made: Schema = {"properties": properties, "additionalProperties": False}
    if "requiredXor" in schema:
        made["oneOf"] = [{"required": [key]} for key in schema["requiredXor"]]
    elif "oneOf" in schema:
        made["oneOf"] = [{"required": choice["required"]} for choice in schema["oneOf"]]
    excluded = schema.get("dependentExcluded", {})
    if excluded:
        made["dependentSchemas"] = {key: excluding(*others) for key, others in excluded.items()}
    return made
