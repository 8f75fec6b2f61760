"""Comments that silence warnings, and what is said of those that silence nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_plans import designed, linted, loaded, with_parameters

from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.lint.scope import judge
from factory_cdk.plan.ignores import Ignore, find_ignores, silenced


def codes(text: str) -> list[tuple[str, int]]:
    """The codes that comments name and the lines that they are about."""
    return [(one.code, one.about) for one in find_ignores(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1  # factory: ignore F402\nb: 2\n", [("F402", 1)]),
        ("# factory: ignore F402\na: 1\n", [("F402", 2)]),
        ("#factory:ignore F402,F310 , F305\na: 1\n", [("F402", 2), ("F310", 2), ("F305", 2)]),
        ("# factory: ignore F402 -- we follow trunk\na: 1\n", [("F402", 2)]),
        ("# factory: ignore F402 (we follow F310)\na: 1\n", [("F402", 2)]),
        ("# factory: ignore F402\n\n# more\n  # factory: ignore F310\na: 1\n", [("F402", 5), ("F310", 5)]),
        ("a: [1, # factory: ignore F402\n  2]\n", [("F402", 1)]),
        ("a: |  # factory: ignore F402\n  text\n", [("F402", 1)]),
        ("a: 1\r\n# factory: ignore F402\r\nb: 2\r\n", [("F402", 3)]),
        ("a: 1\n# factory: ignore F402", [("F402", 2)]),
        ("# factory: ignore\na: 1\n", [("", 2)]),
    ],
)
def test_a_comment_is_about_its_own_line_or_the_next_one_that_says_something(
    text: str, found: list[tuple[str, int]]
) -> None:
    assert codes(text) == found


@pytest.mark.parametrize(
    "text",
    [
        'a: "x # factory: ignore F402"\n',
        "a: 'x\n  # factory: ignore F402\n  y'\n",
        "a: |\n  x\n  # factory: ignore F402\n",
        "a: >-\n  # factory: ignore F402\nb: 1\n",
        "a: 'no YAML: nothing can be said about it  # factory: ignore F402\n",
        "a: 1 # factory: ignored F402\n",
        "a: 1\n",
    ],
)
def test_text_that_looks_like_a_comment_is_none(text: str) -> None:
    assert codes(text) == []


def warning(line: int, code: str = "F402", severity: Severity = Severity.WARNING, file: str = "p") -> Diagnostic:
    return Diagnostic(code, severity, "message", None, file, line, 1)


def test_a_warning_and_a_notice_are_silenced_on_their_line_alone() -> None:
    text = "a: 1  # factory: ignore F402, F704\nb: 2\n"
    found = [warning(1), warning(1, "F704", Severity.NOTICE), warning(1, "F310"), warning(2), warning(1, file="q")]
    left = silenced(found, text, "p")
    assert [(one.code, one.line, one.file) for one in left] == [("F310", 1, "p"), ("F402", 2, "p"), ("F402", 1, "q")]


def test_one_comment_silences_everything_that_its_code_says_of_the_line() -> None:
    assert silenced([warning(1), warning(1)], "a: 1  # factory: ignore F402\n", "p") == ()


def test_an_error_is_not_silenced_and_the_comment_is_reported() -> None:
    error = warning(1, "F502", Severity.ERROR)
    left = silenced([error], "a: 1  # factory: ignore F502\n", "p")
    assert [one.code for one in left] == ["F502", "F022"]
    assert "cannot be silenced" in left[1].message
    assert (left[1].line, left[1].column) == (1, 25)


@pytest.mark.parametrize(
    ("comment", "code", "message"),
    [
        ("ignore F999", "F022", "unknown code `F999`"),
        ("ignore f402", "F022", "unknown code `f402`"),
        ("ignore", "F022", "missing code"),
        ("ignore F023", "F022", "cannot be silenced"),
        ("ignore F402", "F023", "line 1 has no `F402`"),
    ],
)
def test_a_comment_that_silences_nothing_is_reported(comment: str, code: str, message: str) -> None:
    (found,) = silenced([], f"a: 1  # factory: {comment}\n", "p")
    assert found.code == code and message in found.message
    assert found.severity is Severity.WARNING


def test_a_code_that_only_stages_have_is_not_judged_without_one() -> None:
    assert silenced([], "a: 1  # factory: ignore F705, F605\n", "p") == ()


def test_a_text_without_comments_is_left_as_it_is() -> None:
    found = (warning(2), warning(1))
    assert silenced(found, "a: 1\nb: 2\n", "p") == found


TWO_STAGES = """\
x-shared: 1  # beside
factory:
  name: works
  bots:
    draw: {source: {pypi: draw, version: '1.0'}, bot_path: 'draw:run'}
    idle: {source: {pypi: idle, version: '1.0'}, bot_path: 'idle:run'}
  stages:
    dev:
      box:
        type: aws
        region_name: eu-west-2
        alarm: quiet
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro  # in the stage
        bots: {draw: {}}
    prod:
      here: {type: local, bots: {draw: {}}}  # in another stage
  alarms:
    quiet: &quiet
      Namespace: AWS/EC2
      MetricName: CPUUtilization
      Statistic: Average
      Period: 300  # at its alarm
      EvaluationPeriods: 3
      Threshold: 5
      ComparisonOperator: LessThanThreshold
    other:
      <<: *quiet
      Period: 600  # at another alarm
"""


@pytest.mark.parametrize(
    ("mark", "code", "judged"),
    [
        ("# in the stage", "F705", True),
        ("# at its alarm", "F707", True),
        ("# in another stage", "F705", False),
        ("# at another alarm", "F707", False),
        ("# beside", "F705", False),  # any stage may use it
        ("# in another stage", "F701", True),  # looked for in the whole plan
        ("# in another stage", "F402", True),  # found without a stage
        ("# in the stage", "F401", False),  # never reported
    ],
)
def test_a_comment_is_judged_where_the_linted_stage_would_need_it(
    mark: str, code: str, judged: bool, tmp_path: Path
) -> None:
    plan = loaded(tmp_path, TWO_STAGES)
    line = next(number for number, one in enumerate(TWO_STAGES.splitlines(), 1) if mark in one)
    assert judge(plan, designed(plan))(Ignore(code, line, 1, line)) is judged


def test_a_finding_of_lint_is_silenced_in_the_plan(tmp_path: Path) -> None:
    text = with_parameters(
        "# factory: ignore F705 -- scratch space\nBlockDeviceMappings: [{DeviceName: /dev/sdb, Ebs: {VolumeSize: 8}}]"
    )
    found = linted(tmp_path, text)
    assert [one.code for one in found] == ["F705"]
    assert silenced(found, text, found[0].file) == ()
