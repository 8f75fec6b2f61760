"""Programs as bots: stdin and variables in, stdout and the exit code out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_program_gets_the_payload_on_stdin_and_answers_on_stdout(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    script = "import json, sys; print(json.dumps({'got': json.load(sys.stdin)}))"
    assert shim.start(tmp_path, command=[sys.executable, "-c", script]) == {"kind": "ready"}
    assert shim.do({"a": "ü"}) == {"kind": "done", "id": "j1", "result": {"got": {"a": "ü"}}}


def test_a_program_gets_the_job_in_variables(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    names = ("FACTORY_PAYLOAD", "FACTORY_JOB_ID", "FACTORY_ATTEMPT", "FACTORY_TAGS", "FACTORY_RUN", "SHADE")
    script = f"import json, os; print(json.dumps([os.environ[name] for name in {names!r}]))"
    shim.start(tmp_path, command=[sys.executable, "-c", script], variables={"SHADE": "dark"})
    answer = shim.do([1, 2], attempt=2, tags={"k": "v"})
    assert answer["result"] == ["[1, 2]", "j1", "2", '{"k": "v"}', "r1", "dark"]


def test_a_program_that_prints_nothing_and_reads_nothing_succeeds_with_null(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    shim = start()
    shim.start(tmp_path, command=["true"])
    assert shim.do("x" * 1_000_000)["result"] is None


def test_the_exit_code_decides_and_stderr_is_told_and_logged(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    script = "import sys; print('{}'); print('went wrong', file=sys.stderr); sys.exit(3)"
    shim.start(tmp_path, command=[sys.executable, "-c", script])
    error = shim.do(None)["error"]
    assert error["type"] == "CommandFailed"
    assert error["message"].endswith("exited with 3")
    assert error["traceback"] == "went wrong\n"
    assert shim.printed() == "went wrong\n"


def test_a_program_ended_by_a_signal_fails_by_its_name(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    shim.start(tmp_path, command=["sh", "-c", "kill -TERM $$"])
    assert shim.do(None)["error"]["message"].endswith("was ended by SIGTERM")


def test_output_that_is_not_json_fails_and_is_quoted(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    shim.start(tmp_path, command=["echo", "plain words"])
    error = shim.do(None)["error"]
    assert error["type"] == "ResultNotJson"
    assert "plain words" in error["message"]


def test_a_program_that_does_not_exist_cannot_be_loaded(start: Callable[..., Any], tmp_path: Path) -> None:
    answer = start().start(tmp_path, command=["no-such-program-anywhere"])
    assert answer["error"]["type"] == "CommandNotFound"


def test_a_large_payload_comes_on_stdin_alone(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    script = "import json, os, sys; print(json.dumps([len(json.load(sys.stdin)), 'FACTORY_PAYLOAD' in os.environ]))"
    shim.start(tmp_path, command=[sys.executable, "-c", script])
    assert shim.do("x" * 5_000_000)["result"] == [5_000_000, False]
