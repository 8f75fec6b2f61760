"""What the release parameter says, and a release that is installed: plain data that survives in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json, spec_from_json

VERSION = 1

STORES = ("history", "payloads", "keep_days")
"""What the parameter says of the stage's stores: the table, the bucket of large payloads, the days jobs are kept."""


@dataclass(frozen=True, slots=True)
class ReleasePointer:
    """The value of a sector's release parameter: the manifest's place and SHA-256, the URL of the wait handle that
    waits for it (a secret), `stores`, what the stage's stores are called, and
    `booted`, the URL of the handle that waits for the instance itself.
    """

    release: str
    bucket: str
    key: str
    sha256: str
    signal: str = field(repr=False)
    stores: Mapping[str, Json] = field(default_factory=dict)
    booted: str | None = field(default=None, repr=False)


def pointer_from_text(text: str) -> ReleasePointer:
    """What the parameter says. ValueError for anything that is no release."""
    try:
        said = json.loads(text)
        own = {name: said[name] for name in ("release", "bucket", "key", "sha256", "signal")}
    except (TypeError, KeyError) as error:
        raise ValueError(f"it lacks {error}") from error
    if not all(isinstance(value, str) for value in own.values()):
        raise ValueError("it holds something that is no text")
    return ReleasePointer(
        **own, stores={name: said[name] for name in STORES if name in said}, booted=said.get("booted")
    )


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """A release whose bots are installed here: the SHA-256 of its manifest, the spec of its runner, its routes, and
    what the stage's stores are called. `files` are what it stands on: files and folders below the agent's home (none:
    an earlier version did not say).
    """

    sha256: str
    spec: RunnerSpec
    routes: Json
    bucket: str
    stores: Mapping[str, Json] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """What it is called in messages."""
        return self.sha256[:12]


def installed_as_json(installed: InstalledRelease) -> dict[str, Any]:
    """The plain mapping that `installed_from_json` reads."""
    return {
        "version": VERSION,
        "sha256": installed.sha256,
        "spec": spec_as_json(installed.spec),
        "routes": installed.routes,
        "bucket": installed.bucket,
        "stores": dict(installed.stores),
        "files": list(installed.files),
    }


def installed_from_json(content: Any) -> InstalledRelease:
    """What `installed_as_json` gave. ValueError for another version's, and for what it cannot have written."""
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError("it is of another version")
    try:
        spec = spec_from_json(content["spec"])
        routes, bucket, stores = content["routes"], content["bucket"], content["stores"]
        return InstalledRelease(content["sha256"], spec, routes, bucket, stores, tuple(content.get("files", ())))
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error


def read_installed(file: Path) -> InstalledRelease | None:
    """The release that `file` holds; None when it holds none that this version can start from, or the Python of an
    environment is gone (an upgrade of the system): it is installed anew.
    """
    try:
        installed = installed_from_json(read_json(file))
    except (FactoryError, ValueError):
        return None
    paths = [path for one in installed.spec.pool_specs for path in (one.python, one.bundle, one.folder)]
    return installed if all(map(os.path.exists, paths)) else None


def write_installed(file: Path, installed: InstalledRelease) -> None:
    """Keep `installed`, durably. FactoryError."""
    write_json(file, installed_as_json(installed))
