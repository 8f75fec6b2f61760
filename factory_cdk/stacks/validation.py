"""CDK's own validation of a stage's templates: the engine that aws-cdk-lib 2.262 brought, run on purpose.

It runs inside `app.synth()` unless CDK_VALIDATION is false when jsii's Node starts, and leaves its findings in
`validation-report.json` of the assembly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.stacks.node import prepare_cdk

REPORT = "validation-report.json"

PLUGIN = "CloudFormation Validate"
"""The engine's name in the report; plugins of the user would stand beside it."""

_CONTEXT = {
    # Severities as the rules have them: without it every error is reported as a warning.
    "@aws-cdk/core:validateAgainstDefaultRules": True,
    # The report is for whoever reads the file: nothing on stderr and no exit code of Node's.
    "@aws-cdk/core:failSynthOnValidationErrors": False,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A finding of the engine: its rule (`E3012`, `F3012`, `W9003`), severity (`error`, `fatal`, `warning`, …), and
    the template and path (`Properties.ImageId` as its parts) of the resource that it is about.
    """

    rule: str
    severity: str
    message: str
    template: str
    logical_id: str
    path: tuple[str | int, ...]


def validate_templates(design: StageDesign, folder: Path) -> tuple[Violation, ...]:
    """Synthesize `design` into the existing `folder` and return what CDK's validation says of it.

    FactoryError when CDK fails, or when this process started Node with the validation switched off.
    """
    os.environ["CDK_VALIDATION"] = "true"
    prepare_cdk()
    from factory_cdk.stacks.app import synthesize  # noqa: PLC0415 - imports aws_cdk, which must be prepared

    synthesize(design, folder, context=_CONTEXT)
    report = folder / REPORT
    plugins = json.loads(report.read_text(encoding="utf-8"))["pluginReports"] if report.is_file() else []
    ours = [plugin for plugin in plugins if plugin.get("pluginName") == PLUGIN]
    if not ours:
        message = "CDK has not validated the templates"
        raise FactoryError(message, "lint in a process of its own, with aws-cdk-lib 2.262 or newer")
    return tuple(violation for plugin in ours for violation in _violations(plugin))


def _violations(plugin: Any) -> Iterator[Violation]:
    for found in plugin["violations"]:
        for construct in found["violatingConstructs"]:
            resource = construct.get("cloudFormationResource") or {}
            for path in resource.get("propertyPaths") or [""]:
                yield Violation(
                    rule=found["ruleName"],
                    severity=found.get("severity", "error"),
                    message=found["description"],
                    template=resource.get("templatePath", ""),
                    logical_id=resource.get("logicalId", ""),
                    path=tuple(int(part) if part.isdecimal() else part for part in path.split(".") if part),
                )
