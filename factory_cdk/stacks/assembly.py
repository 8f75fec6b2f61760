"""Writes a cloud assembly in one step: it replaces the one that was there, or leaves everything as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.stacks.node import prepare_cdk

_MARK = "cdk.out"
"""The file that every cloud assembly has."""


def write_assembly(design: StageDesign, folder: Path) -> None:
    """Synthesize `design` into `folder`, with nothing of an earlier assembly left in it.

    Raises FactoryError when `folder` holds something else than a cloud assembly, or cannot be written.
    """
    prepare_cdk()
    from factory_cdk.stacks.app import synthesize  # noqa: PLC0415 - imports aws_cdk, which must be prepared

    if folder.exists() and not _is_replaceable(folder):
        raise FactoryError(f"{folder} holds something else than a cloud assembly", "name another folder with --output")
    half: Path | None = None
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
        half.chmod(0o777 & ~_umask())
        synthesize(design, half)
        if folder.exists():
            shutil.rmtree(folder)
        half.replace(folder)
    except OSError as error:
        remedy = "make room or name another folder with --output"
        raise FactoryError(f"the assembly cannot be written: {error}", remedy) from error
    finally:
        if half is not None:
            shutil.rmtree(half, ignore_errors=True)


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and ((folder / _MARK).is_file() or not any(folder.iterdir()))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
