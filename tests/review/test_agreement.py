"""What review predicts of every resource is what CloudFormation's change set says, and what `cdk diff` says.

`plan_changes.py` has the changes with the verdicts that a person gives, `deviations.py` where the three differ and who
is right. Change sets are the emulator's: it computes them from the templates by itself, and is told the update
behaviour of the types that it does not know (`tests/emulator_server.py`); that of `cdk diff` is CDK's own database.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cdk_diff import CLI, CdkDiff, cdk_diff_process, needs_cdk_cli, read, real_cdk_diff
from change_sets import change_set, deploy, physical_ids
from deviations import CDK_DIFF, CHANGE_SET, DEVIATIONS, REVIEW, Deviation, Facts, Pair, levelled
from emulator import Emulator
from facts import of_review
from plan_changes import ALARM, BY_NAME, CHANGES, INSTANCE, PlanChange
from versions import STAGE, Made, Version, base, made

from factory_cdk.design.model import SectorDesign
from factory_cdk.diagnostics import PlanError
from factory_cdk.plan.facts import resource_schema, update_behaviour
from factory_cdk.review.comparing import compared
from factory_cdk.review.history import History
from factory_cdk.review.model import StageReport
from factory_cdk.review.sides.of_assembly import side_of_assembly

REGIONS = ("eu-west-1", "eu-west-2", "eu-central-1")
SWAPPED = {"added": "removed", "removed": "added"}
COMBINATIONS = 60
EMPTY = {"Resources": {}}

Make = Callable[[Version], Made]


@dataclass(frozen=True)
class Deployments:
    """The versions that are deployed on the emulator, by their keys."""

    aws: Emulator
    deployed: dict[str, Made] = field(default_factory=dict)

    def __call__(self, version: Made) -> Made:
        """Deploy `version` where it is not deployed yet."""
        if version.key not in self.deployed:
            deploy(self.aws, version)
            self.deployed[version.key] = version
        return self.deployed[version.key]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes versions, each once."""
    folder = tmp_path_factory.mktemp("versions")
    known: dict[str, Made] = {}

    def one(version: Version) -> Made:
        if version.key not in known:
            known[version.key] = made(version, folder / version.key)
        return known[version.key]

    return one


@pytest.fixture(scope="module", autouse=True)
def _without_validation() -> Iterator[None]:
    """CDK's own validation of templates takes seconds for each, and is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDK_VALIDATION", "false")
        yield


@pytest.fixture(scope="module")
def cdk_diff() -> Iterator[CdkDiff]:
    with cdk_diff_process() as process:
        yield process


@pytest.fixture(scope="module")
def deployments(aws: Emulator) -> Deployments:
    for region in REGIONS:
        aws.bootstrap(region)
    return Deployments(aws)


FAST = (
    "nothing",
    "instance InstanceType",
    "volume size",
    "volumes in another order",
    "the script of instances",
    "alarm Threshold",
    "alarm gone",
    "tag value",
    "config over 4 KB",
    "secret that exists",
    "sector renamed",
    "home region",
)
"""The changes whose change sets are not left to `./dev e2e`: the emulator takes a second for each."""


def each(changes: Iterable[PlanChange] = CHANGES, *, fast: Collection[str]) -> pytest.MarkDecorator:
    """Changes of a plan as parameters; those whose names are not `fast` are left to `./dev e2e`."""
    marks = {True: (), False: (pytest.mark.e2e,)}
    return pytest.mark.parametrize(
        "change", [pytest.param(one, id=one.name, marks=marks[one.name in fast]) for one in changes]
    )


def review(before: Made, after: Made) -> StageReport:
    return compared(STAGE, before.side, after.side, History())


def sides(change: PlanChange, make: Make) -> tuple[Made, Made]:
    """Both versions of `change`. Those that start from another base are of a factory of their own."""
    name = "agree"
    if change.first:
        name = f"agree{change.before().key[:8]}"
    return make(change.before(name)), make(change.after(name))


def sector_of(version: Made, name: str) -> SectorDesign | None:
    return next((one for one in version.design.sectors if one.name == name), None)


def disagreements(
    report: StageReport, before: Made, after: Made, who: str, facts_of: Callable[[str, Pair], Facts]
) -> tuple[list[str], frozenset[str]]:
    """The resources on which `report` and `who` differ, and the deviations that were taken out of the two."""
    found: list[str] = []
    seen: frozenset[str] = frozenset()
    for stack in dict.fromkeys((*before.side.stacks, *after.side.stacks)):
        kept = (
            stack in before.side.stacks and stack in after.side.stacks and before.region(stack) == after.region(stack)
        )
        said = [one for one in report.resources if one.stack == stack]
        if not kept:  # the old one is no stack of the new version: all of it is told as removed
            gone = [one for one in said if one.action == "Remove"]
            expected = before.templates[stack]["Resources"] if stack in before.side.stacks else {}
            assert {one.logical_id for one in gone} == set(expected)
            said = [one for one in said if one.action != "Remove"]
        if stack not in after.side.stacks:
            assert said == []
            continue
        pair = Pair(before.templates[stack] if kept else EMPTY, after.templates[stack])
        ours, seen_ours = levelled(pair, REVIEW, who, {one.logical_id: of_review(one) for one in said})
        theirs, seen_theirs = levelled(pair, who, REVIEW, facts_of(stack, pair))
        seen |= seen_ours | seen_theirs
        for name in sorted({*ours, *theirs}):
            one, other = ours.get(name), theirs.get(name)
            if one != other:
                found.append(f"{stack} {name}: review says {one}, the {who} says {other}")
    return found, seen


def by_cdk_diff(before: Made, after: Made, cdk_diff: CdkDiff) -> tuple[list[str], frozenset[str]]:
    def facts(stack: str, pair: Pair) -> Facts:
        return read(cdk_diff.text(pair.old, after.assembly, stack))

    return disagreements(review(before, after), before, after, CDK_DIFF, facts)


def by_change_sets(before: Made, after: Made, deployments: Deployments) -> tuple[list[str], frozenset[str]]:
    deployments(before)

    def facts(stack: str, pair: Pair) -> Facts:
        if pair.old == pair.new and before.tags(stack) == after.tags(stack):
            return {}  # the change `nothing` proves it
        return change_set(deployments.aws, after, stack)

    return disagreements(review(before, after), before, after, CHANGE_SET, facts)


# Verdicts


@each(fast=BY_NAME)
def test_the_verdict_on_every_sector_is_the_one_that_a_person_gives(change: PlanChange, make: Make) -> None:
    before, after = sides(change, make)
    expected = dict.fromkeys((*before.side.sectors, *after.side.sectors), "unchanged") | dict(change.verdicts)
    assert {one.name: str(one.verdict) for one in review(before, after).sectors} == expected
    swapped = {name: SWAPPED.get(verdict, verdict) for name, verdict in expected.items()}
    assert {one.name: str(one.verdict) for one in review(after, before).sectors} == swapped


@each(fast=BY_NAME)
def test_a_sector_is_unchanged_exactly_when_its_release_and_all_its_resources_are(
    change: PlanChange, make: Make
) -> None:
    before, after = sides(change, make)
    report = review(before, after)
    # What an update waits for is named by the text of the properties: their order in the plan is enough for another.
    waits = ("AWS::CloudFormation::WaitCondition", "AWS::CloudFormation::WaitConditionHandle")
    touched = {
        one.sector for one in report.resources if one.type not in waits and not one.logical_id.endswith("Release")
    }
    for sector in report.sectors:
        old, new = (sector_of(side, sector.name) for side in (before, after))
        if old and new and old.type == new.type == "aws":
            same = sector.name not in touched and old.release == new.release
            assert (str(sector.verdict) == "unchanged") == same, sector


def test_every_property_that_a_plan_may_give_is_changed_once() -> None:
    instance, alarm = resource_schema("ec2-instance"), resource_schema("cloudwatch-alarm")
    read_only = {path.rpartition("/")[2] for path in instance["readOnlyProperties"]}
    assert set(INSTANCE) == set(instance["properties"]) - read_only - {"UserData", "IamInstanceProfile"}
    elsewhere = {name.removeprefix("alarm ") for name in BY_NAME if name.startswith("alarm ")}
    refused = {"Arn", "Dimensions", "EvaluationCriteria", "EvaluationInterval", "ThresholdMetricId"}
    refused |= {"ActionConfiguration", "EvaluationWindow", "WarmUpConfiguration"}
    assert set(ALARM) | elsewhere >= set(alarm["properties"]) - refused


TOLD_OTHERWISE = {("AWS::DynamoDB::Table", "KeySchema"), ("AWS::S3::Bucket", "ObjectLockEnabled")}
"""The database says that these always replace, AWS's schema that the first may and the second does not. No plan can
change them.
"""


@needs_cdk_cli
def test_the_update_behaviour_that_we_ship_is_that_of_the_database_of_the_cdk() -> None:
    with gzip.open(CLI / "db.json.gz") as packed:
        found = json.load(packed)["schema"]["resource"]["entities"]
    models = {one["cloudFormationType"]: one["properties"] for one in found}
    for type_, ours in update_behaviour().items():
        for said, key in (("yes", "replaces"), ("maybe", "may_replace")):
            theirs = {name for name, one in models[type_].items() if one.get("causesReplacement") == said}
            own = {name for name in ours[key] if (type_, name) not in TOLD_OTHERWISE}
            assert own == {name for name in theirs if (type_, name) not in TOLD_OTHERWISE}, type_


# Agreement


@needs_cdk_cli
@each(fast=[one.name for one in CHANGES if one.fast and one.name != "sectors in another order"])
def test_cdk_diff_says_the_same_of_every_resource(change: PlanChange, make: Make, cdk_diff: CdkDiff) -> None:
    before, after = sides(change, make)
    assert by_cdk_diff(before, after, cdk_diff)[0] == []
    assert by_cdk_diff(after, before, cdk_diff)[0] == [], "the other way round"


@pytest.mark.e2e
@each(fast=FAST)
def test_the_change_set_says_the_same_of_every_resource(
    change: PlanChange, make: Make, deployments: Deployments
) -> None:
    before, after = sides(change, make)
    assert by_change_sets(before, after, deployments)[0] == []


@each(fast=FAST)
def test_two_cloud_assemblies_are_told_as_the_plans_that_made_them(change: PlanChange, make: Make) -> None:
    both = sides(change, make)
    assert all(one.templates for one in both)
    before, after = (side_of_assembly(one.assembly).stage(STAGE) for one in both)
    assert compared(STAGE, before, after, History()).resources == review(*both).resources


def combination(seed: int, make: Make) -> tuple[list[str], Made, Made]:
    """Two to four changes that go together, drawn by `seed`: their names, and both versions."""
    drawn = random.Random(seed)  # noqa: S311 - the same in every run
    alone = [one for one in CHANGES if not one.first and one.edits]
    while True:
        chosen = drawn.sample(alone, drawn.randint(2, 4))
        version = base()
        try:
            for change in chosen:
                for edit in change.edits:
                    version = edit(version)
            return [one.name for one in chosen], make(base()), make(version)
        except (PlanError, KeyError, TypeError):  # they do not go together
            continue


@needs_cdk_cli
@pytest.mark.e2e
@pytest.mark.parametrize(
    "seed", [pytest.param(one, marks=() if one < 3 else (pytest.mark.e2e,)) for one in range(COMBINATIONS)]
)
def test_changes_together_are_told_alike_by_all_three(
    seed: int, make: Make, cdk_diff: CdkDiff, deployments: Deployments
) -> None:
    names, before, after = combination(seed, make)
    assert by_cdk_diff(before, after, cdk_diff)[0] == [], names
    assert by_change_sets(before, after, deployments)[0] == [], names


@needs_cdk_cli
@pytest.mark.e2e
@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda one: f"{one.who}: {one.what}")
def test_every_deviation_is_seen_in_its_example(
    deviation: Deviation, make: Make, cdk_diff: CdkDiff, deployments: Deployments
) -> None:
    before, after = sides(BY_NAME[deviation.example], make)
    if CDK_DIFF in (deviation.who, deviation.against):
        seen = by_cdk_diff(before, after, cdk_diff)[1]
    else:
        seen = by_change_sets(before, after, deployments)[1]
    assert deviation.what in seen


# What is compared with is the real thing


@pytest.mark.e2e
@needs_cdk_cli
@pytest.mark.parametrize(
    "name",
    [
        "instance ImageId",
        "volume size",
        "tag value",
        "sector renamed",
        "the script of instances",
        "nothing",
        "alarm gone",
    ],
)
def test_the_script_prints_what_the_command_cdk_diff_prints(
    name: str, make: Make, cdk_diff: CdkDiff, tmp_path: Path
) -> None:
    before, after = sides(BY_NAME[name], make)
    for stack in after.templates:
        old = tmp_path / f"{stack}.json"
        old.write_text((before.assembly / f"{stack}.template.json").read_text() if before.templates else "")
        ours = cdk_diff.text(before.templates[stack], after.assembly, stack)
        printed = real_cdk_diff(old, after.assembly, stack, tmp_path)
        assert ours.strip() in printed
        assert read(printed) == read(ours)


@pytest.fixture(scope="module")
def running() -> list[int]:
    """A number for the factory that is updated and then put back; it goes up when that did not succeed."""
    return [0]


EXECUTED = [one for one in CHANGES if one.runs and not one.first and {*one.verdicts} == {"box"}]


@pytest.mark.e2e
@each(EXECUTED, fast=["volume size"])
def test_an_update_that_is_executed_replaces_what_review_says_and_nothing_else(
    change: PlanChange, make: Make, deployments: Deployments, running: list[int]
) -> None:
    factory = f"running{running[0]}"
    before = deployments(make(change.before(factory)))
    after = make(change.after(factory))
    stack = next(one.stack for one in before.design.sectors if one.name == "box")
    assert stack is not None
    running[0] += 1
    for old, new in ((before, after), (after, before)):
        report = review(old, new)
        replaced = {one.logical_id for one in report.resources if one.stack == stack and one.replacement == "True"}
        if any(one.name == "box" and str(one.verdict) == "replaced" for one in report.sectors):
            replaced.add("BoxInstance")  # of Conditional the verdict says what it comes to
        was = physical_ids(deployments.aws, old, stack)
        change_set(deployments.aws, new, stack, execute=True)
        now = physical_ids(deployments.aws, new, stack)
        assert {name for name in was.keys() & now.keys() if was[name] != now[name]} == replaced
        resources = new.templates[stack]["Resources"]
        commit_gate = {name for name, one in resources.items() if "Condition" in one}  # there is none: nothing deploys
        assert now.keys() == resources.keys() - commit_gate
    running[0] -= 1
