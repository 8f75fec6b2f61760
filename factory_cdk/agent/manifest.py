"""The manifest that a release parameter names: what a sector installs and runs, and the routes between its queues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from factory_cdk.agent.aws import Aws
from factory_cdk.agent.fetching import REBUILD, fetch_text
from factory_cdk.agent.release import ReleasePointer
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.release import SectorRelease, release_from_json

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The release in it, the routes between the queues of its bots, and the sector's log group."""

    release: SectorRelease
    routes: Json
    log_group: str


def fetch_manifest(aws: Aws, pointer: ReleasePointer) -> Manifest:
    """The manifest of `pointer`, whose SHA-256 is checked. FactoryError."""
    text = fetch_text(aws, pointer.bucket, pointer.key, pointer.sha256)
    try:
        said: Mapping[str, Json] = json.loads(text)
        found = said["format"]
    except (ValueError, LookupError, TypeError) as error:
        raise FactoryError(f"the manifest cannot be read: {error}", REBUILD) from error
    if found != FORMAT:
        raise FactoryError(f"the manifest has format {found!r}, this version reads {FORMAT}", REBUILD)
    try:
        return Manifest(release_from_json(said), said["router"], said["logs"]["group"])
    except (KeyError, TypeError, ValueError) as error:
        raise FactoryError(f"the manifest cannot be read: {type(error).__name__}: {error}", REBUILD) from error
