"""Where the queues of a stage with aws sectors are, for its local sectors: in the stacks that are deployed."""

from __future__ import annotations

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import QueueNames, SqsLocation, account_id

_DAY = 86_400.0


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
