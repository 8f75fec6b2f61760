"""The engines in a process that has used CDK before, and when CDK cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_plans import PLAN, designed, loaded, with_parameters, with_resource

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lint.engines import engine_findings
from factory_cdk.stacks.node import prepare_cdk
from factory_cdk.stacks.validation import validate_templates


@pytest.mark.slow
def test_cdk_validates_though_this_process_has_started_it_without_validation(tmp_path: Path) -> None:
    prepare_cdk()
    text = PLAN.replace("t3.micro", "t3.gigantic")
    found = engine_findings(designed(loaded(tmp_path, text)), tmp_path)
    assert [(one.code, "cfn-lint and CDK]" in one.message) for one in found] == [("F720", True)]
    assert (tmp_path / "works-dev-eu-west-2.template.json").is_file()


@pytest.mark.slow
def test_a_missing_property_is_one_finding_though_one_engine_names_the_place_where_it_would_be(tmp_path: Path) -> None:
    volume = "BlockDeviceMappings: [{DeviceName: a, Ebs: {VolumeType: gp2, VolumeSize: 100, Encrypted: true}}]"
    design = designed(loaded(tmp_path, with_parameters(volume)))
    ebs = {"VolumeType": "io1", "VolumeSize": 100, "Encrypted": True}  # validation refuses it in a plan
    broken = with_resource(design, "BoxInstance", BlockDeviceMappings=[{"DeviceName": "a", "Ebs": ebs}])
    found = engine_findings(broken, tmp_path)
    (iops,) = [one for one in found if "E3671" in one.message]
    assert "[E3671, cfn-lint and CDK]" in iops.message


def test_a_node_that_does_not_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_NODE", str(tmp_path / "no-node"))
    with pytest.raises(FactoryError, match="no-node") as failed:
        validate_templates(designed(loaded(tmp_path, PLAN)), tmp_path)
    assert failed.value.remedy


@pytest.mark.slow
def test_what_cdk_says_when_it_fails_is_one_line_and_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FactoryError) as failed:
        validate_templates(designed(loaded(tmp_path, PLAN)), tmp_path / "file")
    assert "\n" not in failed.value.message and failed.value.remedy
