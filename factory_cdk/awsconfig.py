"""The default region; the only module outside queues/sqs and deploy/ that loads botocore."""

from __future__ import annotations

import os

from factory_cdk.diagnostics import FactoryError

ANY_REGION = "us-east-1"
"""Asked what every region knows where no region is configured."""


def default_region(given: str | None, *, needed: bool) -> str | None:
    """The region of aws sectors that name none: `given`, AWS_REGION, AWS_DEFAULT_REGION, else the AWS profile's.

    The profile is only looked up when `needed`, since that takes botocore. None when there is no region
    anywhere; FactoryError when AWS_PROFILE names a profile that does not exist or its file cannot be read.
    """
    found = given or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return found if found or not needed else _profile_region()


def _profile_region() -> str | None:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - 0.2 s that most commands need not pay
    from botocore.session import Session  # noqa: PLC0415

    try:
        region = Session().get_config_variable("region")
    except BotoCoreError as error:
        remedy = "check AWS_PROFILE and the AWS config file, or name a region with --region"
        raise FactoryError(f"the AWS configuration cannot be used: {error}", remedy) from error
    return str(region) if region else None
