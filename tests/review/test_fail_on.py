"""`--fail-on` finds what it names and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from two_versions import base, report

from factory_cdk.diagnostics import FactoryError
from factory_cdk.review.fail_on import REASONS, parse_fail_on, violations

Change = Callable[[dict[str, Any]], Any]

EVERYTHING = ",".join(name for name in REASONS if name != "cost") + ",cost=0"


def box(factory: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = factory["stages"]["prod"]["box"]
    return found


def gone(factory: dict[str, Any]) -> None:
    factory["stages"]["prod"].pop("box")
    factory["stages"]["prod"].pop("workflow")


CASES: list[tuple[str, Change, set[str]]] = [
    ("nothing", lambda factory: None, set()),
    ("config", lambda factory: factory["config"].update(LEVEL="debug"), set()),
    ("image", lambda factory: box(factory)["parameters"].update(ImageId="ami-0fedcba9876543210"), {"replace"}),
    ("larger", lambda factory: box(factory)["parameters"].update(InstanceType="t3.large"), {"cost"}),
    ("smaller", lambda factory: box(factory)["parameters"].update(InstanceType="t3.nano"), set()),
    ("unpriced", lambda factory: box(factory)["parameters"].update(InstanceType="t3.colossal"), {"cost"}),
    ("queue", lambda factory: box(factory)["bots"]["reader"].update({"queue-name": "in"}), {"delete", "iam"}),
    ("secret", lambda factory: factory["bots"]["reader"].update(secrets=[]), {"secret"}),
    ("gone", gone, {"delete", "replace"}),
    ("key", lambda factory: box(factory)["parameters"].update(KeyName="x"), {"replace", "public"}),
    (
        "metadata",
        lambda factory: box(factory)["parameters"].update(MetadataOptions={"HttpTokens": "optional"}),
        {"public"},
    ),
]


@pytest.mark.parametrize(("change", "reasons"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_a_change_fails_for_its_reasons_and_no_other(change: Change, reasons: set[str], tmp_path: Path) -> None:
    after = base()
    change(after["factory"])
    found = report(tmp_path, base(), after)
    assert {one.reason for one in violations(found, parse_fail_on(EVERYTHING))} == reasons
    for name in REASONS:
        asked = parse_fail_on("cost=0" if name == "cost" else name)
        assert {one.reason for one in violations(found, asked)} == reasons & {name}


def test_a_cost_is_compared_with_its_amount(tmp_path: Path) -> None:
    after = base()
    after["factory"]["stages"]["prod"]["box"]["parameters"]["InstanceType"] = "t3.small"  # some 8 dollars more
    found = report(tmp_path, base(), after)
    assert not violations(found, parse_fail_on("cost=100"))
    assert violations(found, parse_fail_on("cost=1.5"))


@pytest.mark.parametrize(
    "text", ["replaced", "replace,x", "cost", "cost=", "cost=-1", "cost=nan", "replace=1", "cost=1e99"]
)
def test_what_is_not_a_reason_is_refused(text: str) -> None:
    with pytest.raises(FactoryError, match="--fail-on") as refused:
        parse_fail_on(text)
    assert refused.value.remedy


def test_reasons_may_have_spaces_and_be_none() -> None:
    assert parse_fail_on(" replace , delete ").reasons == {"replace", "delete"}
    assert parse_fail_on("").reasons == frozenset()
