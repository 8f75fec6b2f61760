"""The JSON in parameters: one text for one value, and nothing in it that AWS or CDK evaluates."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_cdk.design.values import PARAMETER_LIMIT, canonical, literal, split

NASTY = st.text(alphabet=list("{}$#![]Token.resolve:0\\\"'\n<>&\u2028é😀"))


@given(st.dictionaries(NASTY, NASTY | st.lists(NASTY)))
def test_any_value_comes_back_and_holds_nothing_that_is_evaluated(value: dict[str, Any]) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not re.search(r"\{\{|[$#]\{Token\[", text)
    assert "".join(split(text)) == text


@pytest.mark.parametrize(
    "text", ["{{resolve:ssm:x}}", "{{{resolve:ssm:x}}}", "{{{{resolve:ssm:x}}", "${Token[AWS.AccountId.0]}"]
)
def test_references_and_tokens_are_escaped_however_many_braces_stand_before_them(text: str) -> None:
    written = canonical({"x": text})
    assert "{{" not in written
    assert "{Token[" not in written.replace("\\u0024{", "")
    assert json.loads(written) == {"x": text}


def test_the_order_of_keys_does_not_matter() -> None:
    assert canonical({"a": 1, "b": [{"d": 1, "c": 2}]}) == canonical({"b": [{"c": 2, "d": 1}], "a": 1})


def test_parts_hold_four_kibibytes_at_the_most() -> None:
    parts = split(canonical({"x": "y" * 10_000}))
    assert [len(part) <= PARAMETER_LIMIT for part in parts] == [True] * 3


@pytest.mark.parametrize("text", ["${AWS::AccountId}", "a$${X}b", "${!X}", "${A}${B}", "no braces, $ and {} alone"])
def test_literal_text_survives_fn_sub(text: str) -> None:
    """As CloudFormation documents Fn::Sub: `${!Literal}` becomes `${Literal}`, and nothing else is left to fill."""
    written = literal(text)
    assert not re.search(r"\$\{(?!!)", written)
    assert re.sub(r"\$\{!([^}]*)\}", r"${\1}", written) == text
