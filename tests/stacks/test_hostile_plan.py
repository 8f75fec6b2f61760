"""A plan written by an attacker: every text of it arrives as it is, and nothing of it is evaluated on the way.

The hostile plan has a harmless twin of the same shape. Whatever the hostile texts would break out of, the two
stages' templates would then differ in functions, statements or keys.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from stack_templates import (
    Template,
    evaluate,
    intrinsics,
    parameter,
    resources,
    stage_plan,
    synthesized,
    user_data,
    walk,
)

from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.plan.model import StagePlan

TEXTS = (
    "${AWS::AccountId}",
    "${X}",
    "${!X}",
    "${BoxInstance.PrivateIp}",
    "{{resolve:ssm:/prod/password}}",
    "{{{resolve:secretsmanager:prod:SecretString}}}",
    "${Token[AWS.AccountId.0]}",
    "#{Token[AWS.Region.4]}",
    '{"Ref": "AWS::AccountId"}',
    '{"Fn::Sub": "${AWS::AccountId}"}',
    "'; touch /tmp/owned; '",
    '"; $(touch /tmp/owned) `touch /tmp/owned`',
    "</powershell><script>",
    "\nEND_OF_BOOTSTRAP\nEND_OF_UNIT\ntouch /tmp/owned\n",
    "\u2019; Remove-Item C:\\ \u2018",
    'quo"te\\back\\slash',
    "line one\nline two\r\ttab \u2028 \u0085 end",
    "\x00\x07\x1b[31m",
    "😀 é \ufeff \u202e",
    "__proto__",
    "*",
    "../../etc/passwd",
)
PLAIN = "harmless"


def content(text: str) -> dict[str, Any]:
    """A plan with `text` in every place that takes free text."""
    return {
        "factory": {
            "name": "A" + "-_" * 19 + "9",
            "tags": {"team / x=y+z:@ ": "_.:/=+-@ é"},
            "meta": {"note": text, "deep": [{"a": text}], f"key {text}": "value"},
            "bots": {
                "Ref": {
                    "source": {"path": f"code/{text}"},
                    "command": ["./run", text],
                    "config": {"TEXT": text},
                    "requirements_path": "requirements.txt",
                },
                "Fn-Sub": {"source": {"pypi": "package"}, "bot_path": "package.module:run"},
            },
            "workflows": {"Resources": {"Ref": "Fn-Sub"}},
            "alarms": {
                "Parameters": {
                    "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 60,
                    "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Threshold": 5,
                    "AlarmDescription": text,
                    "AlarmActions": ["terminate", "arn:aws:sns:eu-west-2:111111111111:x${AWS::AccountId}'$(id)"],
                }
            },
            "stages": {
                "z" * 40: {
                    "workflow": "Resources",
                    "Box": {
                        "type": "aws",
                        "region_name": "eu-west-2",
                        "alarm": "Parameters",
                        "parameters": {
                            "ImageId": "ami-0123456789abcdef0",
                            "InstanceType": "t3.micro",
                            "KeyName": text,
                            "Tags": [{"Key": "own", "Value": "_.:/=+-@"}],
                        },
                        "bots": {"Ref": {"meta": {"m": text}, "secrets": {"T": {"secret": "a/_+=.@-b", "key": text}}}},
                    },
                    "Resource-": {
                        "type": "aws",
                        "region_name": "eu-west-2",
                        "platform": "windows",
                        "parameters": {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"},
                        "bots": {"Fn-Sub": {"queue-name": "Condition"}},
                    },
                }
            },
        }
    }  # fmt: skip


def with_text(value: Any, text: str) -> Any:
    """`value` with `text` in place of PLAIN."""
    if isinstance(value, str):
        return value.replace(PLAIN, text)
    if isinstance(value, dict):
        return {with_text(key, text): with_text(item, text) for key, item in value.items()}
    return [with_text(item, text) for item in value] if isinstance(value, list | tuple) else value


def hostile_plan(folder: Path, text: str) -> StagePlan:
    """The stage with `text` in it.

    A plan's file with most of these texts is refused already (F108, F005, …); here they get past that.
    """
    plan = stage_plan(json.dumps(content(PLAIN)), folder, "z" * 40)
    sectors = []
    for sector in plan.sectors:
        bots = []
        for one in sector.bots:
            command = tuple(with_text(list(one.bot.command or ()), text)) or None
            source = one.bot.source
            if hasattr(source, "path"):
                source = replace(source, path=with_text(source.path, text))
            secrets = {
                name: replace(secret, key=with_text(secret.key, text) if secret.key else None)
                for name, secret in one.secrets.items()
            }
            arguments = replace(one.arguments, meta=with_text(dict(one.arguments.meta), text))
            bot = replace(one.bot, command=command, source=source)
            bots.append(
                replace(one, bot=bot, arguments=arguments, config=with_text(dict(one.config), text), secrets=secrets)
            )
        alarm = sector.alarm and replace(sector.alarm, properties=with_text(dict(sector.alarm.properties), text))
        parameters = with_text(dict(sector.parameters), text)
        sectors.append(replace(sector, bots=tuple(bots), alarm=alarm, parameters=parameters))
    return replace(plan, sectors=tuple(sectors), meta=with_text(dict(plan.meta), text))


def without_cdk_tokens(plan: StagePlan) -> StagePlan:
    """`plan` without its text where design refuses tokens of CDK: only what is kept as JSON may hold them."""
    sectors = []
    for sector in plan.sectors:
        bots = tuple(
            replace(one, bot=replace(one.bot, source=replace(one.bot.source, path="code")))
            if hasattr(one.bot.source, "path")
            else one
            for one in sector.bots
        )
        parameters = {key: value for key, value in sector.parameters.items() if key != "KeyName"}
        sectors.append(replace(sector, bots=bots, alarm=None, parameters=parameters))
    return replace(plan, sectors=tuple(sectors), meta={})


def functions(template: Template) -> Counter[str]:
    """How often each function is used, the texts of Fn::Sub and the names of Ref included."""
    return Counter(f"{name} {json.dumps(argument)}" for name, argument in intrinsics(template) if name != "Fn::Join")


def keys(template: Template, text: str) -> Counter[str]:
    found = Counter(str(path[-1]) for path, _ in walk(template) if path)
    return Counter({key.replace(text, PLAIN): count for key, count in found.items() if not _is_mark(key)})


def _is_mark(text: str) -> bool:
    return "Ready" in text or "Booted" in text


def made(plan: StagePlan, folder: Path) -> tuple[StageDesign, dict[str, Template]]:
    design = design_stage(plan)
    return design, synthesized(design, folder)


@pytest.mark.parametrize("text", TEXTS, ids=[repr(text)[1:25] for text in TEXTS])
def test_no_text_of_a_plan_is_evaluated(text: str, tmp_path: Path) -> None:
    tokens = "{Token[" in text
    proto = text == "__proto__"
    plan, twin = hostile_plan(tmp_path, text), hostile_plan(tmp_path, PLAIN)
    if tokens:
        plan, twin = without_cdk_tokens(plan), without_cdk_tokens(twin)
    design, templates = made(plan, tmp_path / "hostile")
    _, harmless = made(twin, tmp_path / "harmless")
    assert templates.keys() == harmless.keys()
    for name, template in templates.items():
        marks = {mark[-8:] for mark in template["Resources"] if "Ready" in mark}
        expected = functions(harmless[name])
        found = functions(template)
        assert sum(found.values()) == sum(expected.values())
        different = (found - expected) + (expected - found)
        assert all(_is_mark(one) or ".json" in one for one in different), different
        assert keys(template, text) == keys(harmless[name], text)
        assert marks or "queues" in name
    (box,) = [template for name, template in templates.items() if "queues" not in name]
    stage = "/factory-cdk/" + plan.factory + "/" + plan.name
    assert parameter(box, f"{stage}/Box/config/Ref") == {"TEXT": text}
    manifest = next(
        json.loads(asset.content or "")
        for stack in design.stacks
        for asset in stack.assets
        if asset.key.endswith(".json") and '"sector":"Box"' in (asset.content or "")
    )
    bot = manifest["bots"]["Ref"]
    assert bot["command"] == ["./run", text]
    assert bot["arguments"]["meta"] == {"m": text}
    assert bot["secrets"]["T"] == {"secret": "a/_+=.@-b", "key": text}
    if not tokens:
        evaluated = evaluate(box, box["Resources"]["BoxInstance"]["Properties"])
        assert evaluated["KeyName"] == text
        (alarm,) = resources(box, "AWS::CloudWatch::Alarm").values()
        assert evaluate(box, alarm["Properties"])["AlarmDescription"] == text
        about = box["Metadata"]["factory-cdk"]
        assert about["meta"] == {"note": text, "deep": [{"a": text}], f"key {text}": "value"}
        assert [one["source"] for one in about["bots"]] == [f"code/{text}", "package"]
    assert not proto or "__proto__" in json.dumps(box)


@pytest.mark.parametrize("text", [text for text in TEXTS if "{{" in text])
def test_dynamic_references_in_config_are_escaped_so_that_nothing_resolves_them(text: str, tmp_path: Path) -> None:
    design = design_stage(without_cdk_tokens(hostile_plan(tmp_path, text)))
    values = [one.properties["Value"] for one in design.stacks[1].resources if one.type == "AWS::SSM::Parameter"]
    assert any("resolve:" in json.dumps(value) for value in values)
    assert not any("{{" in json.dumps(value) for value in values)


def test_names_at_the_edges_of_the_pattern_stay_one_word_in_the_shell(tmp_path: Path) -> None:
    plan = hostile_plan(tmp_path, PLAIN)
    _, templates = made(plan, tmp_path / "out")
    (box,) = [template for name, template in templates.items() if "queues" not in name]
    script = user_data(box, box["Resources"]["BoxInstance"])
    own = script[: script.index("\n\n")]
    printed = subprocess.run(
        ["sh", "-c", f'{own}\nprintf "%s" "$sector"'], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert json.loads(printed.stdout)["factory"] == plan.factory
    assert json.loads(printed.stdout)["sector"] == "Box"
    windows = user_data(box, box["Resources"]["ResourceInstance"])
    assert windows.count("</powershell>") == 1
    assert windows.count("<powershell>") == 1
