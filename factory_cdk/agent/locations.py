"""Where the queues of a release are."""

from __future__ import annotations

from factory_cdk.agent.release import InstalledRelease
from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import Location, QueueNames, SqsLocation

DAY = 86_400.0


def queue_location(installed: InstalledRelease) -> Location:
    """The queues of the bots of `installed` and of their successors, as its routes name them, and the stage's stores
    beside them. FactoryError when the routes do not fit the release.
    """
    stores = installed.stores
    try:
        return SqsLocation(
            region=installed.routes["region"],
            queues=_queues(installed),
            bucket=stores.get("payloads", ""),
            table=stores.get("history"),
            keep=float(stores.get("keep_days", 14)) * DAY,
        )
    except (KeyError, TypeError, ValueError) as error:
        problem = f"the routes of release {installed.release} do not fit it: {type(error).__name__}: {error}"
        raise FactoryError(problem, "build the stage again") from error


def _queues(installed: InstalledRelease) -> dict[str, QueueNames]:
    """What each queue is called in SQS: own ones with their dead letters, those of successors elsewhere without."""
    own: dict[str, QueueNames] = {}
    others: dict[str, QueueNames] = {}
    for pool_spec in installed.spec.pool_specs:
        route = installed.routes["bots"][pool_spec.bot]
        own[pool_spec.queue] = QueueNames(route["queue"], route["dead_letters"])
        for successor, said in zip(pool_spec.successors, route["successors"], strict=True):
            others[successor.queue] = QueueNames(said["queue"])
    return {**others, **own}
