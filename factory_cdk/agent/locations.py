"""Where the queues of a release are."""

from __future__ import annotations

from factory_cdk.agent.release import InstalledRelease
from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import Location


def queue_location(installed: InstalledRelease) -> Location:
    """The queues of the stage of `installed`, as its routes say. FactoryError."""
    raise FactoryError("queues of AWS cannot be opened yet", None)
