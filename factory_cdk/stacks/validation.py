"""CDK's own validation of a stage's templates: the engine that aws-cdk-lib 2.262 brought, run on purpose.

It runs inside `app.synth()` unless CDK_VALIDATION is false when jsii's Node starts, and leaves its findings in
`validation-report.json` of the assembly. Whatever this process has started Node with, a process of its own (this
module as a program) starts one that validates.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.stacks.node import prepare_cdk

REPORT = "validation-report.json"

PLUGIN = "CloudFormation Validate"
"""The engine's name in the report; plugins of the user would be next to it."""

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

    FactoryError when the `[cdk]` extra or a Node is missing, or when CDK fails.
    """
    # -P: no module of the current folder takes the place of one of ours.
    command = [sys.executable, "-P", "-m", "factory_cdk.stacks.validation", str(folder)]
    environment = {**os.environ, "CDK_VALIDATION": "true"}
    done = subprocess.run(command, input=pickle.dumps(design), capture_output=True, env=environment, check=False)
    if done.returncode:
        raise _failure(done.stdout, done.stderr)
    report = folder / REPORT
    plugins = json.loads(report.read_text(encoding="utf-8"))["pluginReports"] if report.is_file() else []
    ours = [plugin for plugin in plugins if plugin.get("pluginName") == PLUGIN]
    if not ours:
        raise FactoryError("CDK has not validated the templates", "install aws-cdk-lib 2.262 or newer")
    return tuple(violation for plugin in ours for violation in _violations(plugin))


def _failure(stdout: bytes, stderr: bytes) -> FactoryError:
    try:
        return FactoryError(*json.loads(stdout))
    except ValueError:  # it was ended before it could say why
        last = stderr.decode(errors="replace").strip().splitlines()[-1:]
        return FactoryError(f"CDK's validation ended early{': ' if last else ''}{''.join(last)}", "run it again")


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


def main() -> None:
    """Synthesize the pickled StageDesign of stdin into the folder that is named; a FactoryError goes to stdout."""
    try:
        prepare_cdk()
        from factory_cdk.stacks.app import synthesize  # noqa: PLC0415 - imports aws_cdk, which must be prepared

        design = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the process that started this one
        synthesize(design, Path(sys.argv[1]), context=_CONTEXT)
    except FactoryError as error:
        print(json.dumps([error.message, error.remedy]))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
