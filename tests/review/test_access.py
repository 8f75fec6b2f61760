"""What a role gains and loses, in words."""

from __future__ import annotations

from pathlib import Path

from two_versions import base, report, stage

from factory_cdk.review.model import AccessReport


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
