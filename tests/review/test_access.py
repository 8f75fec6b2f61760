"""What a role gains and loses, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from two_versions import base, report, sector, stage

from factory_cdk.plan.model import Json
from factory_cdk.review.fail_on import parse_fail_on, violations
from factory_cdk.review.model import AccessReport, Verdict


def test_another_queue_in_words(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["box"]["bots"]["reader"]["queue-name"] = "in"
    (found,) = stage(report(tmp_path, base(), after)).access
    assert found == AccessReport(
        "box",
        (
            "receive jobs from and send jobs to the queue mill-prod-in",
            "receive jobs from and send jobs to the queue mill-prod-in-dlq",
        ),
        (
            "receive jobs from and send jobs to the queue mill-prod-reader",
            "receive jobs from and send jobs to the queue mill-prod-reader-dlq",
        ),
    )


def test_a_secret_that_exists_in_words(tmp_path: Path) -> None:
    after = base()
    after["factory"]["bots"]["reader"]["secrets"] = {"TOKEN": {"secret": "prod/token"}}
    (found,) = stage(report(tmp_path, base(), after)).access
    assert "read the secret prod/token" in found.gains
    assert len(found.loses) == 1 and found.loses[0] == "read its own secrets"


def test_other_code_is_no_other_permission(tmp_path: Path) -> None:
    found = stage(report(tmp_path, base(), base(), None, {"code/reader/reader.py": "def run(payload): return 2\n"}))
    assert found.access == ()
    assert any(one.logical_id in {"BoxRole", "BoxRelease"} for one in found.resources)


def test_a_new_sector_gains_all_that_it_needs(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["more"] = {**after["factory"]["stages"]["prod"]["box"]}
    (found,) = stage(report(tmp_path, base(), after)).access
    assert found.sector == "more" and not found.loses
    said = "\n".join(found.gains)
    for part in (
        "be taken by ec2",
        "read its release",
        "receive jobs from and send jobs to the queue mill-prod-reader",
        "send jobs to the queue mill-prod-writer",
        "read and write the log group /factory-cdk/mill/prod/more",
        "read the parameter /factory-cdk/mill/prod/gate",
    ):
        assert part in said, said


ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
IAM = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
BUT_TWO = {"Effect": "Allow", "NotAction": ["sts:*", "iam:*"], "Resource": "*"}
BUT_ONE = {"Effect": "Allow", "NotAction": "sts:*", "Resource": "*"}
BUT_BUCKET = {"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::kept/*"}
LIKE_OURS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::x-assets-${AWS::AccountId}-y/*"}
LIMITED = {**ALL, "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-2"}}}


@pytest.mark.parametrize(
    ("before", "after", "gains", "loses"),
    [
        ([], [ALL], ("* on *",), ()),
        ([], [BUT_TWO], ("everything but iam:*, sts:* on *",), ()),
        ([BUT_TWO], [BUT_ONE], ("everything but sts:* on *",), ("everything but iam:*, sts:* on *",)),
        ([], [BUT_BUCKET], ("s3:* on everything but arn:aws:s3:::kept/*",), ()),
        ([ALL, IAM], [ALL], ("iam:* on *, which is denied until now",), ()),
        ([ALL], [ALL, IAM], (), ("iam:* on *, which is denied from now on",)),
        ([LIMITED], [ALL], ("* on *",), ("* on * (if StringEquals aws:RequestedRegion eu-west-2)",)),
        ([], [LIKE_OURS], ("read the object x-assets-${AWS::AccountId}-y/*",), ()),
    ],
)
def test_statements_that_a_plan_adds(
    before: list[Json], after: list[Json], gains: tuple[str, ...], loses: tuple[str, ...], tmp_path: Path
) -> None:
    plans = [base(), base()]
    for plan, statements in zip(plans, (before, after), strict=True):
        plan["factory"]["stages"]["prod"]["box"] |= {"policies": statements} if statements else {}
    found = report(tmp_path, *plans)
    assert stage(found).access == (AccessReport("box", gains, loses),)
    assert sector(found).verdict is Verdict.CHANGED
    assert {one.what.partition("[")[0] for one in sector(found).why} == {"policies"}
    assert [one.reason for one in violations(found, parse_fail_on("iam"))] == ["iam"] * bool(gains)


def test_a_boundary_that_is_gone_is_access_gained(tmp_path: Path) -> None:
    before = base()
    arn = "arn:aws:iam::123456789012:policy/boundary"
    before["factory"]["stages"]["prod"]["box"]["permissions-boundary"] = arn
    found = report(tmp_path, before, base())
    (said,) = stage(found).access
    assert said == AccessReport("box", (f"do what the boundary {arn} forbids, which limits it until now",))
    assert [one.reason for one in violations(found, parse_fail_on("iam"))] == ["iam"]
    (back,) = stage(report(tmp_path / "back", base(), before)).access
    assert back == AccessReport("box", (), (f"do what the boundary {arn} forbids, which limits it from now on",))
