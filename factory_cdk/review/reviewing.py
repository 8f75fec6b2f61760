"""Two PlanSides → the Report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from factory_cdk.diagnostics import FactoryError, PlanError, Severity
from factory_cdk.plan.spelling import did_you_mean
from factory_cdk.review.comparing import compared
from factory_cdk.review.fail_on import FailOn, violations
from factory_cdk.review.history import History
from factory_cdk.review.model import DEPLOYED, Report, StageReport, Verdict
from factory_cdk.review.sides.side import PlanSide, StageSide
from factory_cdk.version import __version__


def reviewed(
    file: str,
    before: PlanSide,
    after: PlanSide,
    *,
    stages: Sequence[str] = (),
    history: History | None = None,
    fail_on: FailOn | None = None,
) -> Report:
    """Compare the plan in `file`, which is `after`, with `before`: the `stages` that are named, else all of both.

    Raises PlanError or FactoryError when a stage of `after` cannot be designed, FactoryError for a stage that neither
    side has. What is wrong with `before` is in the report.
    """
    found = Report(
        plan=file,
        factory=after.factory or "",
        before=before.label,
        after=after.label,
        version=__version__,
        stages=tuple(_stage(name, before, after, history or History()) for name in _names(before, after, stages)),
        problems=before.problems,
        notes=tuple(dict.fromkeys((*_missing(before, after, stages), *before.notes, *after.notes))),
    )
    return replace(found, violations=violations(found, fail_on)) if fail_on else found


def _names(before: PlanSide, after: PlanSide, wanted: Sequence[str]) -> tuple[str, ...]:
    both = dict.fromkeys((*after.stages, *before.stages))
    for name in wanted:
        if name not in both:
            hint = did_you_mean(name, both) or f"known: {', '.join(both)}"
            raise FactoryError(f"unknown stage `{name}`: neither version of the plan has it", hint)
    if wanted:
        return tuple(dict.fromkeys(wanted))
    return tuple(name for name in both if before.whole or name in before.stages)


def _missing(before: PlanSide, after: PlanSide, wanted: Sequence[str]) -> list[str]:
    if before.missing and before.label == DEPLOYED:
        return ["nothing of this factory is deployed: everything is new"]
    if before.missing:
        return [f"{before.label} has no such plan: everything is new; one with another name: --against-plan"]
    left_out = [name for name in after.stages if name not in before.stages]
    if not before.whole and not wanted and left_out:
        return [f"not compared, since {before.label} has not got them: {', '.join(left_out)}"]
    return []


def _stage(name: str, before: PlanSide, after: PlanSide, history: History) -> StageReport:
    new = after.stage(name) if name in after.stages else None
    old: StageSide | None = None
    problem = None
    if name in before.stages:
        try:
            old = before.stage(name)
        except PlanError as error:
            errors = [one for one in error.diagnostics if one.severity is Severity.ERROR]
            problem = "; ".join(f"{one.code} {one.message}" for one in errors) or error.message
        except FactoryError as error:
            problem = error.message
    elif before.problems and not before.stages:
        problem = "its plan cannot be read"
    if problem is not None:
        said = f"stage {name} of {before.label} cannot be compared: {problem}"
        return StageReport(name, Verdict.CHANGED, problems=(said,))
    return compared(name, old, new, history)
