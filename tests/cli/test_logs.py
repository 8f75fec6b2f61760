"""`factory-cdk logs -f`: from the first line on, until the runner ends."""

from __future__ import annotations

import time

import pytest
from patience import PATIENCE
from shell import Shell


@pytest.mark.slow
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


@pytest.mark.slow
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
