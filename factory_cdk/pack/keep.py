"""The unpacked trees of bundles, for people to look at (`pack --no-delete`)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from factory_cdk.bundle import Bundle
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.archive import unpack


def keep_tree(bundle: Bundle, keep: Path, workspace: Path) -> Path:
    """Unpack a bundle to `keep/<bot>`, in place of an older one; returns that folder.

    Beside it `<bot>.json` says which bundle it is, and that it is ours to replace: FactoryError when there is
    a folder of that name without one.
    """
    if bundle.archive is None:
        raise FactoryError(f"{bundle.bot} is not packed", "run `factory-cdk pack`")
    target, mark = keep / bundle.bot, keep / f"{bundle.bot}.json"
    if target.exists() and not mark.is_file():
        raise FactoryError(
            f"{target} already exists and was not made by factory-cdk pack",
            "move it away, or set FACTORY_PACK_DIR to another folder",
        )
    keep.mkdir(parents=True, exist_ok=True)
    fresh = keep / f".{bundle.bot}.{workspace.name}"
    try:
        unpack(Path(bundle.archive), fresh)
        mark.write_text(json.dumps({"bundle": bundle.digest, "origin": bundle.origin}, indent=1) + "\n", "utf-8")
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target
