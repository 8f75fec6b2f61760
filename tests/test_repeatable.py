"""A run of the tests tries the same examples, whichever modules the selected tests load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from repeatable import SOAK

SCRIPT = Path(__file__).with_name("drawn_examples.py")
MODULES = ("factory_cdk.plan.load", "factory_cdk.cli.commands.validate", "factory_cdk.runner.runner")


def digest(*arguments: str, seed: int = 0) -> str:
    """The digest of the examples that another process draws; `seed` is the order of its sets."""
    env = {name: value for name, value in os.environ.items() if name != "FACTORY_CDK_SOAK"}
    env |= {"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(SCRIPT.parent / "plan")}
    command = [sys.executable, str(SCRIPT), *arguments]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_examples_are_the_same_whatever_modules_are_loaded() -> None:
    assert digest(seed=1) == digest(*MODULES, seed=2)


@pytest.mark.slow
def test_without_repeatable_they_would_not_be() -> None:
    """When this fails, Hypothesis draws no constants from loaded modules any more: see whether it has a setting now."""
    assert digest("--as-is") != digest("--as-is", *MODULES)


def test_this_run_is_repeatable() -> None:
    assert settings.get_current_profile_name() == "repeatable"
    assert settings().derandomize == (SOAK == 1)
    assert settings().deadline is None
