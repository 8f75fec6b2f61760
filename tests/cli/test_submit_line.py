"""What `submit --wait` prints of a job is one line of JSON that any terminal can hold."""

from __future__ import annotations

import json

import pytest

from factory_cdk.cli.commands.submit import _line


@pytest.mark.parametrize("text", ["\ud800", "\x1b[31m", "\x7f", "\x9b", "\u2028", "a\nb", "ünïcode"])
def test_a_result_is_one_line_without_control_characters(text: str) -> None:
    line = _line({"result": text}).decode()
    assert line.isprintable()
    assert json.loads(line) == {"result": text}
