"""Lints a stage: runs every check and both engines, and reports each finding where it comes from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from factory_cdk.codes import CODES
from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import Diagnostic
from factory_cdk.lint import alarms, instances, policies
from factory_cdk.lint.engines import ID_FORMATS, TEMPLATE_SUFFIX, engine_findings
from factory_cdk.lint.finding import Finding, InPlan, InTemplate
from factory_cdk.lint.literals import check_literals
from factory_cdk.lint.places import Places
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.load import Loaded
from factory_cdk.plan.yaml.compose import compose
from factory_cdk.plan.yaml.nodes import Node, ScalarNode, locate, plain
from factory_cdk.plan.yaml.nodes import Path as PlanPath

CHECKS: tuple[Callable[[StageDesign], Iterator[Finding]], ...] = (
    policies.check_wildcards,
    instances.check_metadata,
    instances.check_public_address,
    instances.check_volumes,
    instances.check_family,
    alarms.check_period,
    alarms.check_termination,
    alarms.check_actions,
)
"""Our own checks of a design; each finds one code."""


Engines = Callable[[StageDesign, Path], Iterable[Finding]]
"""Writes the templates of a design into a folder and yields what it finds in them."""


def lint_stage(loaded: Loaded, design: StageDesign, engines: Engines = engine_findings) -> tuple[Diagnostic, ...]:
    """Everything that linting finds in `design`, a stage of the valid plan `loaded`: first what is in the plan's
    file, in its order, then what is in templates. What validation has found is not in it.

    `engines` look at the templates of a stage with aws sectors; they need the `[cdk]` extra (FactoryError) and some
    seconds.
    """
    findings = Findings(loaded.file)
    if loaded.root is None:  # then it has no stage, either
        return ()
    findings.root = loaded.root
    data = plain(loaded.root)
    found = [*check_literals(data), *(finding for check in CHECKS for finding in check(design))]
    if not design.stacks:
        return _Report(findings, Places(data, design), loaded, None).of(found)
    with tempfile.TemporaryDirectory(prefix="factory-cdk-lint-") as folder:
        found += engines(design, Path(folder))
        return _Report(findings, Places(data, design), loaded, Path(folder)).of(found)


class _Report:
    """Turns findings into diagnostics; `folder` holds the templates."""

    def __init__(self, findings: Findings, places: Places, loaded: Loaded, folder: Path | None) -> None:
        self._findings = findings
        self._places = places
        self._folder = folder
        self._templates: dict[str, Node | None] = {}
        self._in_templates: list[Diagnostic] = []
        # What validation says of ids, the engines need not say again; what may be secret, they must not quote.
        self._short_ids = {(one.line, one.column) for one in loaded.diagnostics if one.code == "F510"}
        self._secret_lines: set[int] = set()

    def of(self, found: Iterable[Finding]) -> tuple[Diagnostic, ...]:
        """Every diagnostic, those of the plan first."""
        for finding in found:
            path = finding.place.path if isinstance(finding.place, InPlan) else self._places.in_plan(finding.place)
            if path is not None:
                self._add_in_plan(finding, path)
            elif isinstance(finding.place, InTemplate):
                self._in_templates.append(self._of_template(finding, finding.place))
        return (*self._findings.diagnostics, *dict.fromkeys(self._in_templates))

    def _add_in_plan(self, finding: Finding, path: PlanPath) -> None:
        spot = locate(self._findings.root, path)
        node: Any = spot.node if isinstance(spot.node, ScalarNode) else spot.key or spot.node
        message = finding.message
        if finding.code == "F701":
            self._secret_lines.add(node.line)
        elif finding.code in ("F720", "F721"):
            rule = message.rpartition("[")[2]
            if rule[1:5] in ID_FORMATS and (spot.node.line, spot.node.column) in self._short_ids:
                return
            if node.line in self._secret_lines:
                message = f"hidden, because the value may be a secret [{rule}"
        add = self._findings.at_value if node is spot.node else self._findings.at_key
        add(path, finding.code, message, finding.hint)

    def _of_template(self, finding: Finding, place: InTemplate) -> Diagnostic:
        file = f"{place.stack}{TEMPLATE_SUFFIX}"
        root = self._template(file)
        line, column = 1, 1
        if root is not None:
            spot = locate(root, place.path)
            node: Any = spot.key or spot.node
            line, column = node.line, node.column
        where = "/".join(map(str, place.path))
        message = f"{finding.message} (at {where})" if where else finding.message
        return Diagnostic(finding.code, CODES[finding.code].severity, message, finding.hint, file, line, column)

    def _template(self, file: str) -> Node | None:
        """A template as nodes that know their lines: JSON is YAML."""
        if file not in self._templates:
            path = self._folder / file if self._folder is not None else None
            text = path.read_text(encoding="utf-8") if path is not None and path.is_file() else None
            self._templates[file] = compose(text, Findings(file)) if text else None
        return self._templates[file]
