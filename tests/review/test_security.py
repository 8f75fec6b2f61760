"""What a change opens or closes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from two_versions import base, report, stage

Parameters = dict[str, Any]


def public(parameters: Parameters) -> None:
    for name in ("SubnetId", "SecurityGroupIds"):
        parameters.pop(name)
    parameters["NetworkInterfaces"] = [
        {"DeviceIndex": 0, "SubnetId": "subnet-0123456789abcdef0", "AssociatePublicIpAddress": True,
         "GroupSet": ["sg-0123456789abcdef0"]}
    ]  # fmt: skip


CASES: list[tuple[Callable[[Parameters], Any], str, bool, str]] = [
    (public, "public", True, "gets a public address"),
    (lambda one: one.update(SecurityGroupIds=["sg-0fedcba9876543210"]), "port", True, "gets sg-0fedcba9876543210"),
    (lambda one: one.update(KeyName="other"), "port", True, "the key pair other can log in"),
    (lambda one: one.pop("KeyName"), "port", False, "no key pair"),
    (lambda one: one.update(MetadataOptions={"HttpTokens": "optional"}), "metadata", True, "IMDSv1"),
    (
        lambda one: one.update(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}]),
        "encryption",
        True,
        "/dev/xvda is not encrypted any more",
    ),
    (lambda one: one.update(DisableApiTermination=True), "protection", False, "is protected"),
]


@pytest.mark.parametrize(("change", "kind", "worse", "text"), CASES)
def test_what_opens_or_closes(
    change: Callable[[Parameters], Any], kind: str, worse: bool, text: str, tmp_path: Path
) -> None:
    after = base()
    change(after["factory"]["stages"]["prod"]["box"]["parameters"])
    found = stage(report(tmp_path, base(), after)).security
    assert [(one.subject, one.kind, one.worse) for one in found] == [("box", kind, worse)]
    assert text in found[0].text


def test_a_secret_that_becomes_a_config_value_is_worse(tmp_path: Path) -> None:
    after = base()
    after["factory"]["bots"]["reader"]["secrets"] = []
    after["factory"]["bots"]["reader"]["config"] = {"TOKEN": "from a vault"}
    (found,) = stage(report(tmp_path, base(), after)).security
    assert found.kind == "secret" and found.worse and "in the clear" in found.text
    assert "from a vault" not in found.text
    (back,) = stage(report(tmp_path / "back", after, base())).security
    assert not back.worse


def test_a_stack_that_loses_its_protection(tmp_path: Path) -> None:
    before = base()
    before["factory"]["stages"]["prod"]["protect"] = True
    found = stage(report(tmp_path, before, base())).security
    assert {one.kind for one in found} == {"protection"} and all(one.worse for one in found)
