"""`factory-cdk demolish`: what it asks, and what it does without an answer."""

from __future__ import annotations

import pytest
from shell import Shell


@pytest.mark.slow
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


@pytest.mark.slow
def test_demolish_without_an_answer_changes_nothing_and_says_what_to_say(shell: Shell) -> None:
    shell.build("other")
    _, err = shell.run("demolish", "--name", "journey", code=1)
    assert "say --yes" in err
    assert [row["state"] for row in shell.workers()] == ["ready"]
    shell.run("stop", "--name", "journey")
    shell.run("submit", "--name", "journey", "--bot", "hold", "--payload", "1")
    _, err = shell.run("demolish", "--name", "journey", "--yes")
    assert "discarding 1 job and 0 dead letters" in err
