"""The published JSON Schema: up to date, of its dialect, and never at odds with what `validate` says."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from broken_plans import broken_plans
from generated_plans import examples
from hypothesis import given, note
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mutated_plans import Plan, mutations
from written_plans import written, written_plans

from factory_cdk.diagnostics import Severity
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.load import load_plan
from factory_cdk.plan.schema.json_schema import json_schema, schema_text
from factory_cdk.plan.schema.plan_schema import ARGUMENTS
from factory_cdk.plan.yaml.compose import compose
from factory_cdk.plan.yaml.nodes import plain

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "schema" / "factory-plan.schema.json"
REFERENCE = ROOT / "plans" / "reference" / "factory-plan.yml"
EXAMPLES = sorted(path for path in (ROOT / "plans").rglob("*.yml") if "factory:" in path.read_text(encoding="utf-8"))

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

TOLD = frozenset(
    ["F101", "F102", "F105", "F106", "F107", "F112", "F210", "F301", "F501", "F502", "F503", "F505", "F508", "F513"]
)
"""Errors of `validate` that an editor with the JSON Schema shows too, whatever the plan."""


def read(text: str) -> Any:
    """The plain data of a plan's text, as `validate` and an editor see it."""
    findings = Findings("plan.yml")
    root = compose(text, findings)
    assert root is not None, findings.diagnostics
    return plain(root)


def refusals(text: str) -> dict[str, str]:
    """What `validate` refuses in a plan's text: codes and messages."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "plan.yml")
        file.write_text(text, encoding="utf-8")
        found = load_plan(file).diagnostics
    return {one.code: one.message for one in found if one.severity is Severity.ERROR}


def shown(data: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(data)]


def test_the_published_schema_is_the_one_that_the_command_prints() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), f"factory-cdk schema -o {PUBLISHED}"


def test_the_schema_is_one_of_draft_2020_12() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


def test_every_pattern_means_the_same_in_python_and_in_javascript() -> None:
    patterns = set(re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', schema_text()))
    assert patterns
    for pattern in patterns:
        assert not re.search(r"\\\\[AZzdw]|\(\?[aiLmsux#P]", pattern), pattern


@pytest.mark.parametrize("plan", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_plan_fits_the_schema(plan: Path) -> None:
    assert shown(read(plan.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("plan", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_plan_names_the_schema_for_editors_but_for_the_document_s_own(plan: Path) -> None:
    first = plan.read_text(encoding="utf-8").split("\n", 1)[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    if plan == REFERENCE:
        # It is the reference document's example, byte for byte; editors are told of it elsewhere (docs/editors.md).
        assert named is None
    else:
        assert named is not None
        assert (plan.parent / named[1]).resolve() == PUBLISHED


def test_everything_that_an_editor_completes_is_explained() -> None:
    definitions = SCHEMA["$defs"]
    mappings = {"factory": SCHEMA["properties"]["factory"]} | {
        name: definitions[name] for name in ("bot", "source", "secret", "stage", "sector", "arguments")
    }
    for name, mapping in mappings.items():
        for key, value in mapping["properties"].items():
            target = definitions[value["$ref"].rsplit("/", 1)[1]] if "$ref" in value else value
            assert target.get("description"), f"{name}.{key}"
            assert target.get("examples") or "enum" in target, f"{name}.{key}"


def properties(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every property that a definition describes, however deep."""
    for key, value in schema.get("properties", {}).items():
        yield key, value
        yield from properties(value)


@pytest.mark.parametrize("resource", ["AWS.EC2.Instance", "AWS.CloudWatch.Alarm"])
def test_every_property_of_aws_leads_to_its_page_and_scalars_have_an_example(resource: str) -> None:
    shown = [
        (key, value)
        for name, definition in SCHEMA["$defs"].items()
        if name == resource or name.startswith(f"{resource}.")
        for key, value in properties(definition)
    ]
    assert len(shown) > 50
    for key, value in shown:
        page, _, anchor = value["description"].partition("#")
        assert page.startswith("See https://docs.aws.amazon.com/AWSCloudFormation/"), key
        assert anchor.endswith(f"-{key.lower()}"), value
        nested = "$ref" in value or value.get("type") in ("object", "array")
        assert nested or value.get("examples") or value.get("type") == ["string", "number", "boolean"], key
    instance = dict(shown)
    if resource == "AWS.EC2.Instance":
        assert instance["CoreCount"]["description"].endswith(
            "-instance-cpuoptions.html#cfn-ec2-instance-cpuoptions-corecount"
        )
        assert instance["ImageId"]["examples"] == ["ami-0123456789abcdef0"]


def test_every_example_is_one_that_its_own_schema_takes() -> None:
    def check(schema: Any) -> None:
        if isinstance(schema, dict):
            validator = VALIDATOR.evolve(schema=schema)
            for example in schema.get("examples", ()) if isinstance(schema.get("examples"), list) else ():
                assert [one.message for one in validator.iter_errors(example)] == [], example
            for value in schema.values():
                check(value)
        elif isinstance(schema, list):
            for value in schema:
                check(value)

    check(SCHEMA)


def test_every_spelling_of_a_bot_argument_is_known_and_only_the_plain_one_is_proposed() -> None:
    arguments = SCHEMA["$defs"]["arguments"]
    assert set(arguments["properties"]) == set(ARGUMENTS)
    for name in ARGUMENTS:
        assert arguments["patternProperties"][f"^--{name}$"] == {"$ref": f"#/$defs/arguments/properties/{name}"}
    assert {"^-p$", "^p$", "^-q$", "^q$"} < set(arguments["patternProperties"])


@pytest.mark.slow
@examples(40)
@given(written_plans())
def test_a_generated_plan_fits_the_schema(case: tuple[dict[str, Any], str]) -> None:
    text = case[1].removeprefix("\ufeff")
    assert shown(read(text)) == []
    assert not refusals(text).keys() & TOLD


def agree(text: str) -> None:
    """Hold the JSON Schema against `validate` on a plan that may be broken."""
    try:
        data = read(text)
    except AssertionError:
        return  # no YAML of a plan (a number that is too large): neither is asked
    ours, theirs = refusals(text), shown(data)
    assert ours or not theirs, f"only the JSON Schema refuses it: {theirs}"
    assert theirs or not ours.keys() & TOLD, f"only validate refuses it: {ours}"


@pytest.mark.slow
@examples(200)
@given(broken_plans())
def test_what_the_schema_refuses_validate_refuses_and_what_it_tells_validate_tells(plan: dict[str, Any]) -> None:
    agree(written(plan, 0))


@pytest.mark.slow
@examples(30)
@given(written_plans(), st.integers(0, 2**32))
def test_they_agree_on_mutations_of_any_plan(case: tuple[dict[str, Any], str], seed: int) -> None:
    plan = Plan(case[1].removeprefix("\ufeff"))
    for mutation in islice(mutations(plan, seed), 10):
        note(mutation.text)
        agree(mutation.text)
