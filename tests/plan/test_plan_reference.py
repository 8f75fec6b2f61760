"""The reference's own example: exactly its known warnings, and exactly its content.

`UPDATE_GOLDEN=1 pytest tests/plan/test_plan_reference.py` writes the warnings anew; `git diff` shows what changed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from factory_cdk.diagnostics import Severity
from factory_cdk.plan.load import load_plan, read_plan
from factory_cdk.plan.model import GitSource, PathSource, PypiSource, SectorType, StagePlan
from factory_cdk.plan.stage import resolve_stage

REFERENCE = Path(__file__).parents[2] / "plans" / "reference" / "factory-plan.yml"
GOLDEN = Path(__file__).parent / "golden" / "reference-warnings.txt"


def written() -> Any:
    """The example as PyYAML reads it."""
    return yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))["factory"]


def stage(name: str) -> StagePlan:
    return resolve_stage(read_plan(REFERENCE), name, region="eu-west-2")


def test_it_gets_its_known_warnings_and_nothing_else() -> None:
    loaded = load_plan(REFERENCE)
    found = "".join(
        f"{one.line}:{one.column} {one.severity} {one.code} {one.message}\n    {one.hint}\n"
        for one in loaded.diagnostics
    )
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")
    assert loaded.plan is not None
    assert {one.severity for one in loaded.diagnostics} == {Severity.WARNING}


def test_its_bots_are_where_it_says() -> None:
    plan = read_plan(REFERENCE)
    assert {name: bot.source for name, bot in plan.bots.items()} == {
        "my_bot_1": GitSource("ssh://fredsmith@bitbucket.org/my-bots-repo", "develop"),
        "my_bot_2": PathSource("path/to/local/code", REFERENCE.parent / "path/to/local/code"),
        "my_bot_3": PypiSource("many-useful-bots"),
        "my_bot_4": GitSource("https://github.com/some/repo.git"),
        "my_bot_5": PypiSource("my-bot-package", "1.5.9"),
    }
    assert {name: bot.bot_path for name, bot in plan.bots.items()} == {
        name: bot["bot_path"] for name, bot in written()["bots"].items()
    }


def test_its_name_meta_tags_workflows_and_alarm_are_as_written() -> None:
    plan = read_plan(REFERENCE)
    assert (plan.name, plan.meta, plan.tags) == ("my_factory_name", {"key": "value"}, {"key": "value"})
    assert plan.demolish_on_failure
    assert {name: [(edge.parent, edge.child) for edge in flow.edges] for name, flow in plan.workflows.items()} == {
        "flow_1": [("my_bot_1", "my_bot_2"), ("my_bot_1", "my_bot_3"), ("my_bot_3", "my_bot_4")],
        "flow_2": [("my_bot_1", "my_bot_2"), ("my_bot_2", "my_bot_3")],
    }
    assert {name: flow.roots for name, flow in plan.workflows.items()} == {
        "flow_1": ("my_bot_1",),
        "flow_2": ("my_bot_1",),
    }
    assert dict(plan.alarms["alarm1"].properties) == written()["alarms"]["alarm1"]


def test_its_sectors_are_as_written() -> None:
    plan = read_plan(REFERENCE)
    for name, content in written()["stages"].items():
        sectors = {key: value for key, value in content.items() if key != "workflow"}
        read = plan.stages[name]
        assert read.workflow == content.get("workflow")
        assert [sector.name for sector in read.sectors] == list(sectors)
        for sector in read.sectors:
            said = sectors[sector.name]
            assert (sector.type, sector.region_name, sector.alarm) == (
                said["type"],
                said.get("region_name"),
                said.get("alarm"),
            )
            assert sector.parameters == said.get("parameters", {})
            assert {bot.name: (bot.arguments.queue_name, bot.arguments.processes) for bot in sector.bots} == {
                bot: (arguments["queue-name"], arguments["processes"]) for bot, arguments in said["bots"].items()
            }


def test_dev_has_these_queues_regions_and_routes() -> None:
    dev = stage("dev")
    assert (dev.factory, dev.name, dev.workflow, dev.roots) == ("my_factory_name", "dev", "flow_1", ("my_bot_1",))
    assert dev.demolish_order == ("my_bot_1", "my_bot_2", "my_bot_3", "my_bot_4")
    assert dev.home_region == "eu-west-2"
    assert {sector.name: sector.region for sector in dev.sectors} == {
        "local_sector": None,
        "another_local_sector": None,
        "ec2_box_1": "eu-west-2",
        "ec2_box_2": "eu-west-2",
        "ec2_box_3": "eu-west-2",
        "ec2_box_4": "eu-west-1",
    }
    routes = {
        (bot.sector, bot.bot.name, bot.queue): [(one.bot, one.queue, one.sector) for one in bot.successors]
        for bot in dev.stage_bots
    }
    two = ("my_bot_2", "my_bot_2-dev-aws-queue-name", "ec2_box_1")
    local_three = ("my_bot_3", "my_bot_3-dev-local-queue-name", "another_local_sector")
    four = ("my_bot_4", "my_bot_4-dev-aws-queue-name", "ec2_box_4")
    assert routes == {
        ("local_sector", "my_bot_1", "my_bot_1-dev-local-queue-name"): [two, local_three],
        ("another_local_sector", "my_bot_3", "my_bot_3-dev-local-queue-name"): [four],
        ("ec2_box_1", "my_bot_2", "my_bot_2-dev-aws-queue-name"): [],
        ("ec2_box_2", "my_bot_3", "my_bot_3-dev-aws-queue-name"): [four],
        ("ec2_box_3", "my_bot_3", "my_bot_3-dev-aws-queue-name"): [four],
        ("ec2_box_4", "my_bot_3", "my_bot_3-dev-aws-queue-name"): [four],
        ("ec2_box_4", "my_bot_4", "my_bot_4-dev-aws-queue-name"): [],
    }
    (watched,) = [sector for sector in dev.sectors if sector.alarm]
    assert watched.name == "ec2_box_1" and watched.alarm and watched.alarm.name == "alarm1"


def test_prod_ends_its_chain_where_its_bots_end() -> None:
    prod = stage("prod")
    routes = {(bot.sector, bot.bot.name): [one.bot for one in bot.successors] for bot in prod.stage_bots}
    assert routes == {
        ("local_connection", "my_bot_1"): ["my_bot_2", "my_bot_3"],
        ("ec2_box", "my_bot_2"): [],
        ("ec2_box", "my_bot_3"): [],
    }
    assert prod.demolish_order == ("my_bot_1", "my_bot_2", "my_bot_3")
    assert [bot.arguments.processes for bot in prod.stage_bots] == [1, 10, 10]


def test_test_is_local_and_needs_no_region() -> None:
    test = resolve_stage(read_plan(REFERENCE), "test")
    assert test.home_region is None and test.workflow is None and test.roots == ()
    assert {sector.type for sector in test.sectors} == {SectorType.LOCAL}
    assert test.demolish_order == ("my_bot_1", "my_bot_2", "my_bot_3")
    assert all(bot.successors == () for bot in test.stage_bots)
