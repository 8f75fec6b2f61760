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

    A symbolic link is followed. Raises FactoryError when `folder` contains anything but a cloud assembly,
    is the current folder or one above it, or cannot be written; what was there is then untouched.
    """
    try:
        target = Path(os.path.realpath(folder))
        _check_replaceable(target, folder)
        prepare_cdk()
        from factory_cdk.stacks.app import synthesize  # noqa: PLC0415 - imports aws_cdk, which must be prepared

        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            half = work / "new"
            half.mkdir()
            synthesize(design, half)
            _put_in_place(half, target, work / "old")
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        remedy = "free some disk space, or choose another folder with --output"
        raise FactoryError(f"cannot write the cloud assembly: {error}", remedy) from error


def _check_replaceable(target: Path, shown: Path) -> None:
    remedy = "choose another folder with --output"
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise FactoryError(f"{shown} is a file, not a folder", remedy)
    if Path.cwd().is_relative_to(target):
        raise FactoryError(f"{shown} is the current folder or one of its parents", remedy)
    if not (target / _MARK).is_file() and any(target.iterdir()):
        raise FactoryError(f"{shown} contains files that are not a cloud assembly", remedy)


def _put_in_place(new: Path, target: Path, aside: Path) -> None:
    """Rename `new` to `target`. What was there is kept `aside`, and put back when that does not succeed."""
    try:
        if target.exists():
            target.replace(aside)
        new.replace(target)
    except BaseException:  # Ctrl-C between the two, too
        if aside.exists() and not target.exists():
            aside.replace(target)
        raise
