"""Checks of how long jobs may take where SQS keeps them."""

from __future__ import annotations

from factory_cdk.plan.arguments import argument_path
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import SectorType, Stage
from factory_cdk.plan.yaml.nodes import Path

LONGEST_ON_AWS = 12 * 3600
"""Seconds after which SQS gives a received message to somebody else, however often its time is extended
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html)."""


def check_job_times(stage: Stage, path: Path, findings: Findings) -> None:
    """Add every bot of `stage`, whose key is at `path`, whose jobs may take longer than SQS lets them. The jobs of its
    local sectors go over SQS too, if it has one on AWS.
    """
    if all(sector.type is not SectorType.AWS for sector in stage.sectors):
        return
    for sector in stage.sectors:
        for bot in sector.bots:
            timeout = bot.arguments.timeout
            if isinstance(timeout, int | float) and timeout > LONGEST_ON_AWS:
                spot = argument_path((*path, sector.name, "bots", bot.name), "timeout", findings)
                message = (
                    f"`timeout: {timeout:g}` is longer than a job may take in a stage with aws sectors: "
                    f"{LONGEST_ON_AWS} seconds (12 hours), after which SQS gives it to another worker"
                )
                hint = "split the work into several bots, or run it in a stage that has local sectors alone"
                findings.at_value(spot, "F315", message, hint)
