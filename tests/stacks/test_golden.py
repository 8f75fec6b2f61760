"""The reference plan's stages as templates and published files, held against what was reviewed.

`UPDATE_GOLDEN=1 pytest tests/stacks/test_golden.py` writes them anew; `git diff` then shows what changed.
What changes with every version of factory_cdk (the version itself and the digests that it is part of) stands
under a name instead, and so does the part of the user-data that all instances share: its golden files are in
tests/bootstrap.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path

import pytest
from stack_templates import reference, synthesized

from factory_cdk.bootstrap import shared_user_data
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.plan.model import Platform
from factory_cdk.version import __version__

GOLDEN = Path(__file__).parent / "golden"


def readable(design: StageDesign, folder: Path) -> dict[str, str]:
    """What a reviewer reads of an assembly: its templates and manifests by file name."""
    names: dict[str, str] = {}
    files: dict[str, str] = {}
    for stack in design.stacks:
        for asset in stack.assets:
            content = json.loads(asset.content or "") if asset.key.endswith(".json") else {}
            kinds = {".whl": "wheel", ".txt": "requirements", ".py": "bootstrap"}
            kind = content.get("sector", kinds.get(Path(asset.key).suffix, "install script"))
            names[asset.sha256] = f"<SHA-256 of {kind}>"
            if content:
                files[f"{stack.name}.{kind}.release.json"] = json.dumps(content, indent=1) + "\n"
    for stack in design.stacks:
        template = f"{stack.name}.template.json"
        files[template] = (folder / template).read_text() + "\n"
    return {name: named(text, names) for name, text in files.items()}


def named(text: str, names: dict[str, str]) -> str:
    for digest, name in names.items():
        text = text.replace(digest, name)
    text = re.sub(r"((?:Booted|Ready)(?:Handle)?)[0-9a-f]{8}\b", r"\1<mark>", text)
    for platform in Platform:
        text = text.replace(json.dumps(shared_user_data(platform)), f'"<shared user-data of {platform}>"')
    text = text.replace(f"factory_cdk-{__version__}-py3", "factory_cdk-<version>-py3")
    return text.replace(f'"{__version__}"', '"<version>"')


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_reference_plan_synthesizes_to_the_templates_that_were_reviewed(stage: str, tmp_path: Path) -> None:
    design = design_stage(reference(stage))
    synthesized(design, tmp_path / "cdk.out")
    files = readable(design, tmp_path / "cdk.out")
    golden = GOLDEN / stage
    if os.environ.get("UPDATE_GOLDEN"):
        golden.mkdir(parents=True, exist_ok=True)
        for stale in golden.iterdir():
            stale.unlink()
        for name, text in files.items():
            (golden / name).write_text(text, encoding="utf-8")
    reviewed = {file.name: file.read_text(encoding="utf-8") for file in golden.iterdir()}
    difference = [
        line
        for name in sorted(files.keys() | reviewed.keys())
        for line in difflib.unified_diff(
            reviewed.get(name, "").splitlines(),
            files.get(name, "").splitlines(),
            f"golden/{stage}/{name}",
            f"now/{stage}/{name}",
            lineterm="",
        )
    ]
    assert not difference, (
        "\n".join(line[:200] for line in difference)
        + "\nIs this meant? UPDATE_GOLDEN=1 pytest tests/stacks/test_golden.py"
    )


def test_a_stage_without_an_aws_sector_has_no_stack() -> None:
    design = design_stage(reference("test"))
    assert design.stacks == ()
    assert [sector.name for sector in design.sectors] == ["local_sector", "another_local_sector"]
    assert not design.diagnostics
