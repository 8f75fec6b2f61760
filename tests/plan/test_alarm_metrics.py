"""What an alarm watches, and which actions CloudWatch lets it trigger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plan_texts import AWS, Case, errors, load, prove

from factory_cdk.design.designing import design_stage
from factory_cdk.plan.stage import resolve_stage

SIMPLE = AWS[AWS.index("      MetricName") :]
STAT = "{Metric: {Namespace: AWS/EC2, MetricName: CPUUtilization}, Period: 300, Stat: Average}"
OTHER = (
    "{Metric: {Namespace: AWS/SQS, MetricName: Age, Dimensions: [{Name: QueueName, Value: q}]}, Period: 300, Stat: Sum}"
)
TOPIC = "'arn:aws:sns:eu-west-2:123456789012:people'"


def on(metrics: str, action: str = TOPIC, more: str = "Threshold: 5") -> str:
    """An alarm on `metrics` with one action."""
    return f"""\
      EvaluationPeriods: 2
      ComparisonOperator: LessThanThreshold
      {more}
      {metrics}
      AlarmActions: [{action}]
"""


def case(title: str, code: str, new: str, *says: str, hint: str = "") -> Case:
    return Case(title, code, SIMPLE, new, says, hint, base=AWS)


MATH = "Metrics: [{Id: e, Expression: m * 2}, {Id: m, ReturnData: false, MetricStat: " + STAT + "}]"
TWO = "Metrics: [{Id: a, MetricStat: " + STAT + "}, {Id: b, ReturnData: false, MetricStat: " + STAT + "}]"
BAND = "Metrics: [{Id: ad, Expression: 'ANOMALY_DETECTION_BAND(m, 2)'}, {Id: m, MetricStat: " + STAT + "}]"
INSIGHTS = (
    "Metrics: [{Id: q, Period: 300, Expression: 'SELECT AVG(CPUUtilization) FROM SCHEMA(\"AWS/EC2\", InstanceId)'}]"
)
QUERY = "EvaluationCriteria: {PromQLCriteria: {Query: up, PendingPeriod: 60}}"


def not_on_one(title: str, metrics: str, action: str, why: str) -> Case:
    return case(title, "F507", on(metrics, f"§{action}"), "one metric of the instance", why, hint="AWS/EC2")


CASES = [
    not_on_one("a verb on metric math", MATH, "stop", "an expression (metric math)"),
    not_on_one("a verb on an anomaly detection band", BAND, "terminate", "an expression"),
    not_on_one("a verb on Metrics Insights", INSIGHTS, "reboot", "an expression"),
    not_on_one("a verb on two metrics", TWO, "recover", "2 metrics"),
    not_on_one("a verb as an ARN on metric math", MATH, "'arn:aws:automate:eu-west-2:ec2:stop'", "an expression"),
    not_on_one(
        "an old ARN of a verb on metric math",
        MATH,
        "'arn:aws:swf:eu-west-2:123456789012:action/actions/AWS_EC2.InstanceId.Stop/1.0'",
        "an expression",
    ),
    not_on_one(
        "a verb on one metric of a queue", "Metrics: [{Id: a, MetricStat: " + OTHER + "}]", "stop", "not of the"
    ),
    not_on_one(
        "a verb on a metric of a namespace without instances",
        "{Namespace: AWS/SQS, MetricName: Age, Statistic: Sum, Period: 300}".strip("{}").replace(", ", "\n      "),
        "stop",
        "metrics of `AWS/SQS` have no dimension InstanceId",
    ),
    case(
        "a verb that EC2 does not know",
        "F507",
        on(MATH, "§'arn:aws:automate:eu-west-2:ec2:stopp'"),
        "invalid alarm action",
        hint="`stop`",
    ),
    case(
        "a period of a metric of an expression",
        "F507",
        on(MATH.replace("300", "§45")),
        "`Metrics[1].MetricStat.Period` is 45",
    ),
    case(
        "an expression over a queue",
        "F515",
        on("§Metrics: [{Id: e, Expression: m * 2}, {Id: m, ReturnData: false, MetricStat: " + OTHER + "}]"),
        "`idle` does not watch",
        hint="InstanceId",
    ),
    case(
        "a metric of another instance",
        "F515",
        on(
            "§Metrics: [{Id: m, MetricStat: "
            + STAT.replace(
                "CPUUtilization", "CPUUtilization, Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]"
            )
            + "}]"
        ),
        "`idle`",
    ),
    case("Metrics Insights", "F515", on("§" + INSIGHTS), "`idle`"),
    case(
        "a metric of a queue",
        "F515",
        on("§Namespace: AWS/SQS\n      MetricName: Age\n      Statistic: Sum\n      Period: 300"),
        "`AWS/SQS`",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


def alarm_of(text: str, folder: Path) -> dict[str, Any]:
    """The properties of the alarm in the template."""
    loaded = load(text, folder)
    assert not errors(loaded) and loaded.plan, loaded.diagnostics
    design = design_stage(resolve_stage(loaded.plan, "prod"))
    (alarm,) = (one for stack in design.stacks for one in stack.resources if one.type == "AWS::CloudWatch::Alarm")
    return dict(alarm.properties)


INSTANCE = [{"Name": "InstanceId", "Value": {"Ref": "BoxInstance"}}]


@pytest.mark.parametrize(
    ("metrics", "more"),
    [(MATH, "Threshold: 5"), (TWO, "Threshold: 5"), (BAND, "ThresholdMetricId: ad")],
    ids=["math", "two", "band"],
)
def test_every_metric_of_ec2_gets_the_instance(metrics: str, more: str, tmp_path: Path) -> None:
    text = AWS.replace(SIMPLE, on(metrics, more=more))
    assert load(text, tmp_path).diagnostics == ()
    alarm = alarm_of(text, tmp_path)
    stats = [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
    assert stats and all(one["Dimensions"] == INSTANCE for one in stats)
    assert "Dimensions" not in alarm


def test_a_metric_with_dimensions_keeps_them_beside_one_of_the_instance(tmp_path: Path) -> None:
    text = "Metrics: [{Id: e, Expression: a / b}, {Id: a, ReturnData: false, MetricStat: " + STAT
    text += "}, {Id: b, ReturnData: false, MetricStat: " + OTHER + "}]"
    text = AWS.replace(SIMPLE, on(text))
    assert load(text, tmp_path).diagnostics == ()
    _, ours, theirs = alarm_of(text, tmp_path)["Metrics"]
    assert ours["MetricStat"]["Metric"]["Dimensions"] == INSTANCE
    assert theirs["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "QueueName", "Value": "q"}]


@pytest.mark.parametrize("action", ["stop", "'arn:aws:automate:eu-west-2:ec2:stop'"])
def test_an_action_on_one_metric_of_the_instance_is_taken_in_both_forms(action: str, tmp_path: Path) -> None:
    assert load(AWS.replace("[terminate]", f"[{action}]"), tmp_path).diagnostics == ()
    one = "Metrics: [{Id: m, MetricStat: " + STAT + "}]"
    assert load(AWS.replace(SIMPLE, on(one, action)), tmp_path).diagnostics == ()
    own = AWS.replace("Namespace: AWS/EC2", "Namespace: CWAgent")  # it gets the dimension, too
    assert load(own.replace("[terminate]", f"[{action}]"), tmp_path).diagnostics == ()
