"""JSON that is nested too deeply is refused by whoever would hand it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from queue_calls import depth

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import Job
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.worker.depth import DEEPEST, check_depth
from factory_cdk.worker.frames import HEADER, FrameBuffer, FrameError


def nested(depth: int) -> Any:
    value: Any = [1]
    for level in range(depth - 1):
        value = [value] if level % 2 else {"in": value}
    return value


def test_the_deepest_value_is_let_through_and_one_level_more_is_not() -> None:
    check_depth(nested(DEEPEST), json.dumps(nested(DEEPEST)))
    check_depth([[]] * 1000, "[]" * 1001)
    with pytest.raises(ValueError, match="deeper than 200"):
        check_depth(nested(DEEPEST + 1), json.dumps(nested(DEEPEST + 1)))


def test_a_frame_too_deep_to_be_read_is_a_frame_error() -> None:
    body = b'{"kind":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(FrameError):
        FrameBuffer().feed(HEADER.pack(len(body)) + body)


def test_the_queues_refuse_a_payload_that_is_too_deep(tmp_path: Path) -> None:
    with SqliteQueues(tmp_path / "queues.db") as queues:
        queues.send("q", [Job("deep", "bot", nested(DEEPEST), "run")])
        with pytest.raises(FactoryError, match="deeper than 200"):
            queues.send("q", [Job("deeper", "bot", nested(DEEPEST + 1), "run")])
        assert depth(queues, "q").ready == 1


def test_a_result_that_is_too_deep_fails_its_job_and_the_worker_goes_on(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "deep.py").write_text(
        "def nest(depth):\n    value = 1\n    for _ in range(depth):\n        value = [value]\n    return value\n"
    )
    shim = start()
    assert shim.start(tmp_path, "deep:nest") == {"kind": "ready"}
    answer = shim.do(DEEPEST + 1)
    assert (answer["kind"], answer["error"]["type"]) == ("failed", "ResultNotJson")
    assert shim.do(DEEPEST)["kind"] == "done"
