"""Which jobs a change touches."""

from __future__ import annotations

from pathlib import Path

from two_versions import base, report, stage

from factory_cdk.review.model import QueueReport, Verdict


def queue(found: tuple[QueueReport, ...], name: str) -> QueueReport:
    return next(one for one in found if one.name == name)


def test_a_bot_that_goes_leaves_its_queue_and_the_jobs_in_it_behind(tmp_path: Path) -> None:
    after = base()
    prod = after["factory"]["stages"]["prod"]
    prod["here"]["bots"] = {}
    prod.pop("here")
    after["factory"]["workflows"]["flow"] = ["reader"]
    found = stage(report(tmp_path, base(), after))
    gone = queue(found.queues, "writer")
    assert gone.verdict is Verdict.REMOVED and not gone.loses_jobs
    assert "stays on AWS with the jobs that are in it" in gone.jobs
    (worker,) = (one for one in found.workers if one.bot == "writer")
    assert worker.what == "its workers end" and "no bot reads it" in worker.jobs


def test_the_queue_of_a_stage_of_this_machine_keeps_its_jobs(tmp_path: Path) -> None:
    local = base()
    local["factory"]["stages"]["prod"] = {
        "workflow": "flow",
        "here": {"type": "local", "bots": {"reader": {}, "writer": {}}},
    }
    after = base()
    after["factory"]["stages"]["prod"] = {"here": {"type": "local", "bots": {"reader": {}}}}
    found = stage(report(tmp_path, local, after))
    gone = queue(found.queues, "writer")
    assert gone.verdict is Verdict.REMOVED and not gone.loses_jobs
    assert "database" in gone.jobs
    assert any("demolish it, then build it again" in hazard for hazard in found.hazards)


def test_a_queue_that_another_bot_reads_gives_it_the_jobs_that_wait(tmp_path: Path) -> None:
    before, after = base(), base()
    before["factory"]["stages"]["prod"]["here"]["bots"] = {"writer": {"queue-name": "shared"}}
    after["factory"]["bots"]["printer"] = {"source": {"path": "code/writer"}, "bot_path": "writer:run"}
    after["factory"]["workflows"]["flow"] = {"reader": "printer"}
    after["factory"]["stages"]["prod"]["here"]["bots"] = {"printer": {"queue-name": "shared"}}
    found = queue(stage(report(tmp_path, before, after)).queues, "shared")
    assert found.verdict is Verdict.CHANGED and not found.loses_jobs
    assert (found.bots_before, found.bots_after) == (("writer",), ("printer",))
    assert found.jobs == "the jobs in it go to printer"


def test_queues_that_move_to_another_region_leave_their_jobs_behind(tmp_path: Path) -> None:
    before, after = base(), base()
    before["factory"]["stages"]["prod"]["home_region"] = "eu-west-2"
    after["factory"]["stages"]["prod"]["home_region"] = "us-east-1"
    found = stage(report(tmp_path, before, after))
    assert {one.verdict for one in found.queues} == {Verdict.REPLACED}
    assert all("stays on AWS" in one.jobs and not one.loses_jobs for one in found.queues)


def test_a_longer_visibility_timeout_loses_nothing(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["box"]["bots"]["reader"]["visibility-timeout"] = 90
    found = stage(report(tmp_path, base(), after))
    changed = queue(found.queues, "reader")
    assert changed.verdict is Verdict.CHANGED and not changed.loses_jobs
    assert [(one.what, one.before, one.after) for one in changed.why] == [("visibility-timeout", 60, 90)]


def test_jobs_in_hand_start_again_when_the_instance_goes(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["box"]["parameters"]["InstanceType"] = "t3.small"
    found = stage(report(tmp_path, base(), after))
    assert [(one.sector, one.bot, one.what) for one in found.workers] == [
        ("box", "reader", "its instance stops and starts")
    ]
    assert "at most 60 s later" in found.workers[0].jobs
