"""Every code of a diagnostic has a test that causes it, and means one thing."""

from __future__ import annotations

import re

import test_alarm_metrics
import test_aws_checks
import test_instance_options
import test_lookalikes
import test_plan_commands
import test_plan_sources
import test_plan_stage
import test_plan_steps
import test_plan_structure
import test_plan_workflows
import test_plan_yaml
import test_regions

from factory_cdk.codes import CODES

SUITES = (
    test_plan_yaml,
    test_plan_structure,
    test_plan_sources,
    test_plan_workflows,
    test_plan_steps,
    test_aws_checks,
    test_alarm_metrics,
    test_plan_commands,
    test_lookalikes,
    test_regions,
)

BY_TABLES = {case.code for suite in SUITES for case in suite.CASES}

BY_TESTS = {
    *test_plan_yaml.FILE_CODES,
    *test_plan_stage.STAGE_CODES,
    "F211",  # test_plan_sources: urls that run a command
    "F212",  # test_plan_sources: clone options
    *{case[0] for case in test_instance_options.REFUSED},
    "F514",  # test_aws_checks: an alarm that no sector uses
}

ELSEWHERE = {
    "F022": "ignore comments have tests of their own",
    "F023": "ignore comments have tests of their own",
    "F601": "only larger bootstrap scripts cause it, no plan does",
}


def test_every_code_of_plans_is_caused_by_a_test() -> None:
    of_plans = {code for code in CODES if not code.startswith("F7")}  # F7 is lint's
    assert of_plans - BY_TABLES - BY_TESTS - ELSEWHERE.keys() == set()


def test_no_test_expects_a_code_that_does_not_exist() -> None:
    assert (BY_TABLES | BY_TESTS | ELSEWHERE.keys()) - CODES.keys() == set()


def test_codes_are_written_alike_and_their_titles_differ() -> None:
    assert all(re.fullmatch("F[0-9]{3}", code) for code in CODES)
    assert list(CODES) == sorted(CODES)
    assert len({code.title for code in CODES.values()}) == len(CODES)


def test_the_titles_of_cases_differ() -> None:
    for suite in SUITES:
        titles = [case.title for case in suite.CASES]
        assert len(titles) == len(set(titles))
