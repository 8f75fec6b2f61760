"""JSON as templates and parameters hold it: one text for one value, and nothing in it that AWS evaluates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from factory_cdk.canonical_json import canonical_json
from factory_cdk.plan.model import Json

PARAMETER_LIMIT = 4096
"""Bytes of a standard SSM parameter (https://docs.aws.amazon.com/general/latest/gr/ssm.html)."""


_EVALUATED = re.compile(r"\{(?=\{)|[$#](?=\{Token\[)")
"""The first character of what is evaluated inside a template's text: `{{` starts a reference that CloudFormation
resolves and SSM refuses, `${Token[` and `#{Token[` are how CDK writes a value that it does not know yet."""


def canonical(value: Json) -> str:
    """`value` as compact JSON in ASCII with sorted keys, holding nothing that CloudFormation or CDK evaluates.

    What they would evaluate can only be inside a JSON string, where its first character is escaped.
    """
    return _EVALUATED.sub(lambda found: f"\\u{ord(found[0]):04x}", canonical_json(value))


def sha256(text: str) -> str:
    """The SHA-256 of `text` in UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def split(text: str, limit: int = PARAMETER_LIMIT) -> list[str]:
    """`text` (ASCII) in parts of at most `limit` bytes; joined they are the text again."""
    return [text[start : start + limit] for start in range(0, len(text), limit)]


def ref(logical_id: str) -> Json:
    """A reference to a resource of the same template."""
    return {"Ref": logical_id}


def sub(text: str) -> Json:
    """`text` with its `${…}` filled in by CloudFormation; user text goes through `literal` first."""
    return {"Fn::Sub": text}


def literal(text: str) -> str:
    """`text` so that Fn::Sub leaves it as it is."""
    return text.replace("${", "${!")


def tag_list(tags: Mapping[str, str]) -> list[Json]:
    """Tags as most resources want them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
