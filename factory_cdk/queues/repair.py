"""What is wrong with the queues of a location, and what of damaged ones can be saved. Nobody may have them open."""

from __future__ import annotations

from dataclasses import dataclass

from factory_cdk.queues.opening import SqliteLocation


@dataclass(frozen=True, slots=True)
class Rescue:
    """How many jobs were copied, and how many numbers of jobs could not be read."""

    saved: int
    lost: int


def problems(location: SqliteLocation, *, built: bool = True) -> tuple[str, ...]:
    """Everything that is wrong with the queues at `location`, one sentence each; none when they are sound.
    `built`: that they are missing is such a problem, else a FactoryError.

    FactoryError, too, when they are of a newer version.
    """
    from factory_cdk.queues.sqlite.check import check, check_built  # noqa: PLC0415 - the engine in use alone

    return check_built(location.database) if built else check(location.database)


def rescue(location: SqliteLocation, into: SqliteLocation) -> Rescue:
    """Copy every job at `location` that can be read to new queues at `into`; those that were leased are ready there.

    FactoryError when nothing can be read at all, something is at `into` already, or they are of a newer version.
    """
    from factory_cdk.queues.sqlite.rescue import rescue as rescue_sqlite  # noqa: PLC0415 - the engine in use alone

    return rescue_sqlite(location.database, into.database)
