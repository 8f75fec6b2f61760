"""Checks tags: those of the factory, and those of an instance or alarm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import Sector
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG
from factory_cdk.plan.yaml.nodes import Path

OWN_TAGS = (FACTORY_TAG, STAGE_TAG, "factory-cdk:sector", "factory-cdk:acts")
"""The tags that everything created gets beside the plan's."""

TAG_LIMIT = 50
"""Tags of a resource (https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html)."""

MAX_TAGS = TAG_LIMIT - len(OWN_TAGS) - 1
"""Tags of a plan: those of factory_cdk come on top, and an instance's `Name` or a queue's bot."""

_TAG = re.compile(r"[\w \u00a0.:/=+@-]*")


def check_tag_list(tags: Any, path: Path, findings: Findings) -> None:
    """Check the `Tags` of CloudFormation properties, a list of Key and Value."""
    seen: set[str] = set()
    for index, tag in enumerate(tags if isinstance(tags, list) else ()):
        if not isinstance(tag, dict):
            continue
        key = tag.get("Key")
        _check_tag(key, tag.get("Value"), (*path, index), findings)
        if isinstance(key, str) and key in seen:
            message = f"duplicate tag `{shortened(key)}`"
            findings.at_value((*path, index, "Key"), "F509", message, "remove one of them")
        seen.add(str(key))


def check_tag_count(sector: Sector, tags: Mapping[str, str], path: Path, findings: Findings) -> None:
    """Refuse an instance whose own tags, those of the factory (`tags`) and those of factory_cdk are too many."""
    own = sector.parameters.get("Tags")
    keys = {str(tag.get("Key")) for tag in own if isinstance(tag, dict)} if isinstance(own, list) else set()
    count = len(keys | tags.keys() | {"Name", *OWN_TAGS})
    if keys and count > TAG_LIMIT:
        message = (
            f"the instance of `{sector.name}` would have {count} tags with the factory's; the limit is {TAG_LIMIT}"
        )
        findings.at_key(path, "F509", message, "remove some of them")


def read_tags(data: Any, path: Path, findings: Findings) -> dict[str, str]:
    """The factory's tags as text, as they were written, after what AWS refuses is in `findings`."""
    if not isinstance(data, dict):
        return {}
    tags: dict[str, str] = {}
    seen: dict[str, str] = {}
    for key, value in data.items():
        text = value if isinstance(value, str) else findings.text_at((*path, key)) or ""
        _check_tag(key, text, (*path, key), findings)
        if key == "Ref" or key.startswith("Fn::"):
            message = f"CloudFormation would evaluate the tag `{shortened(key)}`"
            findings.at_key((*path, key), "F108", message, "use another key")
        if key.casefold() in seen:
            message = f"the tags `{seen[key.casefold()]}` and `{key}` differ only in case, which IAM does not allow"
            findings.at_key((*path, key), "F509", message, "remove one of them")
        seen[key.casefold()] = key
        tags[key] = text
    if len(tags) > MAX_TAGS:
        message = f"there are {len(tags)} tags; the limit is {MAX_TAGS}, because factory_cdk adds its own"
        findings.at_key(path, "F509", message, "remove some of them")
    return tags


def _check_tag(key: Any, value: Any, path: Path, findings: Findings) -> None:
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html#tag-conventions
    if not isinstance(key, str) or isinstance(value, dict | list):
        return
    text = str(value).lower() if isinstance(value, bool) else str(value)
    problem, hint = None, "shorten it"
    if not 1 <= len(key) <= 128:
        problem = f"its key has {len(key)} characters; it must have 1 to 128"
        hint = hint if key else "write a key, or remove it"
    elif key.casefold().startswith("aws:"):
        problem, hint = "keys that start with `aws:` are reserved by AWS", "use another key"
    elif key.casefold().startswith("factory-cdk:"):
        problem, hint = "keys that start with `factory-cdk:` are reserved by factory_cdk", "use another key"
    elif len(text) > 256:
        problem = f"its value has {len(text)} characters; the limit is 256"
    elif not _TAG.fullmatch(key) or not _TAG.fullmatch(text):
        part = "value" if _TAG.fullmatch(key) else "key"
        problem = f"its {part} may contain only letters, digits, spaces and `_.:/=+-@`"
        hint = "remove the other characters"
    if problem:
        findings.at_key(path, "F509", f"invalid tag `{shortened(key)}`: {problem}", hint)
