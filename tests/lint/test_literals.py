"""Literal secrets: what is taken for one, what is not, and that no value is ever shown.

Examples are put together from parts, so that nothing that looks for secrets finds any in this file.
"""

from __future__ import annotations

import base64
import random
import string
from pathlib import Path

import pytest
from lint_plans import PLAN, linted, places

from factory_cdk.lint.literals import looks_like

KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp" + "_" + "a1B2" * 9


@pytest.mark.parametrize(
    "text",
    [
        KEY_ID,
        f"key={KEY_ID};",
        GITHUB,
        "github" + "_pat_" + "11ABCDEFG0" * 5,
        "glpat" + "-" + "x1Y2z3" * 4,
        "xoxb" + "-123456789012-" + "abcdefABCDEF",
        "sk" + "_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "AIza" + "SyA-1234567890abcdefghijklmnopqrstu",
        "pypi-" + "AgEIcHlwaS5vcmc" + "CJDk1MjQ2ZTc4",
        "npm" + "_" + "a1B2c3" * 6,
        "hf" + "_" + "abcdefABCDEF" * 3,
        "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIE",
        "-----BEGIN " + "PRIVATE KEY-----",
        "postgres://ada:" + "lovelace1815" + "@db.example.com/works",
    ],
)
def test_tokens_are_known_by_what_they_look_like(text: str) -> None:
    assert looks_like(text)


def test_random_keys_are_found_nearly_always() -> None:
    """A key of 40 characters of base 64, as AWS's secret access keys are; of 24 letters and digits, as many are."""
    numbers = random.Random(5)  # noqa: S311 - the same ones each time
    keys = [base64.b64encode(numbers.randbytes(30)).decode() for _ in range(1000)]
    shorter = ["".join(numbers.choices(string.ascii_letters + string.digits, k=24)) for _ in range(1000)]
    assert sum(looks_like(key) is not None for key in keys) >= 850  # a slash or plus may cut one into short runs
    assert sum(looks_like(key) is not None for key in shorter) >= 900


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PASSWORD", "correcthorse"),
        ("db_password", "S3cr3t-enough"),
        ("apiKey", "0123abcd-cafe"),
        ("AUTH_TOKEN", "d41d8cd98f00b204e9800998ecf8427e"),
        ("clientSecret", "not-so-secret"),
        ("smtp.credential", "hunter2hunter2"),
    ],
)
def test_a_value_is_known_by_the_name_of_its_key(name: str, value: str) -> None:
    assert looks_like(value, name) == "a secret, by its name"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEVEL", "information"),
        ("TOKEN_URL", "https://example.com/oauth/token"),
        ("PASSWORD", "${PASSWORD}"),
        ("PASSWORD", "<set by build>"),
        ("TOKEN", "QALX_TOKEN"),
        ("SECRET", "arn:aws:secretsmanager:eu-west-2:123456789012:secret:prod/token-AbCdEf"),
        ("PASSWORD_FILE", "/run/secrets/password"),
        ("TOKEN", "short"),
        ("PASSWORD", "********"),
        ("KeyName", "my-key-pair"),
        ("DIGEST", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("COMMIT", "f2ca1bb6c7e907d06dafe4687e579fce76b37e4e"),
        ("ID", "123e4567-e89b-12d3-a456-426614174000"),
        ("PATH_", "s3://bucket/Data/Runs2024/ProjectAlpha/InputFiles/Part1"),
        ("CLASS", "my_package.my_module.ImageClassificationPipelineFactory2"),
        ("ImageId", "ami-0123456789abcdef0"),
        ("TEXT", "The quick brown fox jumps over the lazy dog 1234567890 times"),
        ("HOST", "http://localhost:8080/@admin"),
        ("NAMES", "AlarmHighCpuUtilizationOnProductionWorkerInstances"),
    ],
)
def test_what_is_no_secret_is_left_alone(name: str, value: str) -> None:
    assert looks_like(value, name) is None


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ("config: {LEVEL: high}", f"config: {{LEVEL: {GITHUB}}}", f"{GITHUB}}}"),
        ("    Team: red", f"    Team: {KEY_ID}", KEY_ID),
        ("t3.micro", f"t3.micro\n          KeyName: {GITHUB}", GITHUB),
        ("      # alarm", f"      AlarmDescription: call {GITHUB}", f"call {GITHUB}"),
        ("  tags:", f"  meta: {{notes: [fine, {GITHUB}]}}\n  tags:", f"{GITHUB}]}}"),
        ("bot_path: draw:run", f"command: [./draw, --key, {GITHUB}]", f"{GITHUB}]"),
    ],
)
def test_a_secret_is_found_wherever_a_plan_may_hold_text_and_never_shown(
    before: str, after: str, where: str, tmp_path: Path
) -> None:
    text = PLAN.replace(before, after, 1)
    (found,) = linted(tmp_path, text)
    assert places([found], text) == [("F701", where)]
    assert GITHUB not in str(found) and KEY_ID not in str(found)


def test_secrets_of_other_stages_are_found_too(tmp_path: Path) -> None:
    other = "    prod:\n      here: {type: local, bots: {draw: {config: {TOKEN_: " + GITHUB + "}}}}\n"
    text = PLAN.replace("  alarms:\n", f"{other}  alarms:\n")
    assert [one.code for one in linted(tmp_path, text)] == ["F701"]


def test_names_of_secrets_and_sources_are_no_values(tmp_path: Path) -> None:
    text = PLAN.replace("config: {LEVEL: high}", "secrets: {API_TOKEN: {secret: prod-token-of-the-works}}")
    assert linted(tmp_path, text) == ()
