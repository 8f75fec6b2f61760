"""The differences between two values of JSON, each with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from factory_cdk.canonical_json import canonical_json
from factory_cdk.plan.model import Json

_KEYS: Final = ("Key", "DeviceName", "DeviceIndex", "Sid", "Id", "PolicyName")
"""What names an element of a list in CloudFormation, where one does: the order of such lists says nothing."""


def differences(before: Json, after: Json, path: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Where `before` and `after` differ: paths (`BlockDeviceMappings[/dev/xvda].Ebs.VolumeSize`) and both values, None
    where there is none.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not _intrinsic(before) and not _intrinsic(after):
        for key in dict.fromkeys((*before, *after)):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif _is_list(before) and _is_list(after):
        yield from _of_lists(before, after, path)
    elif not same(before, after):
        yield path, before, after


def exact_differences(before: Json, after: Json, path: str) -> Iterator[tuple[str, Json, Json]]:
    """As `differences`, of values that programs get as JSON: `5` is not `"5"` there, lists have an order, and a null
    that is there, as the text `null`, is not the same as none.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            if key in before and key in after:
                yield from exact_differences(before[key], after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}", _given(before, key), _given(after, key)
    elif canonical_json(before) != canonical_json(after):
        yield path, before, after


def _given(values: Mapping[str, Json], key: str) -> Json:
    return "null" if key in values and values[key] is None else values.get(key)


def same(before: Json, after: Json) -> bool:
    """Whether two values mean the same to CloudFormation, which takes `5` for `"5"` and `true` for `"true"`."""
    if before is after or (before == after and repr(before) == repr(after)):  # the quick answer for most; True is 1
        return True
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(same(before[key], after[key]) for key in before)
    if _is_list(before) and _is_list(after):
        return not any(_of_lists(before, after, ""))
    return bool(_text(before) == _text(after))


def _of_lists(before: Sequence[Json], after: Sequence[Json], path: str) -> Iterator[tuple[str, Json, Json]]:
    if all(isinstance(one, Mapping) and _intrinsic(one) for one in (*before, *after)):
        # References say no order: those of a queue policy or a profile.
        before, after = (sorted(side, key=str) for side in (before, after))
    key = next((key for key in _KEYS if _names(before, key) and _names(after, key)), None)
    if key is None:
        olds: dict[str, Json] = {str(at): one for at, one in enumerate(before)}
        news: dict[str, Json] = {str(at): one for at, one in enumerate(after)}
    else:
        olds, news = ({str(one[key]): one for one in side} for side in (before, after))
    for name in dict.fromkeys((*olds, *news)):
        yield from differences(olds.get(name), news.get(name), f"{path}[{name}]")


def _names(elements: Sequence[Json], key: str) -> bool:
    """Whether every element has a `key` of its own."""
    found = [one.get(key) if isinstance(one, Mapping) else None for one in elements]
    return None not in found and len({str(one) for one in found}) == len(found)


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _intrinsic(value: Mapping[str, Json]) -> bool:
    return len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::"))


def _text(value: Json) -> Json:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # so it is in a template
    return str(value) if isinstance(value, int | float | str) else (value, None)
