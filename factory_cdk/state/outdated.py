"""Stages that another version of factory-cdk has built: their files mean something else, so they are told, not read."""

from __future__ import annotations

from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.runner_spec import VERSION
from factory_cdk.state.stage_folder import StageFolder

EARLIER_SPEC = "roster.json"
"""What the file of the runner's spec was called until its version 2."""


def is_outdated(folder: StageFolder, content: Any) -> bool:
    """Whether another version has built the stage, whose spec's file holds the JSON `content` (None: there is none)."""
    if content is None:
        return (folder.path / EARLIER_SPEC).exists()
    version = content.get("version") if isinstance(content, dict) else None
    return type(version) is int and version != VERSION


def outdated(folder: StageFolder) -> FactoryError:
    """The refusal of a stage that another version has built: what it is, and what helps."""
    return FactoryError(
        f"{folder.name} was built by another version of factory-cdk; this one cannot read its files",
        f"demolish it with the version that built it, which finishes its jobs; or factory-cdk demolish --cold "
        f"{folder.options}, which ends its runner and removes it with its jobs; "
        "then build it again",
    )
