"""What a release is made of, fetched and verified: objects of the assets bucket, and the values of SSM parameters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from factory_cdk.agent.aws import Aws, asking
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private

MOST_PARAMETERS = 10
"""Names that one GetParameters takes."""

REBUILD = "build the stage again"


class NotYetError(FactoryError):
    """A parameter is not that of the release: CloudFormation may be about to write it."""


def fetch_text(aws: Aws, bucket: str, key: str, sha256: str) -> str:
    """The object at `key` of `bucket` as text, whose SHA-256 is `sha256`. FactoryError."""
    return _content(aws, bucket, key, sha256).decode()


def archive_file(folder: Path, sha256: str) -> Path:
    """The file in `folder` in which the archive of this SHA-256 is kept."""
    return folder / f"{sha256}.zip"


def fetch_archive(aws: Aws, bucket: str, key: str, sha256: str, folder: Path) -> Path:
    """The file in `folder` that holds the object at `key` of `bucket`, fetched if need be. FactoryError."""
    if not re.fullmatch("[0-9a-f]{64}", sha256):  # it names a file here
        raise FactoryError(f"{sha256!r} is not a SHA-256", REBUILD)
    file = archive_file(folder, sha256)
    make_private(folder)
    with disk(file):
        if file.exists() and _digest(file) == sha256:
            return file
        fresh = file.with_suffix(".new")
        with asking(f"s3://{bucket}/{key}"):
            aws.client("s3").download_file(bucket, key, str(fresh))
        found = _digest(fresh)
        if found != sha256:
            fresh.unlink()
            raise _differs(bucket, key, found, sha256)
        fresh.replace(file)
    return file


def fetch_parameters(aws: Aws, names: Sequence[str]) -> dict[str, str]:
    """The values of the parameters `names`, by their names. FactoryError when one is missing."""
    client, values = aws.client("ssm"), {}
    for start in range(0, len(names), MOST_PARAMETERS):
        with asking("SSM parameters"):
            answer = client.get_parameters(Names=list(names[start : start + MOST_PARAMETERS]))
        values.update({one["Name"]: one["Value"] for one in answer["Parameters"]})
    missing = [name for name in names if name not in values]
    if missing:
        raise NotYetError(f"SSM parameter {missing[0]} does not exist", REBUILD)
    return values


def joined_parameters(aws: Aws, names: Sequence[str], sha256: str, what: str) -> str:
    """The values of `names` as one text, whose SHA-256 is `sha256`: they are overwritten in place, and may be those of
    another release already. FactoryError that says `what` they are.
    """
    values = fetch_parameters(aws, names)
    text = "".join(values[name] for name in names)
    if hashlib.sha256(text.encode()).hexdigest() != sha256:
        raise NotYetError(f"{what} in {names[0]} is not that of this release", REBUILD)
    return text


def _content(aws: Aws, bucket: str, key: str, sha256: str) -> bytes:
    with asking(f"s3://{bucket}/{key}"):
        content: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _differs(bucket, key, found, sha256)
    return content


def _differs(bucket: str, key: str, found: str, wanted: str) -> FactoryError:
    return FactoryError(f"s3://{bucket}/{key} has SHA-256 {found}, the release says {wanted}", REBUILD)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
