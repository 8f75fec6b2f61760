"""Checks CloudFormation properties that a plan writes against the resource's schema, at the plan's line.

Types are taken as CloudFormation coerces them: `DeviceIndex: 0` is fine where a string is wanted, `'5'` where
a number is. Nothing is converted here: the template gets the values as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factory_cdk.plan.checks.property_places import place_of
from factory_cdk.plan.facts import resource_schema
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.schema.structure import describe
from factory_cdk.plan.spelling import CUTOFF
from factory_cdk.plan.yaml.nodes import Path
from factory_cdk.plan.yaml.scalars import MAX_NUMBER

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}

_HINTS = {
    "string": "write one value, in quotes if YAML would read it as another type",
    "integer": "write digits only",
    "number": "write digits only, with a decimal point if needed",
    "boolean": "write `true` or `false`, without quotes",
    "array": "write a list: `- value`",
    "object": "write keys and values, indented below it",
}

CLOSE = 0.8
"""How alike (of 1) the name of a property must be to be taken for a misspelled one; `KeyNam` and `KeyName` are 0.92."""

FEW = 4
"""So many allowed values are listed, rather than one of them guessed."""

_ID = re.compile(r"(ami|subnet|sg|eni|snap|vpc|vol|lt|eipalloc|i)-([0-9A-Za-z_]+)")

_IDS = {
    "GroupSet": ("security groups", "sg-"),
    "ImageId": ("images", "ami-"),
    "LaunchTemplateId": ("launch templates", "lt-"),
    "NetworkInterfaceId": ("network interfaces", "eni-"),
    "SecurityGroupIds": ("security groups", "sg-"),
    "SnapshotId": ("snapshots", "snap-"),
    "SubnetId": ("subnets", "subnet-"),
    "VolumeId": ("volumes", "vol-"),
}
"""What the ids in a property of an instance are of, and how they begin."""

_PARAMETER = "resolve:ssm:"
"""How an `ImageId` begins that EC2 looks up in a parameter of SSM."""


@dataclass(frozen=True, slots=True)
class PropertyCheck:
    """What is checked (`AWS::EC2::Instance`), the name of its schema, and the codes that its problems get."""

    resource_type: str
    name: str
    unknown: str
    wrong_type: str
    refused: str

    @property
    def schema(self) -> Mapping[str, Any]:
        """The resource schema."""
        schema: Mapping[str, Any] = resource_schema(self.name)
        return schema


def check_properties(check: PropertyCheck, data: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Add to `findings` everything in `data` at `path` that CloudFormation would refuse."""
    read_only = {pointer.rsplit("/", 1)[1] for pointer in check.schema.get("readOnlyProperties", ())}
    for name in read_only & data.keys():
        message = f"`{name}` is read-only: AWS sets it itself"
        hint = "remove it: the subnet decides (`SubnetId`)" if name == "VpcId" else "remove it"
        findings.at_key((*path, name), check.refused, message, hint)
    _Walk(check, findings, path).object(data, check.schema, path)


class _Walk:
    """One walk over the properties of one resource."""

    def __init__(self, check: PropertyCheck, findings: Findings, start: Path) -> None:
        self.check = check
        self.findings = findings
        self.start = start

    def shown(self, path: Path) -> str:
        """The property at `path` as documentation writes it: `NetworkInterfaces[0].DeviceIndex`."""
        parts = path[len(self.start) :]
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in parts)
        return text.removeprefix(".") or str(path[-1])

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """`schema` with its `$ref` followed."""
        reference = schema.get("$ref")
        if reference is None:
            return schema
        definition: Mapping[str, Any] = self.check.schema["definitions"][reference.rsplit("/", 1)[1]]
        return definition

    def value(self, value: Any, schema: Mapping[str, Any], path: Path) -> None:
        """Check one value against its schema."""
        schema = self.resolved(schema)
        wanted = schema.get("type", "object" if "properties" in schema else None)
        if wanted is None:
            return
        types = [wanted] if isinstance(wanted, str) else list(wanted)
        if not any(_coerces(value, name) for name in types):
            expected = " or ".join(_TYPES[name] for name in types)
            hint = _HINTS[types[0]]
            if value is None:
                hint = "there is no value after the colon: add one, or remove the key"
            if isinstance(value, dict) and any(key == "Ref" or key.startswith("Fn::") for key in value):
                hint = "CloudFormation functions are not part of the plan language"
            message = f"`{self.shown(path)}` must be {expected}, not {describe(value)}"
            self.findings.at_value(path, self.check.wrong_type, message, hint)
            return
        if isinstance(value, dict):
            self.object(value, schema, path)
        elif isinstance(value, list):
            self.array(value, schema, path)
        else:
            self.scalar(value, schema, path)

    def object(self, data: Mapping[str, Any], schema: Mapping[str, Any], path: Path) -> None:
        """Check a mapping: unknown, missing and mutually exclusive keys, then every value."""
        properties: Mapping[str, Any] = schema.get("properties", {})
        for name, value in data.items():
            if name in properties:
                self.value(value, properties[name], (*path, name))
            else:
                message = f"unknown property `{self.shown((*path, name))}` of {self.check.resource_type}"
                hint = self.hint((*path, name), properties)
                self.findings.at_key((*path, name), self.check.unknown, message, hint)
        where = self.shown(path)
        for name in schema.get("required", ()):
            if name not in data:
                self.findings.missing(
                    path, [name], self.check.refused, f"missing `{name}` in `{where}`", f"add `{name}:` to it"
                )
        choices = [choice.get("required", ()) for choice in schema.get("oneOf", ())]
        if choices and sum(all(name in data for name in names) for names in choices) != 1:
            listed = " or ".join(" and ".join(f"`{name}`" for name in names) for names in choices)
            self.findings.at_key(
                path, self.check.refused, f"`{where}` needs either {listed}", "write exactly one of them"
            )
        exclusive = [name for name in schema.get("requiredXor", ()) if name in data]
        if "requiredXor" in schema and not exclusive:
            names = ", ".join(f"`{name}`" for name in schema["requiredXor"])
            message = f"`{where}` needs one of {names}"
            self.findings.missing(path, schema["requiredXor"], self.check.refused, message, "add one of them")
        excluded = {
            name: [other for other in others if other in data]
            for name, others in schema.get("dependentExcluded", {}).items()
            if name in data
        }
        pairs = [(name, other) for name, others in excluded.items() for other in others]
        pairs += [(exclusive[0], other) for other in exclusive[1:]]
        for first, second in {tuple(sorted(pair)) for pair in pairs}:
            message = f"`{first}` and `{second}` cannot be used together"
            self.findings.at_key((*path, second), self.check.refused, message, "keep one of them")

    def hint(self, path: Path, properties: Mapping[str, Any]) -> str | None:
        """What to do about the unknown property at `path`, beside which `properties` are known: a spelling that is
        close is tried last, for a property that belongs elsewhere resembles some other one by chance.
        """
        name = str(path[-1])
        alike = [one for one in properties if one.casefold() == name.casefold()]
        holders = [part for part in path[len(self.start) : -1] if isinstance(part, str)]
        elsewhere = None if alike else place_of(self.check.name, name, holders[-1] if holders else "")
        return elsewhere or self.findings.suggest_key(path, alike or properties, cutoff=CLOSE)

    def array(self, items: list[Any], schema: Mapping[str, Any], path: Path) -> None:
        """Check a list: how many elements, then every element."""
        least, most = schema.get("minItems", 0), schema.get("maxItems", schema.get("maxUniqueItems"))
        if len(items) < least or (most is not None and len(items) > most):
            bound = f"at least {least}" if len(items) < least else f"at most {most}"
            message = f"`{self.shown(path)}` has {len(items)} elements; it must have {bound}"
            self.findings.at_key(path, self.check.refused, message, "remove some" if len(items) > least else "add some")
        for index, item in enumerate(items):
            self.value(item, schema.get("items", {}), (*path, index))

    def scalar(self, value: Any, schema: Mapping[str, Any], path: Path) -> None:
        """Check a scalar's allowed values, bounds, length and the format of an id."""
        text = _text(value)
        problem = None
        self.findings.refuse_control(path, text)
        if "enum" in schema and text not in {str(allowed) for allowed in schema["enum"]}:
            allowed = [str(one) for one in schema["enum"]]
            hint = self.findings.suggest(text, allowed, cutoff=CLOSE if len(allowed) <= FEW else CUTOFF)
            message = f"invalid value `{shortened(text)}` of `{self.shown(path)}`"
            self.findings.at_value(path, self.check.refused, message, hint)
            return
        if schema.get("type") in ("integer", "number"):
            problem = _out_of_bounds(float(value), schema)
        elif len(text) > schema.get("maxLength", len(text)):
            problem = f"has {len(text)} characters; it must have at most {schema['maxLength']}"
        elif len(text) < schema.get("minLength", 0):
            problem = "is empty"
        elif not _fits(text, schema):
            problem = f"is `{shortened(text)}`; it must match {schema['pattern']}"
        if schema.get("type") != "boolean":
            self.findings.warn_if_read_otherwise(path, value)
        if problem:
            hint = f"see {self.check.resource_type} in the CloudFormation reference"
            self.findings.at_value(path, self.check.refused, f"`{self.shown(path)}` {problem}", hint)
        self.id(text, path)

    def id(self, text: str, path: Path) -> None:
        """Warn of an id that is none of what its property names, or not as AWS writes them."""
        found = _ID.fullmatch(text)
        name = next(part for part in reversed(path) if isinstance(part, str))
        of, prefix = _IDS.get(name, ("", ""))
        if not text.startswith((prefix, _PARAMETER) if name == "ImageId" else prefix):
            message = f"`{shortened(text)}` is an unusual id: those of {of} begin with `{prefix}`"
            groups = name == "SecurityGroupIds" and "-" not in text
            hint = "names of groups belong under `SecurityGroups`" if groups else "check that the id is right"
            self.findings.at_value(path, "F510", message, hint)
        elif name == "SecurityGroups" and found and found[1] == "sg":
            message = f"`{shortened(text)}` is the id of a security group, not its name"
            self.findings.at_value(path, "F510", message, "ids of groups belong under `SecurityGroupIds`")
        elif found and len(found[2]) not in (8, 17):
            message = f"`{shortened(text)}` has {len(found[2])} digits, an unusual length: AWS ids have 8 or 17"
            self.findings.at_value(path, "F510", message, "check that the whole id was copied")
        elif (found and not re.fullmatch("[0-9a-f]+", found[2])) or (
            prefix and not found and not text.startswith(_PARAMETER)
        ):
            message = f"`{shortened(text)}` is an unusual id: AWS ids have 8 or 17 hexadecimal digits (0-9, a-f)"
            self.findings.at_value(path, "F510", message, "check that the id is right")


def _fits(text: str, schema: Mapping[str, Any]) -> bool:
    pattern = schema.get("pattern")
    return pattern is None or re.search(pattern, text) is not None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _out_of_bounds(number: float, schema: Mapping[str, Any]) -> str | None:
    if number < schema.get("minimum", number):
        return f"is {number:g}; it must be at least {schema['minimum']}"
    if number > schema.get("maximum", number):
        return f"is {number:g}; it must be at most {schema['maximum']}"
    return "is too large to be stored exactly" if abs(number) > MAX_NUMBER else None


def _coerces(value: Any, wanted: str) -> bool:
    """Whether CloudFormation takes `value` where it wants the type `wanted`."""
    match wanted:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str | int | float | bool)
        case "boolean":
            return isinstance(value, bool) or value in ("true", "false", "True", "False")
        case "integer":
            if isinstance(value, str):
                return re.fullmatch(r"[+-]?[0-9]{1,18}", value) is not None
            return not isinstance(value, bool) and isinstance(value, int | float) and float(value).is_integer()
        case "number":
            if isinstance(value, str):
                return re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", value) is not None
            return not isinstance(value, bool) and isinstance(value, int | float)
        case _:
            return True
