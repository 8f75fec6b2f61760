"""Where the queues of a stage with aws sectors are, for its local sectors: in the stacks that are deployed."""

from __future__ import annotations

from dataclasses import replace

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.plan.model import Plan
from factory_cdk.plan.stage import find_stage
from factory_cdk.queues.opening import QueueNames, SqsLocation, account_id
from factory_cdk.state.runner_spec import LEASE_ON_AWS

_DAY = 86_400.0


def with_aws_queues(options: BuildOptions, plan: Plan, design: StageDesign) -> BuildOptions:
    """`options` for local sectors of the stage of `design`, whose jobs are in its queues on AWS. FactoryError."""
    location = aws_queues(design, find_stage(plan, design.stage).jobs.days)
    return replace(options, aws_queues=location, timings=replace(options.timings, lease_most=LEASE_ON_AWS))


def aws_queues(design: StageDesign, keep_days: int) -> SqsLocation:
    """The queues, the table and the bucket of the stacks of `design`, in the account whose credentials are found here;
    finished jobs are kept for `keep_days`. FactoryError when AWS does not say whose account that is.
    """
    if design.home_region is None:
        raise FactoryError(f"stage {design.stage} has no aws sector", "build it without --local-sectors")
    bucket = design.payloads or ""
    return SqsLocation(
        region=design.home_region,
        queues={one.name: QueueNames(one.physical_name, one.dead_letter_name) for one in design.queues},
        bucket=bucket.replace("${AWS::AccountId}", account_id(design.home_region)),
        table=design.history,
        keep=keep_days * _DAY,
    )
