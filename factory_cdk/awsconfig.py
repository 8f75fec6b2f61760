"""What the user's AWS configuration says; the only module outside queues/sqs and deploy/ that loads botocore."""

from __future__ import annotations

from factory_cdk.diagnostics import FactoryError


def profile_region() -> str | None:
    """The region of the AWS profile in force (AWS_PROFILE, else `default`), or None when it has none.

    Raises FactoryError when AWS_PROFILE names a profile that does not exist or the file cannot be read.
    """
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - 0.2 s that most commands need not pay
    from botocore.session import Session  # noqa: PLC0415

    try:
        region = Session().get_config_variable("region")
    except BotoCoreError as error:
        remedy = "check AWS_PROFILE and the AWS config file, or name a region with --region"
        raise FactoryError(f"the AWS configuration cannot be used: {error}", remedy) from error
    return str(region) if region else None
