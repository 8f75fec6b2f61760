"""The journey from the command line: real processes, their output and their exit codes."""

from __future__ import annotations

import json

import pytest
from local_works import lives, until
from shell import Shell


@pytest.mark.slow
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


@pytest.mark.slow
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
