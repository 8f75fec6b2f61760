"""Puts the files that an assembly publishes into it: manifests and scripts made here, and packed bundles."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from factory_cdk.design.model import Asset
from factory_cdk.diagnostics import FactoryError
from factory_cdk.runner_wheel import runner_wheel

_BLOCK = 1 << 20


def asset_file(outdir: Path, asset: Asset) -> Path:
    """The file of `asset` in the assembly `outdir`, written unless it is there; it appears complete or not at all.

    Raises FactoryError when a packed bundle is gone from the cache or is not what was packed, OSError when the
    file cannot be written.
    """
    file = outdir / f"asset.{asset.key}"
    if asset.path is None and asset.content is None and not asset.wheel:
        return file  # only plan.lock names it: publishing it fails until the bot has been packed
    if file.exists():
        return file
    half = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if asset.wheel:
            wheel = runner_wheel()
            if wheel.sha256 != asset.sha256:  # a checkout was edited meanwhile
                raise FactoryError("factory_cdk has changed since the stage was designed", "run it again")
            half.write_bytes(wheel.content)
        elif asset.path is None:
            half.write_bytes((asset.content or "").encode())
        elif _copied(Path(asset.path), half) != asset.sha256:
            raise FactoryError(f"the packed bundle {asset.path} has changed since it was packed", _PACK_AGAIN)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)
    return file


_PACK_AGAIN = "remove it and run `factory-cdk pack` again"


def _copied(source: Path, target: Path) -> str:
    """Copy `source` to `target`; the SHA-256 of what was copied, in hex."""
    digest = hashlib.sha256()
    try:
        reading = source.open("rb")
    except OSError as error:
        message = f"cannot read the packed bundle {source}: {error.strerror}"
        raise FactoryError(message, "run `factory-cdk pack` again") from error
    with reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
    return digest.hexdigest()
