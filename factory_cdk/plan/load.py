"""Loads a plan's file: from a path to a Plan and its diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import Diagnostic, PlanError
from factory_cdk.plan.checks.cross_references import check_references
from factory_cdk.plan.defined import defined_names
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Plan
from factory_cdk.plan.reading import read_factory
from factory_cdk.plan.schema.structure import check_structure, describe
from factory_cdk.plan.yaml.compose import compose
from factory_cdk.plan.yaml.nodes import MappingNode, Node, plain
from factory_cdk.plan.yaml.text import read_text

LOCK_NAME = "plan.lock"
"""The lock's name, beside the plan."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a plan gave: the Plan (None when it was refused), every diagnostic in the order of the
    file, and the file's text ("" when it could not be read) so that a writer can show the lines. `readable` is what
    could be read of a plan, refused or not; what is wrong is missing in it. `root` is the text as a tree of nodes with
    their positions (None: it is no YAML).
    """

    file: str
    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]
    text: str
    readable: Plan | None = None
    root: Node | None = None


def load_plan(file: str | Path) -> Loaded:
    """Load and check the plan in `file`, offline. Raises nothing that a plan can cause."""
    findings = Findings(str(file))
    text = read_text(findings)
    root = compose(text, findings) if text is not None else None
    if root is None:
        return Loaded(str(file), None, findings.diagnostics, text or "")
    findings.root = root
    findings.set_text(text or "")
    data = plain(root)
    if not isinstance(root, MappingNode):
        message = f"a plan must be a mapping with the key `factory`, not {describe(data)}"
        findings.add("F105", message, "start the file with `factory:`", line=root.line, column=root.column)
        return Loaded(str(file), None, findings.diagnostics, text or "")
    check_structure(data, findings)
    factory = data.get("factory")
    defined = defined_names(factory, findings)
    plan = read_factory(factory, defined.bots, findings)
    locked = Path(file).absolute().with_name(LOCK_NAME).is_file()
    check_references(plan, defined, findings, locked=locked)
    return Loaded(str(file), None if findings.refused else plan, findings.diagnostics, text or "", plan, root)


def read_plan(file: str | Path) -> Plan:
    """The plan in `file`; PlanError with every diagnostic when it is refused."""
    loaded = load_plan(file)
    if loaded.plan is None:
        raise PlanError(loaded.diagnostics)
    return loaded.plan
