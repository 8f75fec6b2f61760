"""What the commands promise, one by one: their options, outputs, keys and exit codes, and how they refuse."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from local_works import lives, until
from patience import PATIENCE
from queue_calls import run_jobs
from shell import Shell, fill

from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.state.logs import LARGEST_FILE, RotatedFile, Stream, follow_stream

WORKER = {
    "factory", "stage", "sector", "bot", "worker", "pid", "state", "uptime", "restarts", "done", "failed", "in_hand"
}  # fmt: skip


def lines_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


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


def test_ps_lists_workers_only_in_json_and_names_every_column_in_text(shell: Shell) -> None:
    assert json.loads(shell.run("ps", "--format", "json")[0]) == []
    assert "nothing is built here" in shell.run("ps")[1]
    shell.build()
    rows = shell.workers()
    assert all(set(row) >= WORKER for row in rows)
    assert len(rows) == 5
    header = shell.run("ps", "--name", "journey", "--stage", "test")[0].splitlines()[0].split("  ")
    assert [name.strip() for name in header if name.strip()] == [
        "factory", "stage", "sector", "bot", "worker", "pid", "state", "uptime", "restarts", "done", "failed", "in hand"
    ]  # fmt: skip
    assert "nobody is not built here" in shell.run("ps", "--name", "nobody", code=1)[1]


def test_commands_for_a_stage_that_is_not_built_say_what_is(shell: Shell) -> None:
    shell.build("other")
    for command in ("stop", "resume", "info", "logs", "demolish"):
        _, err = shell.run(command, "--name", "journey", "--stage", "test", code=1)
        assert "journey/test is not built here" in err
        assert "built: journey/other" in err
    shell.build("test")
    for command in ("stop", "resume", "info", "logs"):
        assert "several stages: other, test" in shell.run(command, "--name", "journey", code=2)[1]


def test_demolish_without_an_answer_changes_nothing_and_says_what_to_say(shell: Shell) -> None:
    shell.build("other")
    _, err = shell.run("demolish", "--name", "journey", code=1)
    assert "say --yes" in err
    assert [row["state"] for row in shell.workers()] == ["ready"]
    shell.run("stop", "--name", "journey")
    shell.run("submit", "--name", "journey", "--bot", "hold", "--payload", "1")
    _, err = shell.run("demolish", "--name", "journey", "--yes")
    assert "discarding 1 job and 0 dead letters" in err


def test_logs_of_one_bot_alone_are_followed_from_the_first_line_on(shell: Shell) -> None:
    shell.build()
    shell.submit("--bot", "cut", "--payload", '"one two"')
    following = shell.start("logs", "--name", "journey", "-f", "--bot", "count")
    assert following.stdout is not None
    assert following.stdout.readline().endswith("| counting\n")
    shell.submit("--bot", "cut", "--payload", '"three"')
    assert following.stdout.readline().endswith("| counting\n")
    shell.run("demolish", "--name", "journey", "--yes")
    out, _ = following.communicate(timeout=PATIENCE)
    assert (following.returncode, out) == (0, "")


def test_a_stream_that_is_put_aside_is_followed_without_a_gap_and_without_other_bots(tmp_path: Path) -> None:
    stream = Stream(tmp_path)
    mine, other = stream.log("here/mine.1"), stream.log("here/other.1")
    mine.write(b"before\n")
    following = follow_stream(tmp_path, "mine", whole=True, pause=0.0)
    assert str(next(following)).endswith("| before")
    assert next(following) is None
    mine.write(b"last of the old\n")
    other.write(b"x" * LARGEST_FILE + b"\n")
    mine.write(b"first of the new\n")
    found = [line for _, line in zip(range(4), following, strict=False) if line is not None]
    assert [line.rpartition("| ")[2] for line in found] == ["last of the old", "first of the new"]
    stream.close()


def test_no_file_of_the_log_grows_without_bound(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "a.log", largest=100, kept=2)
    for number in range(100):
        file.write(f"{number:09}\n".encode())
    file.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"a.log", "a.log.1", "a.log.2"}
    assert max(sizes.values()) <= 100


def test_of_two_builds_at_once_one_is_told_and_the_other_builds(shell: Shell) -> None:
    builds = [shell.start("build", "--plan", str(shell.plan), "--stage", "test") for _ in range(2)]
    said = [build.communicate(timeout=PATIENCE)[1] for build in builds]
    assert sorted(build.returncode for build in builds) == [0, 1], said
    refused = said[0] if builds[0].returncode else said[1]
    assert "by another command" in refused or "is built already" in refused
    assert len(shell.workers()) == 5


@pytest.mark.parametrize("variables", [{"HOME": None, "XDG_DATA_HOME": None}, {"LC_ALL": "C"}], ids=["homeless", "C"])
def test_the_journey_without_a_home_or_a_locale(shell: Shell, variables: dict[str, str | None]) -> None:
    shell.variables = {**variables, "UV_CACHE_DIR": None}
    shell.build()
    jobs = shell.submit("--bot", "cut", "--payload", '"ein zwei ö"')
    assert {job["bot"]: job["result"] for job in jobs}["shout"] == ["EIN", "ZWEI", "ö"]
    assert "| counting" in shell.run("logs", "--name", "journey")[0]
    workers = shell.workers()
    shell.run("demolish", "--name", "journey", "--yes")
    assert not any(lives(row["pid"]) for row in workers)


def test_on_a_full_disk_every_command_says_so_and_what_was_acknowledged_is_done_once_there_is_room(
    shell: Shell, small_disk: Path
) -> None:
    filler = fill(small_disk)
    _, err = shell.run("build", "--plan", str(shell.plan), "--stage", "test", code=1)
    assert "full" in err or "No space" in err
    filler.unlink()
    assert "nothing is built here" in shell.run("list")[1]
    shell.build()
    shell.run("stop", "--name", "journey")
    base = ("submit", "--name", "journey", "--bot", "count", "--payload")
    run = shell.run(*base, "[1]")[0].strip()
    filler = fill(small_disk)
    _, err = shell.run(*base, json.dumps("x" * 100_000), code=1)
    assert "full" in err
    assert len(shell.workers()) == 5
    _, err = shell.run("resume", "--name", "journey", code=1)
    assert "full" in err
    filler.unlink()
    shell.run("resume", "--name", "journey")
    with SqliteQueues(small_disk / "factories" / "journey" / "test" / "queues" / "queues.sqlite3") as queues:
        until(lambda: [str(record.outcome) for record in run_jobs(queues, run)] == ["success"])


def test_on_a_full_disk_a_stage_can_be_stopped_and_goes_on_once_there_is_room(shell: Shell, small_disk: Path) -> None:
    shell.build("other")
    gate = shell.folder / "gate"
    job = shell.run("submit", "--name", "journey", "--bot", "hold", "--payload", json.dumps(str(gate)))[0].strip()
    until(gate.with_name("gate.begun").exists)
    filler = fill(small_disk)
    _, err = shell.run("stop", "--name", "journey", "--timeout", "0.2", code=3)
    assert "full" in err
    assert "bot hold" in err
    out, _ = shell.run("stop", "--name", "journey", "--cold")
    assert "its runner has ended" in out
    filler.unlink()
    gate.touch()
    shell.run("resume", "--name", "journey")
    listed = ("jobs", "list", "--name", "journey", "--run", job, "--format", "json")
    until(lambda: [one["state"] for one in json.loads(shell.run(*listed)[0])] == ["success"])


@pytest.mark.parametrize("running", [True, False])
def test_a_full_disk_is_freed_by_demolishing_what_is_on_it(shell: Shell, small_disk: Path, running: bool) -> None:
    shell.build("other")
    gate = shell.folder / "gate"
    shell.run("submit", "--name", "journey", "--bot", "hold", "--payload", json.dumps(str(gate)))
    until(gate.with_name("gate.begun").exists)
    if not running:
        shell.run("stop", "--name", "journey", "--cold")
    workers = shell.workers()
    fill(small_disk)
    out, err = shell.run("demolish", "--name", "journey", "--yes")
    assert "is demolished" in out
    assert "discarding" in err
    assert not (small_disk / "factories" / "journey").exists()
    assert not any(lives(row["pid"]) for row in workers if row["pid"])


def test_in_a_home_that_cannot_be_written_every_command_says_so(shell: Shell, small_disk: Path) -> None:
    shell.build("other")
    shell.run("stop", "--name", "journey")
    os.kill(json.loads(shell.run("list", "--format", "json")[0])[0]["runner"], 9)
    until(lambda: json.loads(shell.run("list", "--format", "json")[0])[0]["state"] == "killed")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    commands = (
        ("build", "--plan", str(shell.plan), "--stage", "test"),
        ("submit", "--name", "journey", "--bot", "hold", "--payload", "1"),
        ("resume", "--name", "journey"),
        ("demolish", "--name", "journey", "--yes"),
    )
    for command in commands:
        _, err = shell.run(*command, code=1)
        assert "FACTORY_CDK_HOME" in err, (command, err)
    assert "gone" in shell.run("ps")[0]
    assert "killed" in shell.run("list")[0]
    shell.run("logs", "--name", "journey")
