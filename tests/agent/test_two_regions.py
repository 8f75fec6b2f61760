"""Jobs pass through a stage on this machine and in two regions, while what works on them is killed and replaced.

Everything is real but AWS itself: the command line, a local runner, two agents and their workers, and the stacks, which
an emulated CloudFormation makes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from agent_works import Instance, command
from two_regions import BOTS, PLAN, SECRETS, Stage, assert_nothing_told, send_through_kills, two_instances


@pytest.fixture
def stage(instance: Instance, tmp_path: Path) -> Iterator[Stage]:
    """A stage that is not deployed yet."""
    with two_instances(instance, tmp_path) as (north, south):
        made = Stage(north, south, tmp_path / "done")
        try:
            yield made
        finally:
            command(instance, "demolish", *made.named, "--yes", "--local-sectors")


@pytest.mark.e2e
def test_jobs_come_back_once_though_agents_and_a_worker_are_killed(stage: Stage, tmp_path: Path) -> None:
    stage.deploy()
    send_through_kills(stage, 40, rounds=1)
    assert_nothing_told(stage, tmp_path)


@pytest.mark.e2e
def test_the_whole_journey(stage: Stage, tmp_path: Path) -> None:
    """Kills, a new release of one bot, a release that does not load, and what nobody is told of secrets meanwhile."""
    stage.deploy()
    send_through_kills(stage, 200, rounds=2)

    before = stage.pids("before")
    stage.write_bot("press", "\nVERSION = 2\n")
    stage.north.deploy(stage.north.synthesize(PLAN))
    assert stage.north.stack_ends() == "UPDATE_COMPLETE", (stage.north.reasons(), stage.north.printed())
    after = stage.pids("after")
    assert [bot for bot in BOTS if after[bot] != before[bot]] == ["press"]

    stage.write_bot("press", "\nraise RuntimeError(f'no press for {os.environ[\"FACTORY_SECTOR\"]}')\n")
    stage.north.deploy(stage.north.synthesize(PLAN))
    stage.submit("meanwhile")
    assert stage.north.stack_ends() == "UPDATE_ROLLBACK_COMPLETE", stage.north.printed()
    assert "bot press of north" in stage.north.reasons()
    assert "RuntimeError: no press for north" in stage.north.reasons()
    assert stage.pids("at last") == after
    stage.until_arrived("meanwhile")

    assert stage.states() == {"success": 204 * 5}
    assert max(Counter(one["id"] for one in stage.arrived()).values()) == 1
    digests = {(at["bot"], at["secret"]) for one in stage.arrived() for at in one["passed"] if at["bot"] in SECRETS}
    assert digests == {(bot, sha256(value.encode()).hexdigest()[:8]) for bot, (_, value) in SECRETS.items()}
    assert_nothing_told(stage, tmp_path)
