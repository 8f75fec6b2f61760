"""Builds the CDK app from the CDK CLI's context."""

from __future__ import annotations

import sys
from typing import Any

import aws_cdk as cdk

from factory_cdk.compile import compile_at_hand, compile_packed
from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import pack_cache
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Plan
from factory_cdk.stacks.app import add_stage, new_app


def app_from_context() -> cdk.App:
    """The app of the stage that the context names; see `factory_cdk.stacks.__main__` for its keys.

    Raises FactoryError when one is missing in the context, PlanError when the plan is refused.
    """
    app = new_app()
    plan_file = _text(app, "plan", "a plan's file", "-c plan=FILE")
    stage = _text(app, "stage", "a stage of the plan", "-c stage=NAME")
    plan = read_plan(plan_file)
    given = app.node.try_get_context("region")
    region = given if isinstance(given, str) else None
    design = _design(app, plan, stage, region)
    if not add_stage(app, design):
        print(f"stage {stage} has no aws sector: there is nothing to synthesize", file=sys.stderr)
    return app


def _design(app: cdk.App, plan: Plan, stage: str, region: str | None) -> StageDesign:
    if app.node.try_get_context("pack") in (False, "false"):
        return compile_at_hand(plan, stage, cache=pack_cache(), region=region)
    print(f"packing the bots of stage {stage} (skip this with `-c pack=false`)", file=sys.stderr)
    return compile_packed(plan, stage, cache=pack_cache(), region=region)


def _text(app: cdk.App, key: str, what: str, option: str) -> str:
    value: Any = app.node.try_get_context(key)
    if not isinstance(value, str) or not value:
        raise FactoryError(f"missing context value `{key}`", f"set {what} with `{option}`, or in cdk.json")
    return value
