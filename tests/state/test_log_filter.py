"""Lines of a log by job, time and level; and the options of `logs`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from factory_cdk.cli import main
from factory_cdk.state.files import write_json
from factory_cdk.state.log_filter import LogFilter, matcher
from factory_cdk.state.log_folder import LogFolder
from factory_cdk.state.logs import Stream, stamp
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json
from factory_cdk.state.stage_folder import stage_folder

LINES = [
    "1970-01-01T00:00:10.000Z runner - | runner 7 started",
    "1970-01-01T00:00:20.000Z here/weld.1 j1 | plain words",
    "1970-01-01T00:00:30.000Z here/weld.1 j1 | ERROR hot",
    "1970-01-01T00:00:30.000Z here/weld.2 j2 | DEBUG cold",
    "1970-01-01T00:00:31.000Z here/weld.1 j1 | Traceback (most recent call last):",
    "1970-01-01T00:00:32.000Z here/weld.1 j1 | ValueError: hot",
    "1970-01-01T00:00:40.000Z here/weld.1 j1 | INFO cool",
    "1970-01-01T00:00:50.000Z here/weld.1 j3 | 2026-11-22 03:04:05 mine.module WARN odd | even",
    "1970-01-01T00:00:60.000Z here/weld.1 j3 | INFORMATION is no level, nor is ERRORS",
    "1970-01-01T00:01:01.000Z here/weld.1 j4 | ERROR attempt 1 of 3 failed: ValueError: hot",
    "1970-01-01T00:01:01.000Z here/weld.1 j4 | Traceback (most recent call last):",
    "1970-01-01T00:01:01.000Z here/weld.1 j4 |     log.debug('DEBUG')",
    "1970-01-01T00:01:01.000Z here/weld.1 j4 | ValueError: INFO",
    "1970-01-01T00:01:01.000Z here/weld.1 j4 | INFO it is tried again in 1 s",
    "1970-01-01T00:01:02.000Z here/weld.1 j4 | plain words of the next attempt",
]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (LogFilter(), range(15)),
        (LogFilter(job="j1"), [1, 2, 4, 5, 6]),
        (LogFilter(job="j"), []),
        (LogFilter(since=30.0), range(2, 15)),
        (LogFilter(until=30.0), [0, 1]),
        (LogFilter(since=31.0, until=40.0), [4, 5]),
        (LogFilter(level="ERROR"), [2, 4, 5, 9, 10, 11, 12]),
        (LogFilter(level="WARNING"), [2, 4, 5, 7, 8, 9, 10, 11, 12]),
        (LogFilter(level="INFO"), [0, 1, 2, *range(4, 15)]),
        (LogFilter(level="DEBUG"), range(15)),
        (LogFilter(job="j1", level="ERROR", since=32.0), [5]),
    ],
)
def test_lines_are_chosen_by_everything_that_is_asked(wanted: LogFilter, numbers: list[int]) -> None:
    is_wanted = matcher(wanted)
    assert [number for number, line in enumerate(LINES) if is_wanted(line)] == list(numbers)


def test_the_options_of_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACTORY_CDK_HOME", str(tmp_path))
    state = stage_folder(tmp_path, "works", "test")
    state.path.mkdir(parents=True)
    write_json(state.spec, spec_as_json(RunnerSpec("works", "test", (), ())))
    ask(state, gate="closed")
    stream = Stream(LogFolder(state.logs))
    log = stream.log("here/weld.1")
    log.write(b"INFO one\nERROR two\n", ["j1"])
    log.write(b"WARNING three\n", ["j2"])
    stream.close()

    def logs(*options: str, code: int = 0) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["factory-cdk", "logs", "--name", "works", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == code, err
        return [line.rpartition(" ")[2] for line in (out or err).splitlines()]

    assert logs() == ["one", "two", "three"]
    assert logs("--job", "j1") == ["one", "two"]
    assert logs("--level", "warning") == ["two", "three"]
    assert logs("--since", "1h", "--level", "error") == ["two"]
    assert logs("--until", "1h") == ["match"], "none: it says so"
    assert logs("--until", stamp(time.time() + 60)) == ["one", "two", "three"]
    assert logs("--until", "1h", "-f", code=2)[-1] == "together"
