"""The verdict on a sector and why, for each kind of change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from two_versions import base, report, sector, stage

from factory_cdk.review.model import Effect, Verdict

Box = dict[str, Any]


def box(plan: dict[str, Any]) -> Box:
    found: Box = plan["factory"]["stages"]["prod"]["box"]
    return found


def set_parameter(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(plan: dict[str, Any]) -> None:
        box(plan)["parameters"][name] = value

    return change


def set_volume(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(plan: dict[str, Any]) -> None:
        box(plan)["parameters"]["BlockDeviceMappings"][0]["Ebs"][key] = value

    return change


def set_box(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(plan: dict[str, Any]) -> None:
        box(plan)[key] = value

    return change


def set_factory(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(plan: dict[str, Any]) -> None:
        plan["factory"][key] = value

    return change


def set_bot(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(plan: dict[str, Any]) -> None:
        plan["factory"]["bots"]["reader"][key] = value

    return change


HERE = {"type": "local", "bots": {"reader": {}}}

R, S, C = Verdict.REPLACED, Verdict.RESTARTED, Verdict.CHANGED

CHANGES: list[tuple[str, Callable[[dict[str, Any]], None], Verdict, str]] = [
    ("image", set_parameter("ImageId", "ami-0fedcba9876543210"), R, "ImageId"),
    ("key pair", set_parameter("KeyName", "dev"), R, "KeyName"),
    ("subnet", set_parameter("SubnetId", "subnet-0fedcba9876543210"), R, "SubnetId"),
    ("zone", set_parameter("AvailabilityZone", "eu-west-2a"), R, "AvailabilityZone"),
    ("volume size", set_volume("VolumeSize", 16), R, "BlockDeviceMappings[/dev/xvda].Ebs.VolumeSize"),
    (
        "volume kept",
        set_volume("DeleteOnTermination", False),
        C,
        "BlockDeviceMappings[/dev/xvda].Ebs.DeleteOnTermination",
    ),
    ("type", set_parameter("InstanceType", "t3.small"), S, "InstanceType"),
    ("EBS", set_parameter("EbsOptimized", True), S, "EbsOptimized"),
    ("tenancy", set_parameter("Tenancy", "dedicated"), S, "Tenancy"),
    ("groups", set_parameter("SecurityGroupIds", ["sg-0fedcba9876543210"]), C, "SecurityGroupIds[0]"),
    ("monitoring", set_parameter("Monitoring", True), C, "Monitoring"),
    ("termination", set_parameter("DisableApiTermination", True), C, "DisableApiTermination"),
    ("credits", set_parameter("CreditSpecification", {"CPUCredits": "standard"}), C, "CreditSpecification"),
    ("region", set_box("region_name", "eu-west-1"), R, "region"),
    ("here", lambda plan: plan["factory"]["stages"]["prod"].update(box=HERE), R, "type"),
    ("processes", lambda plan: box(plan)["bots"].update(reader={"processes": 2}), C, "bots.reader.processes"),
    ("queue", lambda plan: box(plan)["bots"].update(reader={"queue-name": "in"}), C, "bots.reader.queue"),
    ("second bot", lambda plan: box(plan)["bots"].update(writer={}), C, "bots.writer"),
    ("config", set_factory("config", {"LEVEL": "debug"}), C, "config.reader.LEVEL"),
    ("new config", set_bot("config", {"DEEP": {"a": [1]}}), C, "config.reader.DEEP"),
    ("secret gone", set_bot("secrets", []), C, "secrets.reader.TOKEN"),
    ("secret elsewhere", set_bot("secrets", {"TOKEN": {"secret": "prod/token"}}), C, "secrets.reader.TOKEN"),
    ("tags", set_factory("tags", {"team": "red"}), C, "tags.team"),
    ("target", set_bot("bot_path", "reader:start"), C, "bots.reader.bot-path"),
    ("no alarm", lambda plan: box(plan).pop("alarm"), C, "alarm"),
    ("alarm", lambda plan: plan["factory"]["alarms"]["idle"].update(Threshold=7), C, "alarm.Threshold"),
]


@pytest.mark.parametrize(("change", "verdict", "what"), [one[1:] for one in CHANGES], ids=[one[0] for one in CHANGES])
def test_a_change_gives_the_verdict_that_cloudformation_s_documentation_gives_it(
    change: Callable[[dict[str, Any]], None], verdict: Verdict, what: str, tmp_path: Path
) -> None:
    after = base()
    change(after)
    found = sector(report(tmp_path, base(), after, {"code/reader/reader.py": TWO}, {"code/reader/reader.py": TWO}))
    assert found.verdict is verdict, found.why
    assert what in [one.what for one in found.why]
    assert all(one.why for one in found.why)


TWO = "def run(payload): return payload\nstart = run\n"


def test_the_same_plan_is_unchanged_in_everything(tmp_path: Path) -> None:
    found = report(tmp_path, base(), base())
    assert not found.differs
    whole = stage(found)
    assert whole.verdict is Verdict.UNCHANGED
    assert {one.verdict for one in (*whole.sectors, *whole.queues, *whole.bots)} == {Verdict.UNCHANGED}
    assert not (whole.resources or whole.access or whole.security or whole.settings or whole.hazards or whole.workers)


def test_a_number_that_is_written_as_text_is_the_same_to_cloudformation(tmp_path: Path) -> None:
    after = base()
    after["factory"]["alarms"]["idle"]["Threshold"] = 5
    box(after)["parameters"]["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] = "8"
    found = report(tmp_path, base(), after)
    assert sector(found).verdict is Verdict.UNCHANGED


def test_code_that_differs_changes_the_sector_that_runs_it_and_no_other(tmp_path: Path) -> None:
    found = report(tmp_path, base(), base(), None, {"code/reader/reader.py": TWO})
    assert sector(found).verdict is Verdict.CHANGED
    assert [one.what for one in sector(found).why] == ["bots.reader.code"]
    assert sector(found, "here").verdict is Verdict.UNCHANGED
    assert [(one.bot, one.what) for one in stage(found).workers] == [
        ("reader", "its workers restart one after the other")
    ]


def test_a_sector_that_moves_leaves_a_stack_behind_whose_names_it_does_not_need(tmp_path: Path) -> None:
    after = base()
    box(after)["region_name"] = "eu-west-1"
    found = stage(report(tmp_path, base(), after))
    assert not any("cannot be deployed while" in hazard for hazard in found.hazards)
    assert any("cdk destroy mill-prod-eu-west-2" in hazard for hazard in found.hazards)


def test_an_anchor_that_changes_changes_every_sector_that_names_it(tmp_path: Path) -> None:
    before = base()
    before["factory"]["stages"]["prod"]["second"] = before["factory"]["stages"]["prod"]["box"]
    after = copy.deepcopy(before)
    box(after)["parameters"]["InstanceType"] = "t3.small"
    found = report(tmp_path, before, after)
    assert "*id" in (tmp_path / "after" / "factory-plan.yml").read_text()
    assert sector(found, "second").verdict is sector(found).verdict is Verdict.RESTARTED


def test_a_difference_has_the_line_that_says_it(tmp_path: Path) -> None:
    after = base()
    box(after)["parameters"]["ImageId"] = "ami-0fedcba9876543210"
    box(after)["bots"]["reader"] = {"processes": 2, "queue-name": "in"}
    after["factory"]["config"]["LEVEL"] = "debug"
    after["factory"]["tags"]["team"] = "red"
    after["factory"]["bots"]["reader"]["secrets"] = {"TOKEN": {"secret": "prod/token"}}
    found = sector(report(tmp_path, base(), after))
    text = (tmp_path / "after" / "factory-plan.yml").read_text().splitlines()
    lines = {one.what: text[one.line - 1].strip() for one in found.why if one.line is not None}
    assert lines == {
        "ImageId": "ImageId: ami-0fedcba9876543210",
        "bots.reader.processes": "processes: 2",
        "bots.reader.queue": "queue-name: in",
        "config.reader.LEVEL": "LEVEL: debug",
        "tags.team": "team: red",
        "secrets.reader.TOKEN": "TOKEN:",
        "secret": "box:",
    }


def test_sectors_that_are_new_or_gone(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["second"] = {**box(after)}
    found = report(tmp_path, base(), after)
    assert sector(found, "second").verdict is Verdict.ADDED
    back = report(tmp_path / "back", after, base())
    assert sector(back, "second").verdict is Verdict.REMOVED
    assert sector(back, "second").why[0].effect is Effect.REPLACE
    assert sector(back).verdict is Verdict.UNCHANGED


def test_stages_that_are_new_or_gone(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["test"] = after["factory"]["stages"].pop("prod")
    found = report(tmp_path, base(), after)
    assert {one.name: one.verdict for one in found.stages} == {"test": Verdict.ADDED, "prod": Verdict.REMOVED}
    assert stage(found, "prod").sectors[0].verdict is Verdict.REMOVED


def test_another_name_of_the_factory_makes_everything_anew(tmp_path: Path) -> None:
    after = base()
    after["factory"]["name"] = "plant"
    found = stage(report(tmp_path, base(), after))
    assert [one.what for one in found.settings][:1] == ["factory"]
    assert {one.verdict for one in found.sectors if one.type == "aws"} == {Verdict.REPLACED}
    assert all("stays on AWS" in queue.jobs for queue in found.queues)
