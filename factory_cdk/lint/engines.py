"""What CDK's own validation and cfn-lint report about a stage's templates, as findings.

Both have the same catalogue of rules (cfn-lint's), so what both say of one place is one finding.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lint.finding import Finding, InTemplate
from factory_cdk.plan.findings import shortened
from factory_cdk.plan.yaml.nodes import Path as PlanPath
from factory_cdk.stacks.node import INSTALL_HINT

TEMPLATE_SUFFIX = ".template.json"

BY_DESIGN = frozenset({"9003", "9010"})
"""Rules that are not about a plan. W9003 notes what CloudFormation coerces: `validate` has checked it, and values
reach the template as they were written. W9010 wants a parameter for the image: in a plan the image is a value."""

ID_FORMATS = frozenset({"1150", "1151", "1152", "1153", "1154"})
"""Rules about the length of ids, of which `validate` warns itself (F510)."""

_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Said:
    """What one engine said of one place; `rule` is its name for the rule (`E3012`)."""

    engine: str
    rule: str
    error: bool
    message: str
    place: InTemplate

    @property
    def number(self) -> str:
        """The number of the rule, which both engines share (CDK writes F3012 where cfn-lint writes E3012)."""
        return self.rule[1:]


def engine_findings(design: StageDesign, folder: Path) -> tuple[Finding, ...]:
    """Synthesize `design` into the existing `folder` and return what the engines find in its templates.

    FactoryError when the `[cdk]` extra is not installed or CDK fails.
    """
    from factory_cdk.stacks.validation import validate_templates  # noqa: PLC0415 - stages with aws sectors only

    if importlib.util.find_spec("cfnlint") is None:
        raise FactoryError("linting needs cfn-lint, which is not installed", INSTALL_HINT)
    with ThreadPoolExecutor(1) as beside:  # while Node validates, cfn-lint reads its rules
        validation = beside.submit(validate_templates, design, folder)
        rules = _rules()
        violations = validation.result()
    said = [
        Said(
            "CDK",
            one.rule,
            one.severity in ("error", "fatal"),
            one.message,
            InTemplate(
                one.template.removesuffix(TEMPLATE_SUFFIX),
                ("Resources", one.logical_id, *one.path) if one.logical_id else one.path,
            ),
        )
        for one in violations
        if one.severity in ("error", "fatal", "warning")
    ]
    said += _cfn_lint(design, folder, rules)
    return tuple(merged(_at_existing(said, folder)))


def _at_existing(said: Iterable[Said], folder: Path) -> Iterator[Said]:
    """`said` without what is by design, each at a place that its template has: of a property that is missing, one
    engine names the place where it would be, the other the one that lacks it.
    """
    templates: dict[str, Any] = {}
    for one in said:
        if one.number in BY_DESIGN:
            continue
        if one.place.stack not in templates:
            file = folder / f"{one.place.stack}{TEMPLATE_SUFFIX}"
            templates[one.place.stack] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        path = _existing(templates[one.place.stack], one.place.path)
        yield replace(one, place=InTemplate(one.place.stack, path))


def _existing(value: Any, path: PlanPath) -> PlanPath:
    """`path` in `value` as far as it exists."""
    for length, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return path[:length]
    return path


def _rules() -> Any:
    from cfnlint.core import get_rules  # noqa: PLC0415 - 1.5 s

    return get_rules([], [], [])


def _cfn_lint(design: StageDesign, folder: Path, rules: Any) -> Iterator[Said]:
    from cfnlint.api import lint  # noqa: PLC0415
    from cfnlint.config import ManualArgs  # noqa: PLC0415

    # A configuration of its own, so that no .cfnlintrc of the current folder changes what is found.
    configuration = folder / "cfnlintrc"
    configuration.write_text("{}\n", encoding="utf-8")
    for stack in design.stacks:
        text = (folder / f"{stack.name}{TEMPLATE_SUFFIX}").read_text(encoding="utf-8")
        arguments = ManualArgs(regions=[stack.region], config_file=str(configuration))
        for match in lint(text, rules=rules, config=arguments):
            if match.rule.severity in ("error", "warning") and not _is_number_in_metadata(match):
                # A template that cfn-lint cannot read has no paths.
                place = InTemplate(stack.name, tuple(getattr(match, "path", None) or ()))
                yield Said("cfn-lint", match.rule.id, match.rule.severity == "error", match.message, place)


def _is_number_in_metadata(match: Any) -> bool:
    """Whether cfn-lint refuses a number with a fraction in metadata, which its schema does not know."""
    return match.rule.id == "E4002" and re.match(r"-?[0-9.e+-]+ is not of type ", match.message) is not None


def merged(said: Iterator[Said]) -> Iterator[Finding]:
    """One finding for what several engines say by the same rule of the same place: the shorter message. What one engine
    says in several messages (two properties are missing) stays as many.
    """
    groups: dict[tuple[InTemplate, str], dict[str, list[Said]]] = {}
    for one in said:
        by_engine = groups.setdefault((one.place, one.number), {})
        if all(one.message != other.message for other in by_engine.setdefault(one.engine, [])):
            by_engine[one.engine].append(one)
    for by_engine in groups.values():
        group = [one for messages in by_engine.values() for one in messages]
        most = max(map(len, by_engine.values()))
        shortest = min(group, key=lambda one: len(one.message))
        reported = [shortest] if most == 1 else next(one for one in by_engine.values() if len(one) == most)
        code = "F720" if any(one.error for one in group) else "F721"
        for one in reported:
            yield Finding(code, one.place, f"{shortened(one.message, _MESSAGE)} [{_named(group)}]")


def _named(group: Sequence[Said]) -> str:
    engines = " and ".join(dict.fromkeys(one.engine for one in reversed(group)))
    return f"{group[-1].rule}, {engines}"
