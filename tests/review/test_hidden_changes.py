"""Changes that a report could pass over, or tell milder than they are: each is found, and with its values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from two_versions import REGION, Plan, base, report, sector, stage, write

from factory_cdk.plan.model import Json
from factory_cdk.review.fail_on import parse_fail_on, violations
from factory_cdk.review.formats.text import as_text
from factory_cdk.review.model import CostReport, Dependency, Effect, Report, StageReport, Verdict
from factory_cdk.review.reviewing import reviewed
from factory_cdk.review.sides.of_plan import side_of_plan

REASONS = parse_fail_on("replace,delete,iam,secret,public,cost=0")


def with_config(value: Json) -> Plan:
    plan = base()
    plan["factory"]["stages"]["prod"]["here"]["config"] = {"VALUE": value}
    return plan


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (1, True, "1 → true"),
        (0, False, "0 → false"),
        (1, 1.0, "1 → 1.0"),
        (1, "1", '1 → "1"'),
        (True, "true", 'true → "true"'),
        ([1], [True], "[1] → [true]"),
        ({"a": {"b": 1}}, {"a": {"b": True}}, "1 → true"),
    ],
)
def test_values_that_are_equal_in_python_are_not_the_same_to_a_bot(
    before: Json, after: Json, shown: str, tmp_path: Path
) -> None:
    found = report(tmp_path, with_config(before), with_config(after))
    assert sector(found, "here").verdict is Verdict.CHANGED
    assert [one.what.split(".")[:3] for one in sector(found, "here").why] == [["config", "writer", "VALUE"]]
    assert [one.bot for one in stage(found).workers] == ["writer"]
    assert shown in as_text(found, width=None, colour=False)


def test_the_order_of_keys_alone_restarts_nobody(tmp_path: Path) -> None:
    plans = [with_config({"a": 1, "b": 2}), with_config({"b": 2, "a": 1})]
    for plan, path in zip(plans, ("reader:run", "reader:start"), strict=True):
        plan["factory"]["bots"]["reader"]["bot_path"] = path
        plan["factory"]["stages"]["prod"]["here"]["bots"]["reader"] = {}
    found = report(tmp_path, *plans)
    assert [one.bot for one in stage(found).workers if one.sector == "here"] == ["reader"]


def test_a_value_of_null_is_not_the_same_as_none(tmp_path: Path) -> None:
    (found,) = sector(report(tmp_path, with_config(None), base()), "here").why
    assert (found.what, found.before, found.after) == ("config.writer.VALUE", "null", None)


@pytest.mark.parametrize("where", ["box", "here"])
def test_meta_of_a_bot_that_is_equal_in_python(where: str, tmp_path: Path) -> None:
    plans = [base(), base()]
    for plan, value in zip(plans, (1, True), strict=True):
        (bot,) = plan["factory"]["stages"]["prod"][where]["bots"]
        plan["factory"]["stages"]["prod"][where]["bots"][bot] = {"meta": {"a": value}}
    (found,) = sector(report(tmp_path, *plans), where).why
    assert (found.what.rpartition(".")[2], found.before, found.after) == ("a", 1, True)


def secret(**reference: str) -> Plan:
    plan = base()
    plan["factory"]["bots"]["reader"]["secrets"] = {"TOKEN": reference}
    return plan


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (secret(env="A"), secret(env="B"), "variable A until now, variable B afterwards"),
        (secret(env="A"), secret(profile="p"), "variable A until now, profile p afterwards"),
        (secret(profile="p"), secret(profile="p", key="K"), "profile p until now, profile p, key K afterwards"),
        (base(), secret(env="B"), "filled in when it is built until now, variable B afterwards"),
    ],
)
def test_another_place_that_build_fills_a_secret_from(before: Plan, after: Plan, text: str, tmp_path: Path) -> None:
    """A template only has the empty secret, so that no resource differs."""
    found = report(tmp_path, before, after)
    assert [one.text for one in stage(found).security] == [
        f"the secret TOKEN of reader comes from another place: {text}"
    ]
    assert found.differs
    assert {one.reason for one in violations(found, REASONS)} == {"secret"}


def test_the_key_of_a_profile_on_this_machine(tmp_path: Path) -> None:
    plans = [secret(profile="p", key="A"), secret(profile="p", key="B")]
    for plan in plans:
        plan["factory"]["stages"]["prod"]["here"]["bots"] = {"reader": {}}
        del plan["factory"]["stages"]["prod"]["box"], plan["factory"]["stages"]["prod"]["workflow"]
    (found,) = sector(report(tmp_path, *plans), "here").why
    assert (found.before, found.after) == ("profile p, key A", "profile p, key B")


def test_a_sector_that_moves_does_not_hide_what_else_differs_in_it(tmp_path: Path) -> None:
    after = base()
    box = after["factory"]["stages"]["prod"]["box"]
    box["region_name"] = "eu-west-1"
    box["parameters"] |= {"ImageId": "ami-0fedcba9876543210", "SourceDestCheck": False}
    box["parameters"]["Tags"] = [{"Key": "cost", "Value": "high"}]
    del box["alarm"]
    found = {one.what: (one.before, one.after) for one in sector(report(tmp_path, base(), after)).why}
    assert found.pop("alarm")[1] is None
    assert found == {
        "region": ("eu-west-2", "eu-west-1"),
        "ImageId": ("ami-0123456789abcdef0", "ami-0fedcba9876543210"),
        "SourceDestCheck": (None, False),
        "tags.cost": (None, "high"),
        "bots.reader.queue-region": ("eu-west-2", "eu-west-1"),
    }


def test_a_sector_that_only_moves_has_no_other_difference(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["home_region"] = REGION
    after["factory"]["stages"]["prod"]["box"]["region_name"] = "eu-west-1"
    found = sector(report(tmp_path, base(), after))
    assert [(one.what, one.effect) for one in found.why] == [("region", Effect.REPLACE)]


def test_another_name_does_not_hide_that_the_metadata_service_answers_without_a_token(tmp_path: Path) -> None:
    after = base()
    stage_ = after["factory"]["stages"]["prod"]
    stage_["box_a"] = stage_.pop("box")
    assert "metadata" not in {one.kind for one in stage(report(tmp_path / "same", base(), after)).security}
    stage_["box_a"]["parameters"]["MetadataOptions"] = {"HttpTokens": "optional"}
    found = report(tmp_path / "open", base(), after)
    assert [(one.subject, one.worse) for one in stage(found).security if one.kind == "metadata"] == [("box_a", True)]
    assert "public" in {one.reason for one in violations(found, REASONS)}


def test_another_requirements_file_of_code_that_nobody_has_locked(tmp_path: Path) -> None:
    plans = [base(), base()]
    for plan, path in zip(plans, ("a.txt", "b.txt"), strict=True):
        source = {"url": "https://git.example.com/a/b", "branch": "main"}
        plan["factory"]["bots"]["writer"] |= {"source": source, "requirements_path": path}
    (bot,) = (one for one in stage(report(tmp_path, *plans)).bots if one.name == "writer")
    assert bot.verdict is Verdict.CHANGED
    assert "its requirements_path was a.txt and is b.txt" in bot.notes


def of_locks(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Report:
    """A plan whose plan.lock alone is edited; its bot is on no disk."""
    plan = base()
    plan["factory"]["bots"]["writer"]["source"] = {"url": "https://git.example.com/a/b", "branch": "main"}
    lock: dict[str, Any] = {
        "source": {"kind": "git", "url": "https://git.example.com/a/b", "ref": "main"},
        "module": "writer",
        "commit": "1" * 40,
        "digest": "2" * 64,
        "archive_sha256": "3" * 64,
        "layout": {"roots": [""]},
        "requirements": [f"six==1 --hash=sha256:{'4' * 64}"],
    }
    sides = []
    for name in ("before", "after"):
        file = write(folder / name, plan)
        text = json.dumps({"format": 1, "factory": "mill", "bots": {"writer": lock}})
        (folder / name / "plan.lock").write_text(text)
        sides.append(side_of_plan(str(file), cache=folder / "cache", region=REGION))
        change(lock)
    return reviewed("factory-plan.yml", *sides)


INDEX = "--index-url https://elsewhere.example.com/simple"


@pytest.mark.parametrize(
    ("key", "value", "what", "before", "after"),
    [
        ("archive_sha256", "5" * 64, "archive", "3" * 12, "5" * 12),
        ("layout", {"roots": ["other", ""]}, "layout.roots", ("",), ("other", "")),
        ("layout", {"roots": [""], "index_options": [[INDEX, ""]]}, "layout.index_options", None, ((INDEX, ""),)),
    ],
)
def test_a_lock_that_is_edited_by_hand(
    key: str, value: Json, what: str, before: Json, after: Json, tmp_path: Path
) -> None:
    found = of_locks(tmp_path, lambda lock: lock.update({key: value}))
    (said,) = sector(found, "here").why
    assert (said.what, said.before, said.after) == (f"bots.writer.{what}", before, after)


def test_an_index_that_comes_with_other_code_is_told(tmp_path: Path) -> None:
    layout = {"roots": ["src"], "index_options": [[INDEX, ""]]}
    found = of_locks(tmp_path, lambda lock: lock.update(digest="5" * 64, layout=layout))
    assert [one.what for one in sector(found, "here").why] == ["bots.writer.code", "bots.writer.layout.index_options"]


def test_other_files_of_the_same_version(tmp_path: Path) -> None:
    line = f"six==1 --hash=sha256:{'5' * 64}"
    found = of_locks(tmp_path, lambda lock: lock.update(requirements=[line]))
    (bot,) = (one for one in stage(found).bots if one.name == "writer")
    assert bot.dependencies == (Dependency("six", "changed", "1", "1"),)
    (said,) = sector(found, "here").why
    assert said.what == "bots.writer.code" and said.before != said.after
    assert "1, other files" in as_text(found, width=None, colour=False)


def test_an_instance_without_a_known_price_saves_nothing(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["box"]["parameters"]["InstanceType"] = "t3.colossal"
    cost = stage(report(tmp_path, base(), after)).cost
    assert cost is not None
    assert (cost.before, cost.after, cost.unknown) == (0.0, 0.0, ("box",))


def test_a_stage_that_is_no_longer_in_the_plan_is_taken_down_by_nobody(tmp_path: Path) -> None:
    after = base()
    stages = after["factory"]["stages"]
    stages["test"] = stages.pop("prod")
    found = stage(report(tmp_path, base(), after))
    assert found.verdict is Verdict.REMOVED
    left = "`cdk deploy` leaves the stack {0} behind, which is not needed any more: `cdk destroy {0}`"
    assert found.hazards == (
        left.format("mill-prod-queues"),
        left.format("mill-prod-eu-west-2"),
        "what is built of it on this machine stays until it is taken down: "
        "`factory-cdk demolish --name mill --stage prod`",
    )


def test_what_cannot_be_compared_does_not_pass() -> None:
    problem = StageReport("prod", Verdict.CHANGED, problems=("its plan cannot be read",), cost=CostReport("", 0, 0))
    found = Report("plan", "mill", "a", "b", "1", (problem,))
    assert [one.reason for one in violations(found, parse_fail_on("delete,cost=5"))] == ["cost", "delete"]
    assert violations(found, parse_fail_on("")) == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda factory: factory["stages"]["prod"]["box"].pop("alarm"), "no alarm watches its instance any more"),
        (lambda factory: factory["alarms"]["idle"].update(AlarmActions=[]), "its alarm does nothing any more"),
        (lambda factory: factory["alarms"]["idle"].update(ActionsEnabled="false"), "its alarm does nothing any more"),
    ],
)
def test_an_alarm_that_stops_nothing_any_more_is_told_as_less_protection(
    change: Callable[[dict[str, Any]], Any], text: str, tmp_path: Path
) -> None:
    after = base()
    change(after["factory"])
    (found,) = stage(report(tmp_path, base(), after)).security
    assert (found.subject, found.kind, found.text, found.worse) == ("box", "protection", text, True)
    assert stage(report(tmp_path / "back", after, base())).security == ()


def test_the_cost_is_only_told_where_it_changes(tmp_path: Path) -> None:
    other, larger = base(), base()
    other["factory"]["config"] = {"LEVEL": "debug"}
    larger["factory"]["stages"]["prod"]["box"]["parameters"]["InstanceType"] = "t3.large"
    texts = [
        as_text(report(tmp_path / name, base(), after), width=None, colour=False)
        for name, after in (("other", other), ("larger", larger))
    ]
    assert ["Cost:" in text for text in texts] == [False, True]
    assert "USD a month" in texts[1]
