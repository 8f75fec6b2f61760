"""Programs as bots: stdin and variables in, stdout and the exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


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


@pytest.mark.parametrize(
    ("content", "mode", "name", "kind", "why"),
    [
        (b"#!/bin/sh\ncat\n", 0o644, "./solve", "CommandNotFound", "its mode does not allow to run it: chmod +x"),
        (b"#!/bin/sh\ncat\n", 0o755, "solve", "CommandNotFound", "there is one in the bot's folder: write './solve'"),
        (None, 0o755, "./solve", "CommandNotFound", "'./solve' is a folder, not a program"),
        (b"#!/bin/sh\r\ncat\r\n", 0o755, "./solve", "CommandNotRunnable", "its lines end as on Windows (CRLF)"),
        (b"#!/no/such/python3 -u\n", 0o755, "./solve", "CommandNotRunnable", "names '/no/such/python3', which is not"),
        (b"cat\n", 0o755, "./solve", "CommandNotRunnable", "its first line does not say what runs it"),
    ],
)
def test_a_program_that_is_there_and_cannot_be_run_is_refused_with_the_reason(
    start: Callable[..., Any], tmp_path: Path, content: bytes | None, mode: int, name: str, kind: str, why: str
) -> None:
    program = tmp_path / "solve"
    program.mkdir() if content is None else program.write_bytes(content)
    program.chmod(mode)
    answer = start().start(tmp_path, command=[name])
    assert (answer["kind"], answer["error"]["type"]) == ("broken", kind)
    assert why in answer["error"]["message"]


def test_a_large_payload_comes_on_stdin_alone(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    script = "import json, os, sys; print(json.dumps([len(json.load(sys.stdin)), 'FACTORY_PAYLOAD' in os.environ]))"
    shim.start(tmp_path, command=[sys.executable, "-c", script])
    assert shim.do("x" * 5_000_000)["result"] == [5_000_000, False]


BACKGROUND = """
import os, sys
print('"done"', flush=True)
print("from the job", file=sys.stderr, flush=True)
if os.fork() == 0:
    open(sys.argv[1]).close()
    refused = 0
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"late")
        except BrokenPipeError:
            refused += 1
    with open(sys.argv[1], "w") as file:
        print(refused, file=file)
"""


def test_a_job_ends_with_its_program_and_not_with_what_that_left_running(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    shim, gate = start(), tmp_path / "gate"
    shim.start(tmp_path, command=[sys.executable, "-c", BACKGROUND, str(gate)])
    os.mkfifo(gate)
    for _ in range(2):
        assert shim.do(None)["result"] == "done"
        gate.open("w").close()
        assert gate.read_text() == "2\n", "whoever goes on is refused, and does not wait"
    assert shim.printed() == "from the job\n" * 2


def test_a_child_that_floods_what_the_program_left_open_holds_up_no_job(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    shim = start()
    shim.start(tmp_path, command=["sh", "-c", "yes 1 >&2 & echo 5"])
    assert [shim.do(None)["result"] for _ in range(3)] == [5, 5, 5]


def test_all_that_a_program_printed_is_its_result_however_fast_it_ended(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    shim = start()
    shim.start(tmp_path, command=[sys.executable, "-c", "print('\"' + 'x' * 60_000 + '\"')"])
    assert all(len(shim.do(None)["result"]) == 60_000 for _ in range(20))


def test_what_a_program_says_last_on_stderr_is_a_line_of_its_own(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    shim.start(tmp_path, command=["sh", "-c", "printf half >&2; exit 1"])
    assert [shim.do(None)["error"]["traceback"] for _ in range(2)] == ["half", "half"]
    assert shim.printed() == "half\nhalf\n"


def test_a_program_that_prints_more_than_a_result_may_have_is_ended(start: Callable[..., Any], tmp_path: Path) -> None:
    shim = start()
    shim.start(tmp_path, command=["yes"])
    error = shim.do(None)["error"]
    assert error["type"] == "ResultTooLarge"
    assert "more than 8 MiB" in error["message"]
