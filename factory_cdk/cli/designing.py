"""From the options of a command to a StageDesign: what synth, the CDK app and the local commands share."""

from __future__ import annotations

from collections.abc import Mapping

from factory_cdk.awsconfig import default_region
from factory_cdk.bundle import Bundle
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Plan
from factory_cdk.plan.stage import find_stage, needs_region, resolve_stage


def design_from(plan: Plan, stage: str, region: str | None, bundles: Mapping[str, Bundle] | None = None) -> StageDesign:
    """The design of `stage` of `plan`; `bundles` by bot name, a bot without one is designed as unpacked.

    Raises FactoryError when there is no such stage or region, PlanError when it is over a limit of AWS.
    """
    default = default_region(region, needed=needs_region(find_stage(plan, stage)))
    return design_stage(resolve_stage(plan, stage, region=default), bundles)


def read_design(plan_file: str, stage: str, region: str | None = None) -> StageDesign:
    """The design of `stage` of the plan in `plan_file`, every bot unpacked."""
    return design_from(read_plan(plan_file), stage, region)
