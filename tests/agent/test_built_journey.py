"""One stage from its first build to its end by `factory-cdk` alone: here and in two regions, with agents at work.

Everything is real but AWS itself, as in test_two_regions.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from agent_works import REGION, Instance, command
from two_regions import AWAY, BOTS, PLAN, SECRETS, Stage, two_instances


class Built(Stage):
    """A stage that `build` deploys; its instances are there when their stacks are."""

    def write_plan(self, *, take_back: bool = True) -> None:
        debug = "" if take_back else "\n  debug: {demolish_on_failure: false}"
        text = PLAN.replace("STAGE", self.north.stage).replace("name: agents", f"name: agents{debug}")
        (self.north.folder / "factory-plan.yml").write_text(text)

    def start_instances(self) -> None:
        for instance in (self.north, self.south):
            instance.root.mkdir()
            (instance.root / "sector.json").write_text(json.dumps(instance.sector()))
            instance.start()

    def build(self) -> CompletedProcess[str]:
        values = dict(SECRETS.values())
        plan = ("--plan", "factory-plan.yml", "--stage", self.north.stage)
        return command(self.north, "build", *plan, "--yes", **values)

    def statuses(self) -> dict[str, str]:
        prefix = f"agents-{self.north.stage}"
        places = ((f"{prefix}-queues", REGION), (f"{prefix}-{REGION}", REGION), (f"{prefix}-{AWAY}", AWAY))
        return {name: self.aws.status(name, region) for name, region in places}


@pytest.fixture
def stage(instance: Instance, tmp_path: Path) -> Iterator[Built]:
    with two_instances(instance, tmp_path) as (north, south):
        made = Built(north, south, tmp_path / "done")
        try:
            yield made
        finally:
            command(instance, "demolish", *made.named, "--yes", "--cold")


@pytest.mark.e2e
def test_a_stage_is_built_updated_taken_back_kept_and_demolished_with_its_jobs_done(stage: Built) -> None:
    stage.write_bots()
    stage.write_plan()
    stage.start_instances()
    built = stage.build()
    assert built.returncode == 0, built.stderr
    assert set(stage.statuses().values()) == {"CREATE_COMPLETE"}
    ids = [f"job-{number}" for number in range(30)]
    stage.submit(*ids)
    for one in ids:
        stage.until_arrived(one)

    # Another version of one bot: only that one restarts.
    before = stage.pids("before")
    stage.write_bot("press", "\nVERSION = 2\n")
    updated = stage.build()
    assert updated.returncode == 0, updated.stderr
    after = stage.pids("after")
    assert [bot for bot in BOTS if after[bot] != before[bot]] == ["press"]

    # Both regions and the local sectors would change, and one region fails: all of it is taken back.
    for bot in ("cut", "weigh"):
        stage.write_bot(bot, "\nVERSION = 3\n")
    stage.write_bot("count", "\nraise RuntimeError('no count')\n")
    failed = stage.build()
    assert failed.returncode == 1
    assert "no count" in failed.stderr and "everything is as it was before" in failed.stderr
    taken_back = stage.pids("taken back")
    assert {**taken_back, "weigh": None} == {**after, "weigh": None}, "the old bots work on"

    # The same, to be looked at.
    stage.write_plan(take_back=False)
    kept = stage.build()
    assert kept.returncode == 1
    assert "demolish_on_failure is false" in kept.stderr
    assert stage.statuses()[f"agents-{stage.north.stage}-{AWAY}"] == "UPDATE_FAILED"

    # Mended.
    stage.write_plan()
    stage.write_bot("count")
    mended = stage.build()
    assert mended.returncode == 0, mended.stderr
    settled = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}  # restored is what is wanted again
    assert set(stage.statuses().values()) <= settled

    # The end, with jobs under way: none is lost, nothing is left.
    last = [f"last-{number}" for number in range(30)]
    stage.submit(*last)
    ended = command(stage.north, "demolish", *stage.named, "--drain", "--yes")
    assert ended.returncode == 0, ended.stderr
    arrived = Counter(one["id"] for one in stage.arrived())
    assert {*ids, *last} <= set(arrived)
    assert max(arrived.values()) == 1
    assert set(stage.statuses().values()) <= {"GONE", "DELETE_COMPLETE"}
    listed = command(stage.north, "list", "--aws", "--format", "json")
    assert stage.north.stage not in listed.stdout
    for region in (REGION, AWAY):
        path = stage.north.path
        found = stage.aws.client("ssm", region).get_parameters_by_path(Path=path, Recursive=True)["Parameters"]
        assert [one["Name"] for one in found] == []
        groups = stage.aws.client("logs", region).describe_log_groups(logGroupNamePrefix=f"{path}/")["logGroups"]
        assert [one["logGroupName"] for one in groups] == []
    queues = stage.aws.client("sqs", REGION).list_queues(QueueNamePrefix=f"agents-{stage.north.stage}-")
    assert queues.get("QueueUrls", []) == []
