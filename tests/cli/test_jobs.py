"""`factory-cdk jobs`, from the command line, on the queues of a stage whose runner does not run."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from queue_calls import claim, fail, finish

from factory_cdk.cli import main
from factory_cdk.queues.port import Failure, Forward, Job
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.state.files import write_json
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json
from factory_cdk.state.stage_folder import stage_folder

TRACEBACK = 'Traceback (most recent call last):\n  File "weld.py", line 1, in weld\nValueError: too \x1b[31mhot\n'


@dataclass
class Shell:
    home: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, command: str, *arguments: str, code: int = 0, input_: str = "") -> tuple[str, str]:
        """The output and the errors of `factory-cdk jobs COMMAND`."""
        self.monkeypatch.setattr(sys, "argv", ["factory-cdk", "jobs", command, "--name", "works", *arguments])
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(input_))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        assert ended.value.code == code, (out, err)
        return out, err

    def json(self, command: str, *arguments: str) -> Any:
        return json.loads(self.run(command, *arguments, "--format", "json")[0])

    def queues(self) -> SqliteQueues:
        return SqliteQueues(stage_folder(self.home, "works", "test").database / "queues.sqlite3")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A stage with a success (and what follows from it), a dead letter and a waiting job."""
    monkeypatch.setenv("FACTORY_CDK_HOME", str(tmp_path))
    made = Shell(tmp_path, monkeypatch, capsys)
    state = stage_folder(tmp_path, "works", "test")
    state.path.mkdir(parents=True)
    write_json(state.spec, spec_as_json(RunnerSpec("works", "test", (), ())))
    ask(state, gate="closed")
    with made.queues() as queues:
        queues.send("weld", [Job("aa-1", "weld", {"n": 1}, "aa", tags={"k": "v"}), Job("aa-2", "weld", "x", "aa")])
        first, second = claim(queues, "weld", 2, lease=60)
        finish(queues, first, [Forward("paint", Job("aa-1-next", "paint", [2], "aa", "aa-1"))], [2])
        fail(queues, second, Failure("ValueError", "too \x1b[31mhot", TRACEBACK, 1), delay=None)
    return made


def test_jobs_are_listed_as_table_json_and_csv(shell: Shell) -> None:
    table, _ = shell.run("list")
    assert [line.split()[:4] for line in table.splitlines()] == [
        ["id", "bot", "state", "attempts"],
        ["aa-1-next", "paint", "ready", "0"],
        ["aa-2", "weld", "dead", "1"],
        ["aa-1", "weld", "success", "1"],
    ]
    assert "ValueError: too \\x1b[31mhot" in table
    found = shell.json("list")
    assert [row["id"] for row in found] == ["aa-1-next", "aa-2", "aa-1"]
    assert found[2]["payload"] == {"n": 1}
    assert found[2]["result"] == [2]
    assert found[2]["tags"] == {"k": "v"}
    assert found[2]["waiting"] >= 0
    rows = list(csv.DictReader(io.StringIO(shell.run("list", "--format", "csv")[0])))
    assert rows[1]["error_type"] == "ValueError"
    assert json.loads(rows[2]["payload"]) == {"n": 1}


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--bot", "weld"], ["aa-2", "aa-1"]),
        (["--outcome", "dead", "--outcome", "ready"], ["aa-1-next", "aa-2"]),
        (["--tag", "k=v"], ["aa-1"]),
        (["--run", "bb"], []),
        (["--since", "1h"], ["aa-1-next", "aa-2", "aa-1"]),
        (["--until", "1h"], []),
        (["--since", "2020-01-01", "--until", "2021-01-01T00:00:00Z"], []),
        (["--limit", "1"], ["aa-1-next"]),
    ],
)
def test_lists_are_narrowed_by_options(shell: Shell, options: list[str], ids: list[str]) -> None:
    assert [row["id"] for row in shell.json("list", *options)] == ids


def test_a_list_that_was_cut_says_so(shell: Shell) -> None:
    assert "--limit 0 shows all" in shell.run("list", "--limit", "2")[1]
    assert shell.run("list", "--limit", "0")[1] == ""
    assert shell.run("list", "--bot", "weld", "--until", "1h") == ("", "no such jobs\n")


@pytest.mark.parametrize("arguments", [("list",), ("dead",), ("stats",), ("retry", "--all"), ("cancel", "--all")])
def test_a_bot_that_nobody_knows_is_named(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert "works/test has no bot wled" in shell.run(*arguments, "--bot", "wled", code=1)[1]


def test_cells_of_csv_are_neither_formulas_nor_escape_sequences(shell: Shell) -> None:
    said = "=HYPERLINK(1)\x1b[2J\r\nnext"
    with shell.queues() as queues:
        queues.send("-weld", [Job("bb-1", "weld", said, "bb", tags={"=1+1": "@x"})])
        (lease,) = claim(queues, "-weld", 1, lease=60)
        fail(queues, lease, Failure("ValueError", said, "", 1), delay=None)
    out, _ = shell.run("list", "--run", "bb", "--format", "csv")
    assert "\x1b" not in out
    (row,) = csv.DictReader(io.StringIO(out))
    assert json.loads(row["payload"]) == said
    assert json.loads(row["tags"]) == {"=1+1": "@x"}
    assert row["error_message"] == "'=HYPERLINK(1)\\x1b[2J\\x0d\nnext"
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_a_failure_without_a_traceback_is_shown_with_what_it_said(shell: Shell) -> None:
    with shell.queues() as queues:
        queues.send("weld", [Job("bb-1", "weld", "text", "bb")])
        (lease,) = claim(queues, "weld", 1, lease=60)
        fail(queues, lease, Failure("WorkerDied", "the worker exited with 3", "last words", 1), delay=None)
    text, _ = shell.run("show", "bb-1")
    assert text.endswith("attempt 1 failed\nWorkerDied: the worker exited with 3\nlast words\n")
    assert '  "text"\n' in text, "a payload is shown as JSON"


def test_attempts_after_a_retry_are_told_from_those_before(shell: Shell) -> None:
    shell.run("retry", "aa-2")
    with shell.queues() as queues:
        for delay in (0.0, None):
            (lease,) = claim(queues, "weld", 1, lease=60)
            fail(queues, lease, Failure("ValueError", "again", "", lease.job.attempt), delay=delay)
    lines = shell.run("show", "aa-2")[0].splitlines()
    titles = ["attempt 1 failed", "attempt 1 after retry 1 failed", "attempt 2 after retry 1 failed"]
    assert [line for line in lines if line.endswith(" failed")] == titles
    assert ["attempts", "3"] in [line.split() for line in lines]


def test_retry_and_cancel_answer_with_ids_to_programs(shell: Shell) -> None:
    assert shell.json("retry", "--all") == ["aa-2"]
    assert shell.json("cancel", "aa-1-next", "aa-2") == ["aa-1-next", "aa-2"]
    assert shell.run("cancel", "--all")[0] == "0 jobs cancelled\n", "there is nothing to ask about"
    shell.run("retry", "aa-2")
    assert "say --yes" in shell.run("cancel", "--all", code=1)[1], "nobody is there to answer"


def test_a_job_is_shown_with_its_failures_and_what_follows_from_it(shell: Shell) -> None:
    text, _ = shell.run("show", "aa-2")
    assert 'File "weld.py", line 1, in weld' in text
    assert "\x1b" not in text
    assert shell.json("show", "aa-1")["next"] == ["aa-1-next"]
    assert shell.json("show", "aa-1-")["id"] == "aa-1-next"
    assert "several jobs have an id that starts with aa" in shell.run("show", "aa", code=1)[1]
    assert "has no job zz" in shell.run("show", "zz", code=1)[1]


def test_dead_letters_come_with_their_tracebacks(shell: Shell) -> None:
    (dead,) = shell.json("dead")
    assert dead["failures"] == [
        {"type": "ValueError", "message": "too \x1b[31mhot", "traceback": TRACEBACK, "attempt": 1}
    ]
    assert shell.json("dead", "--bot", "paint") == []


def test_a_retried_dead_letter_keeps_its_id_and_its_history(shell: Shell) -> None:
    out, err = shell.run("retry", "aa-2")
    assert out == "1 job ready again\n"
    assert "factory-cdk resume --name works --stage test" in err, "nobody works on it"
    row = shell.json("show", "aa-2")
    assert (row["state"], row["attempts"], len(row["failures"])) == ("ready", 1, 1)
    with shell.queues() as queues:
        (lease,) = claim(queues, "weld", 1, lease=60)
        finish(queues, lease, [], "done")
    row = shell.json("show", "aa-2")
    assert (row["state"], row["attempts"], row["result"], len(row["failures"])) == ("success", 2, "done", 1)


def test_retry_by_options_takes_dead_letters_alone(shell: Shell) -> None:
    shell.run("cancel", "aa-1-next")
    assert shell.run("retry", "--all", "--bot", "paint")[0] == "0 jobs ready again\n"
    assert shell.run("retry", "--all", "--since", "1h")[0] == "1 job ready again\n"
    assert shell.run("retry", "aa-1-next")[0] == "1 job ready again\n"


def test_ids_that_do_not_fit_change_nothing(shell: Shell) -> None:
    assert "job aa-1 is success, not dead or cancelled" in shell.run("retry", "aa-2", "aa-1", code=1)[1]
    assert "has no job zz" in shell.run("retry", "aa-2", "zz", code=1)[1]
    assert "ids are given whole here" in shell.run("retry", "aa", code=1)[1]
    assert "job aa-2 is dead, not ready or delayed or leased" in shell.run("cancel", "aa-2", code=1)[1]
    assert [row["id"] for row in shell.json("dead")] == ["aa-2"]


def test_cancelling_by_options_asks_first(shell: Shell) -> None:
    assert "cancel 1 job?" in shell.run("cancel", "--all", code=1, input_="n\n")[1]
    assert shell.run("cancel", "--all", "--yes")[0] == "1 job cancelled\n"
    assert shell.json("show", "aa-1-next")["state"] == "cancelled"


def test_statistics_are_counted_bot_by_bot(shell: Shell) -> None:
    weld, paint = shell.json("stats")
    assert {key: weld[key] for key in ("bot", "count", "success", "dead", "attempts", "failures")} == {
        "bot": "weld", "count": 2, "success": 1, "dead": 1, "attempts": 2, "failures": 1
    }  # fmt: skip
    assert set(weld["waiting"]) == set(weld["processing"]) == {"p50", "p95", "max"}
    assert (paint["live"], paint["waiting"], paint["processing"]) == (1, None, None)
    (dead,) = shell.json("stats", "--outcome", "dead")
    assert (dead["bot"], dead["count"], dead["failures"]) == ("weld", 1, 1)
    rows = list(csv.DictReader(io.StringIO(shell.run("stats", "--format", "csv")[0])))
    assert (rows[0]["bot"], rows[0]["count"], rows[1]["waiting_p95"]) == ("weld", "2", "")
    assert float(rows[0]["processing_max"]) >= 0
    assert shell.run("stats", "--bot", "weld")[0].split("\n")[0].split()[:3] == ["bot", "count", "success"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--since", "soon"), "neither like 10m"),
        (("list", "--tag", "k"), "is not KEY=VALUE"),
        (("list", "--outcome", "fine"), "is not one of"),
        (("retry",), "give the ids of jobs, or --all"),
        (("retry", "--all", "aa-1"), "give the ids of jobs, or --all"),
        (("retry", "aa-1", "--bot", "weld"), "go with --all"),
    ],
)
def test_wrong_usage_is_told(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    assert said in shell.run(*arguments, code=2)[1]


def test_a_thousand_jobs_are_counted_at_once(shell: Shell) -> None:
    with shell.queues() as queues:
        queues.send("many", [Job(f"m-{number}", "many", None, "m") for number in range(1000)])
        for lease in claim(queues, "many", 1000, lease=60):
            finish(queues, lease, [])
    began = time.monotonic()
    (many,) = shell.json("stats", "--bot", "many")
    assert many["success"] == 1000
    assert time.monotonic() - began < 60


def test_a_stage_that_another_version_has_built_is_not_asked(shell: Shell) -> None:
    write_json(stage_folder(shell.home, "works", "test").spec, {"version": 0})
    _, err = shell.run("list", code=1)
    assert "works/test was built by another version of factory-cdk" in err
