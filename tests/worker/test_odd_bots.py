"""Bots that meddle with the process they run in: the shim keeps its word to the runner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ODD = """
import os, sys

def fork(payload):
    os.fork()
    return payload

def close(payload):
    sys.stdout.close()
    return payload

def remove(payload):
    sys.stdout = None
    return payload
"""


@pytest.mark.parametrize("bot", ["fork", "close", "remove"])
def test_a_bot_that_forks_or_loses_its_stdout_has_each_job_answered_once(
    start: Callable[..., Any], tmp_path: Path, bot: str
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    shim = start()
    assert shim.start(tmp_path, f"odd:{bot}") == {"kind": "ready"}
    for payload in (1, 2):
        assert shim.do(payload) == {"kind": "done", "id": "j1", "result": payload}
    shim.say("stop")
    assert shim.ends() == 0
