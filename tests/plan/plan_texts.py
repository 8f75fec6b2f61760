"""Plans as short texts, and cases: one change to a good plan, and the one refusal that it must cause.

The change marks with § where the diagnostic must stand; the mark is taken out before the plan is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.plan.load import Loaded, load_plan

LOCAL = """\
factory:
  name: demo
  bots:
    first:
      source: {path: .}
      bot_path: works:first
    second:
      source: {path: .}
      bot_path: works:second
  stages:
    test:
      workflow: flow
      here:
        type: local
        bots:
          first:
          second:
            processes: 2
  workflows:
    flow:
      first: second
"""
"""A good plan: nothing to say about it."""

AWS = """\
factory:
  name: demo
  bots:
    first:
      source: {path: .}
      bot_path: works:first
  stages:
    prod:
      box:
        type: aws
        region_name: eu-west-2
        alarm: idle
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro
        bots:
          first:
  alarms:
    idle:
      MetricName: CPUUtilization
      Namespace: AWS/EC2
      Statistic: Average
      Period: 60
      EvaluationPeriods: 10
      ComparisonOperator: LessThanThreshold
      Threshold: '5'
      AlarmActions: [terminate]
"""
"""A good plan with an instance and an alarm."""


@dataclass(frozen=True)
class Case:
    """One change to a good plan, the code that it causes at the §, and what the message must say."""

    title: str
    code: str
    old: str
    new: str
    says: tuple[str, ...]
    hint: str = ""
    also: tuple[str, ...] = ()
    """Codes of errors that necessarily come with it."""
    base: str = LOCAL

    @property
    def marked(self) -> str:
        """The changed plan with its mark."""
        assert self.base.count(self.old) == 1, f"{self.old!r} stands {self.base.count(self.old)} times in the base"
        text = self.base.replace(self.old, self.new)
        assert text.count("§") == 1
        return text


def unmarked(text: str) -> tuple[str, int, int]:
    """`text` without its §, and the line and column where it stood."""
    before = text.partition("§")[0]
    return text.replace("§", ""), before.count("\n") + 1, len(before) - before.rfind("\n")


def load(text: str, folder: Path) -> Loaded:
    """What loading `text` as a plan in `folder` gives."""
    file = folder / "plan.yml"
    file.write_bytes(text.encode())
    return load_plan(file)


def errors(loaded: Loaded) -> list[Diagnostic]:
    """The errors among the diagnostics."""
    return [found for found in loaded.diagnostics if found.severity is Severity.ERROR]


def prove(case: Case, folder: Path) -> None:
    """Load the case's plan and hold what was found against it."""
    text, line, column = unmarked(case.marked)
    loaded = load(text, folder)
    here = [found for found in loaded.diagnostics if found.code == case.code and found.line == line]
    assert here, f"no {case.code} on line {line}: {loaded.diagnostics}"
    found = here[0]
    assert (found.line, found.column) == (line, column), found
    for words in case.says:
        assert words in found.message, found.message
    assert found.hint, f"no hint: {found.message}"
    assert case.hint in found.hint, found.hint
    expected = {*case.also, *([case.code] if found.severity is Severity.ERROR else [])}
    assert {error.code for error in errors(loaded)} == expected, errors(loaded)
    assert (loaded.plan is None) == bool(expected)
