"""Publishing the assets of an assembly: to the bucket of `cdk bootstrap` in each region, what is not there yet."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.diagnostics import FactoryError

_THREADS = 8
_NOT_THERE = ("404", "NotFound", "NoSuchKey")
_NO_BUCKET = ("NoSuchBucket",)


@dataclass(frozen=True, slots=True)
class Published:
    """What an upload came to: objects that were there already, and what was uploaded, in objects and bytes."""

    present: int = 0
    uploaded: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of an assembly and where it belongs."""

    path: Path
    region: str
    bucket: str
    key: str


def uploads(assembly: Path, stacks: Iterable[tuple[str, str]], account: str) -> tuple[Upload, ...]:
    """What the `stacks` (name, region) of `assembly` need in the account of that id, each object once; their templates
    included. FactoryError for a bundle that is not packed.
    """
    found: dict[tuple[str, str], Upload] = {}
    for stack, region in stacks:
        manifest = json.loads((assembly / f"{stack}.assets.json").read_text(encoding="utf-8"))
        for file in manifest["files"].values():
            path = assembly / file["source"]["path"]
            if not path.is_file():
                raise FactoryError(f"stack {stack} needs {path.name}, which is not packed", "run `factory-cdk pack`")
            for place in file["destinations"].values():
                bucket = place["bucketName"].replace("${AWS::AccountId}", account).replace("${AWS::Region}", region)
                upload = Upload(path, place.get("region", region), bucket, place["objectKey"])
                found[bucket, upload.key] = upload
    return tuple(found.values())


def publish(account: Account, wanted: Iterable[Upload], tell: Callable[[str], None]) -> Published:
    """Upload those of `wanted` that are not there, several at once. FactoryError for the first that cannot be."""
    stop = threading.Event()

    def one(upload: Upload) -> int | None:
        """The bytes that were uploaded; None when the object was there."""
        if stop.is_set() or _is_there(account, upload):
            return None
        content = upload.path.read_bytes()
        with _bucket_explained(upload):
            account.call(
                upload.region, "s3", "put_object", Bucket=upload.bucket, Key=upload.key, Body=content,
                ContentType=_type(upload.key),
            )  # fmt: skip
        tell(f"{upload.region}: uploaded {upload.path.name} ({len(content):,} bytes)")
        return len(content)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="publish") as pool:
        try:
            sizes = list(pool.map(one, wanted))
        except BaseException:
            stop.set()
            raise
    sent = [size for size in sizes if size is not None]
    return Published(len(sizes) - len(sent), len(sent), sum(sent))


def _is_there(account: Account, upload: Upload) -> bool:
    try:
        with _bucket_explained(upload):
            account.call(upload.region, "s3", "head_object", Bucket=upload.bucket, Key=upload.key)
    except RefusedError as error:
        if error.code in _NOT_THERE:
            return False
        raise
    return True


@contextmanager
def _bucket_explained(upload: Upload) -> Iterator[None]:
    """Say of a bucket that is not there how it is made."""
    try:
        yield
    except RefusedError as error:
        if error.code not in _NO_BUCKET:
            raise
        raise FactoryError(
            f"{upload.region} is not bootstrapped: there is no bucket {upload.bucket}",
            f"cdk bootstrap aws://ACCOUNT/{upload.region}, once for an account and region",
        ) from None


def _type(key: str) -> str:
    return "application/json" if key.endswith(".json") else "application/octet-stream"
