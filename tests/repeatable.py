"""Hypothesis tries the same examples in every run, whichever tests are selected; with FACTORY_CDK_SOAK, new ones.

`derandomize` alone does not do that: Hypothesis also draws constants that it finds in the source of those modules of
this project that happen to be loaded, and a selection of tests loads few of them. It has no setting to turn that off.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.internal.constants_ast import Constants

SOAK = int(os.environ.get("FACTORY_CDK_SOAK", "1"))
"""How many times as many examples are tried, new ones in every run; 1: the same few in every run."""


def load_profile() -> None:
    """Let every property of this process be tried so, unless its own settings say otherwise."""
    # A private name, for want of a public one; a provider of our own (`settings(backend=…)`) is not asked everywhere.
    # test_repeatable.py fails when this has no effect any more.
    HypothesisProvider._local_constants = Constants()
    settings.register_profile(
        "repeatable",
        max_examples=100 * SOAK,
        derandomize=SOAK == 1,
        deadline=None,  # how long an example takes says more of what else the machine does than of the code
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("repeatable")
