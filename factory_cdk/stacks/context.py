"""Builds the CDK app from the CDK CLI's context."""

from __future__ import annotations

import sys
from typing import Any

import aws_cdk as cdk

from factory_cdk.compile import compile_at_hand, compile_packed
from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import DEFAULT_QUALIFIER
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import pack_cache
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Plan
from factory_cdk.stacks.app import QUALIFIER, add_stage, new_app


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
    qualifier = app.node.try_get_context(QUALIFIER)
    design = _design(app, plan, stage, region, qualifier if isinstance(qualifier, str) else DEFAULT_QUALIFIER)
    if not add_stage(app, design):
        print(f"stage {stage} has no aws sector: there is nothing to synthesize", file=sys.stderr)
    return app


def _design(app: cdk.App, plan: Plan, stage: str, region: str | None, qualifier: str) -> StageDesign:
    generations = _generations(app.node.try_get_context("generations"))
    if app.node.try_get_context("pack") in (False, "false"):
        return compile_at_hand(
            plan, stage, cache=pack_cache(), region=region, qualifier=qualifier, generations=generations
        )
    print(f"packing the bots of stage {stage} (skip this with `-c pack=false`)", file=sys.stderr)
    return compile_packed(plan, stage, cache=pack_cache(), region=region, qualifier=qualifier, generations=generations)


def _generations(given: Any) -> dict[str, int]:
    """Generations of sectors from `box=2,other=3`, or from a mapping in cdk.json."""
    pairs = given.items() if isinstance(given, dict) else [one.partition("=")[::2] for one in (given or "").split(",")]
    found: dict[str, int] = {}
    for sector, number in pairs:
        if not str(number).isdecimal() or int(number) < 1:
            if sector or number:
                message = f"invalid context value `generations`: `{sector}={number}` is no sector and number from 1"
                raise FactoryError(message, "write `-c generations=SECTOR=2`")
            continue
        found[str(sector).strip()] = int(number)
    return found


def _text(app: cdk.App, key: str, what: str, option: str) -> str:
    value: Any = app.node.try_get_context(key)
    if not isinstance(value, str) or not value:
        raise FactoryError(f"missing context value `{key}`", f"set {what} with `{option}`, or in cdk.json")
    return value
