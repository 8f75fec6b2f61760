"""The journey from the command line: real processes, their output and their exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time

from local_works import lives, until
from patience import PATIENCE
from shell import BOTS, Shell


def test_the_journey(shell: Shell) -> None:
    shell.build()
    jobs = shell.submit("--bot", "cut", "--payload", '"ein zwei ö"', "--tag", "k=v")
    cut = next(job for job in jobs if job["bot"] == "cut")
    assert set(cut) == {"id", "parent", "bot", "outcome", "attempts", "result", "error"}
    assert (cut["parent"], cut["outcome"], cut["attempts"], cut["error"]) == (None, "success", 1, None)
    results = {job["bot"]: job["result"] for job in jobs if job["parent"] == cut["id"]}
    assert results == {"count": {"words": 3}, "shout": ["EIN", "ZWEI", "ö"]}
    until(lambda: sum(row["done"] for row in shell.workers()) == 3)  # what the runner says of itself may be behind
    rows = shell.workers()
    assert [(row["bot"], row["worker"]) for row in rows] == [
        ("cut", 1), ("count", 1), ("count", 2), ("shout", 1), ("odd", 1)
    ]  # fmt: skip
    assert all(row["pid"] and row["state"] == "ready" and row["restarts"] == 0 for row in rows)
    assert "journey  test   here    cut" in shell.run("ps")[0]
    assert "| counting" in shell.run("logs", "--name", "journey", "--bot", "count")[0]
    info = json.loads(shell.run("info", "--name", "journey", "--format", "json")[0])
    assert info["state"] == "running"
    assert [bot["next"] for bot in info["bots"]] == [["count", "shout"], [], [], []]
    assert "running" in shell.run("info", "--name", "journey")[0]
    assert "running" in shell.run("list")[0]
    assert shell.run("stop", "--name", "journey")[0] == "journey/test is stopped\n"
    assert {row["state"] for row in shell.workers()} == {"stopped"}
    assert shell.run("resume", "--name", "journey")[0] == "journey/test goes on\n"
    assert "journey/test is demolished" in shell.run("demolish", "--name", "journey", "--yes")[0]
    assert not any(lives(row["pid"]) for row in rows)
    assert "nothing is built here" in shell.run("list")[1]
    assert "hidden-word" not in "".join(path.read_text(errors="replace") for path in shell.home.rglob("*.json"))


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


def test_a_dry_run_prints_what_would_be_and_touches_nothing(shell: Shell) -> None:
    text, _ = shell.run("build", "--plan", str(shell.plan), "--stage", "test", "--dry-run")
    assert "MOOD" in text
    assert "hidden-word" not in text
    out, _ = shell.run("build", "--plan", str(shell.plan), "--stage", "test", "--dry-run", "--format", "json")
    found = json.loads(out)
    assert {"environments", "processes", "queues", "routes", "variables"} <= set(found)
    assert found["variables"][2]["variables"]["TOKEN"] == "***"
    assert [path.name for path in shell.home.iterdir()] == ["cache"], "what path sources hold is remembered, no more"
    out, _ = shell.run("build", "--plan", str(shell.plan), "--stage", "cloud", "--dry-run", "--format", "json")
    assert json.loads(out)["processes"][0]["type"] == "aws"


def test_a_dry_run_refuses_a_bot_path_that_leads_nowhere_without_importing_anything(shell: Shell) -> None:
    touched = shell.folder / "imported"
    (shell.folder / "code" / "bots.py").write_text(f"open({str(touched)!r}, 'w')\n" + BOTS)
    text = shell.plan.read_text()
    shell.plan.write_text(text.replace("bots:cut", "bots:cult").replace("bots:odd", "bats:odd"))
    dry = ("build", "--plan", str(shell.plan), "--stage", "test", "--dry-run")
    out, err = shell.run(*dry, code=1)
    assert "bots:cult" in out
    assert "error: bot cut: bot_path bots:cult: bots.py has no 'cult'\n  help: did you mean bots:cut?" in err
    assert "error: bot odd: bot_path bats:odd: the source has no module bats\n  help: did you mean bots?" in err
    out, _ = shell.run(*dry, "--format", "json", code=1)
    assert [problem["bot"] for problem in json.loads(out)["problems"]] == ["cut", "odd"]
    shell.plan.write_text(text)
    assert json.loads(shell.run(*dry, "--format", "json")[0])["problems"] == []
    assert not touched.exists()


def test_list_says_what_helps_and_where_the_plan_is_from_wherever_it_is_asked(shell: Shell) -> None:
    shell.run("build", "--plan", shell.plan.name, "--stage", "other")
    shell.build("test")
    assert shell.run("list")[0].count("  factory-plan.yml\n") == 2
    runner = next(
        row["runner"] for row in json.loads(shell.run("list", "--format", "json")[0]) if row["stage"] == "test"
    )
    os.kill(runner, signal.SIGKILL)
    (shell.home / "factories" / "journey" / "bad").mkdir()
    (shell.home / "factories" / "journey" / "bad" / "runner-spec.json").write_text("{")
    until(lambda: "its runner was killed; nothing is lost: factory-cdk resume" in shell.run("list")[1])
    _, err = shell.run("list")
    assert "journey/bad is damaged: " in err
    assert "cannot be read: factory-cdk demolish --name journey --stage bad, then build it again" in err
    assert "journey/other" not in err
    below = Shell(shell.folder / "code", shell.plan, {"FACTORY_CDK_HOME": str(shell.home)})
    assert [row["plan"] for row in json.loads(below.run("list", "--format", "json")[0])] == [
        None,
        *[str(shell.plan)] * 2,
    ]
    assert below.run("list")[0].count(f"  {shell.plan}\n") == 2


def test_a_build_that_failed_leaves_nothing_behind(shell: Shell) -> None:
    shell.variables["MY_TOKEN"] = None
    shell.run("build", "--plan", str(shell.plan), "--stage", "test", code=1)
    (shell.folder / "code" / "bots.py").write_text("import os\nos._exit(3)\nhold = 1\n")
    shell.run("build", "--plan", str(shell.plan), "--stage", "other", code=1)
    assert list((shell.home / "factories").iterdir()) == []


def test_a_foreground_factory_whose_folder_is_removed_ends_and_says_so(shell: Shell) -> None:
    process = shell.start("build", "--plan", str(shell.plan), "--stage", "other", "--foreground")
    assert process.stdout is not None
    process.stdout.readline()
    workers = shell.workers()
    moved = (shell.home / "factories" / "journey" / "other").rename(shell.folder / "removed")
    shutil.rmtree(moved, ignore_errors=True)  # its runner may be writing there
    out, err = process.communicate(timeout=PATIENCE)
    assert "was removed: there is nothing left to run" in out
    assert "journey/other is not built here any more" in err
    assert not any(lives(row["pid"]) for row in workers)


def test_building_a_stage_with_aws_sectors_says_that_deploying_is_not_there_yet(shell: Shell) -> None:
    _, err = shell.run("build", "--plan", str(shell.plan), "--stage", "cloud", "--yes", code=1)
    assert "deploying is not there yet" in err
    assert not shell.home.exists()


def test_demolish_asks_lists_and_refuses_to_guess(shell: Shell) -> None:
    shell.build("test")
    shell.build("other")
    _, err = shell.run("demolish", "--name", "journey", "--yes", code=2)
    assert "several stages" in err
    out, _ = shell.run("demolish", "--name", "journey", code=1, input_="other\nn\n")
    assert "test" in out
    assert "other" in out
    shell.run("stop", "--name", "journey", "--stage", "other")
    shell.run("submit", "--name", "journey", "--stage", "other", "--bot", "hold", "--payload", "1")
    _, err = shell.run("demolish", "--name", "journey", "--stage", "other", code=1, input_="y\nn\n")
    assert "1 job and 0 dead letters are left" in err
    _, err = shell.run("demolish", "--name", "journey", "--stage", "other", input_="y\ny\n")
    assert "test" in shell.run("list")[0]
    assert "other" not in shell.run("list")[0]
    _, err = shell.run("demolish", "--name", "nobody", "--yes", code=1)
    assert "nobody is not built here" in err
    shell.run("demolish", "--name", "journey", "--yes")


def test_in_the_foreground_it_prints_the_log_until_interrupted_and_keeps_the_queues(shell: Shell) -> None:
    process = shell.start(
        "build", "--plan", str(shell.plan), "--stage", "test", "--foreground", stdout=subprocess.PIPE, process_group=0
    )
    assert process.stdout is not None
    assert "is built" in process.stdout.readline()
    shell.submit("--bot", "cut", "--payload", '"a b"')
    until(lambda: "counting" in process.stdout.readline())
    workers = shell.workers()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "the runner has ended, 0 jobs and 0 dead letters are kept" in err
    assert not any(lives(row["pid"]) for row in workers)
    assert "its runner was ended" in shell.run("ps")[1]


def test_a_foreground_build_that_is_killed_takes_its_factory_along(shell: Shell) -> None:
    process = shell.start("build", "--plan", str(shell.plan), "--stage", "test", "--foreground")
    assert process.stdout is not None
    process.stdout.readline()
    workers = shell.workers()
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not any(lives(row["pid"]) for row in workers))


def test_ctrl_c_during_a_build_takes_everything_back(shell: Shell) -> None:
    (shell.folder / "code" / "bots.py").write_text(f"import time\ntime.sleep(1000)\n{BOTS}")
    process = shell.start("build", "--plan", str(shell.plan), "--stage", "test")
    until(lambda: [row["pid"] for row in shell.workers() if row["pid"]])
    workers = shell.workers()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    until(lambda: not any(lives(row["pid"]) for row in workers))
    assert "nothing is built here" in shell.run("list")[1]


def test_logs_follow_until_the_runner_is_gone(shell: Shell) -> None:
    shell.build()
    following = shell.start("logs", "--name", "journey", "-f", "--bot", "count")
    assert following.stdout is not None
    began = time.monotonic()
    shell.submit("--bot", "count", "--payload", "[1]")
    assert "| counting" in following.stdout.readline()
    assert time.monotonic() - began < 60
    shell.run("demolish", "--name", "journey", "--yes")
    following.communicate(timeout=PATIENCE)
    assert following.returncode == 0


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


def test_a_bot_that_is_not_started_is_answered_with_the_command_that_starts_one(shell: Shell) -> None:
    _, err = shell.run("logs", "--name", "bot-start", "--stage", "weld", code=1)
    assert "bot-start/weld is not built here" in err
    assert "factory-cdk bot-start -q QUEUE TARGET" in err
