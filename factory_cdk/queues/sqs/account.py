"""Whose account the credentials are of."""

from __future__ import annotations

from factory_cdk.diagnostics import FactoryError


def account_of(region: str) -> str:
    """The id of the account, as STS says it in `region`. FactoryError when nobody is signed in, or STS cannot be
    reached.
    """
    import boto3  # noqa: PLC0415 - when it is asked
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        return str(boto3.Session(region_name=region).client("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise FactoryError(
            f"AWS does not say whose account this is: {error}",
            "sign in as for the AWS CLI (AWS_PROFILE, `aws sso login`), then try again",
        ) from error
