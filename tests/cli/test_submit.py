"""`factory-cdk submit`: what it takes, what it prints of jobs, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from local_works import lives, until
from patience import PATIENCE
from queue_calls import run_jobs
from shell import Shell

from factory_cdk.cli.commands.submit import _line
from factory_cdk.queues.sqlite.engine import SqliteQueues


def lines_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_submit_takes_a_payload_a_file_or_lines_and_prints_the_run_once_it_is_on_disk(shell: Shell) -> None:
    shell.build()
    shell.run("stop", "--name", "journey")
    (shell.folder / "one.json").write_text('{"ö": [1]}', encoding="utf-8")
    (shell.folder / "many.jsonl").write_text('"a"\n\n"b"\n')
    base = ("submit", "--name", "journey", "--stage", "test", "--bot", "cut")
    runs = [
        shell.run(*base, "--payload", "null")[0].strip(),
        shell.run(*base, "--file", "one.json", "--tag", "a=b=c")[0].strip(),
        shell.run(*base, "--lines", "many.jsonl", "--tag", "k=")[0].strip(),
        shell.run(*base, "--file", "-", input_="[]")[0].strip(),
    ]
    with SqliteQueues(shell.home / "factories" / "journey" / "test" / "queues" / "queues.sqlite3") as queues:
        found = [[record.job for record in run_jobs(queues, run)] for run in runs]
    assert [[job.payload for job in jobs] for jobs in found] == [[None], [{"ö": [1]}], ["a", "b"], [[]]]
    assert [dict(jobs[0].tags) for jobs in found] == [{}, {"a": "b=c"}, {"k": ""}, {}]


@pytest.mark.slow
def test_waiting_prints_descendants_too_progress_is_on_stderr_and_the_exit_code_tells(shell: Shell) -> None:
    shell.build()
    base = ("submit", "--name", "journey", "--stage", "test", "--wait", "180", "--bot")
    out, err = shell.run(*base, "cut", "--payload", '"\\u202e ö x"')
    jobs = lines_of(out)
    assert {job["bot"] for job in jobs} == {"cut", "count", "shout"}
    assert all(set(job) == {"id", "parent", "bot", "outcome", "attempts", "result", "error"} for job in jobs)
    assert out.isprintable() or all(line.isprintable() for line in out.splitlines())
    assert "3 success" in err
    out, err = shell.run(*base, "odd", "--payload", "2", code=1)
    (dead,) = lines_of(out)
    assert (dead["outcome"], dead["attempts"], dead["error"]["attempt"]) == ("dead", 1, 1)
    assert set(dead["error"]) == {"type", "message", "traceback", "attempt"}
    assert "1 dead" in err


@pytest.mark.slow
def test_a_cancelled_job_is_told_and_is_no_dead_one(shell: Shell) -> None:
    shell.build()
    shell.run("stop", "--name", "journey")
    waiting = shell.start("submit", "--name", "journey", "--bot", "cut", "--payload", '"x"', "--wait", "180")
    with SqliteQueues(shell.home / "factories" / "journey" / "test" / "queues" / "queues.sqlite3") as queues:
        until(lambda: queues.history.cancel_queue("cut"))
    out, err = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0, err
    (job,) = lines_of(out)
    assert (job["outcome"], job["result"], job["error"]) == ("cancelled", None, None)


@pytest.mark.slow
def test_a_submission_to_a_runner_that_was_killed_is_kept_and_waiting_for_it_exits_4(shell: Shell) -> None:
    shell.build("other")
    os.kill(json.loads(shell.run("list", "--format", "json")[0])[0]["runner"], 9)
    until(lambda: json.loads(shell.run("list", "--format", "json")[0])[0]["state"] == "killed")
    submit = ("submit", "--name", "journey", "--bot", "hold", "--payload", '"gate"')
    assert "its runner was killed" in shell.run(*submit)[1]
    _, err = shell.run(*submit, "--wait", "180", code=4)
    assert "factory-cdk resume --name journey --stage other" in err
    assert "does not run (killed)" in shell.run("stop", "--name", "journey", code=1)[1]
    assert json.loads(shell.run("info", "--name", "journey", "--format", "json")[0])["bots"][0]["depth"]["ready"] == 2


@pytest.mark.slow
def test_a_dead_job_exits_1_and_names_its_error(shell: Shell) -> None:
    shell.build()
    lines = shell.folder / "numbers.jsonl"
    lines.write_text("1\n2\n\n3\n")
    jobs = shell.submit("--bot", "odd", "--lines", str(lines), code=1)
    assert sorted(job["outcome"] for job in jobs) == ["dead", "success", "success"]
    dead = next(job for job in jobs if job["outcome"] == "dead")
    assert dead["result"] is None
    assert (dead["error"]["type"], dead["error"]["message"]) == ("ValueError", "2 is even")
    assert 'raise ValueError(f"{number} is even")' in dead["error"]["traceback"]


@pytest.mark.slow
def test_submit_tells_a_time_out_and_a_runner_that_is_gone(shell: Shell) -> None:
    shell.build("other")
    gate = shell.folder / "gate"
    submit = ("submit", "--name", "journey", "--bot", "hold", "--payload", json.dumps(str(gate)))
    assert "not done after 0.2 s" in shell.run(*submit, "--wait", "0.2", code=3)[1]
    waiting = shell.start(*submit, "--wait", "180")
    (row,) = shell.workers()
    runner = json.loads(shell.run("list", "--format", "json")[0])[0]["runner"]
    until(
        lambda: json.loads(shell.run("info", "--name", "journey", "--format", "json")[0])["bots"][0]["depth"]["ready"]
    )
    os.kill(runner, signal.SIGKILL)
    _, err = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 4
    assert "factory-cdk resume --name journey --stage other" in err
    until(lambda: not lives(row["pid"]))
    assert [row["state"] for row in shell.workers()] == ["gone"]
    _, err = shell.run("ps")
    assert "its runner was killed" in err
    gate.touch()
    shell.run("resume", "--name", "journey")
    until(lambda: shell.workers()[0]["done"] == 2)


@pytest.mark.slow
def test_wrong_usage_of_submit_is_told_and_a_quiet_one_says_results_alone(shell: Shell) -> None:
    shell.build()
    out, err = shell.run("submit", "--name", "journey", "-q", "--bot", "count", "--payload", "[1]", "--wait", "180")
    assert (json.loads(out)["result"], err) == ({"words": 1}, "")
    (shell.folder / "broken.jsonl").write_text("1\n{\n")
    for arguments, code, said in (
        (["--bot", "cut"], 2, "give one of --payload, --file and --lines"),
        (["--bot", "cut", "--payload", "{"], 1, "--payload: not JSON"),
        (["--bot", "cut", "--payload", "some text"], 1, """a shell takes these in single ones: '"some text"'"""),
        (["--bot", "cut", "--payload", "NaN"], 1, "NaN is not JSON"),
        (["--bot", "who", "--payload", "1"], 1, "its bots: cut, count, shout, odd"),
        (["--bot", "cut", "--payload", "1", "--tag", "x"], 2, "is not KEY=VALUE"),
        (["--bot", "cut", "--lines", "broken.jsonl"], 1, "broken.jsonl:2: not JSON"),
        (["--bot", "cut", "--file", "absent.json"], 2, "absent.json"),
    ):
        _, err = shell.run("submit", "--name", "journey", "--stage", "test", *arguments, code=code)
        assert said in err


@pytest.mark.parametrize("text", ["\ud800", "\x1b[31m", "\x7f", "\x9b", "\u2028", "a\nb", "ünïcode"])
def test_a_result_is_one_line_without_control_characters(text: str) -> None:
    line = _line({"result": text}).decode()
    assert line.isprintable()
    assert json.loads(line) == {"result": text}
