"""Which sectors of a stage run on instances, what they run, and where these say how they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.records import from_json
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.stage_folder import StageFolder


@dataclass(frozen=True, slots=True)
class RemoteSector:
    """A sector on an instance: its `region` and its log group."""

    name: str
    region: str
    log_group: str


@dataclass(frozen=True, slots=True)
class StageInstances:
    """The `sectors` of a stage that are on AWS and their `pool_specs` (in which paths are empty: they are those of the
    instance), and the DynamoDB `table` of `region` into which their runners write (None: there is none).
    """

    region: str
    table: str | None
    sectors: tuple[RemoteSector, ...]
    pool_specs: tuple[PoolSpec, ...]

    @property
    def sector_names(self) -> tuple[str, ...]:
        """The names of the sectors."""
        return tuple(sector.name for sector in self.sectors)

    @property
    def regions(self) -> tuple[str, ...]:
        """Where the instances are."""
        return tuple(dict.fromkeys(sector.region for sector in self.sectors))

    @property
    def bots(self) -> frozenset[str]:
        """The bots that run there."""
        return frozenset(pool_spec.bot for pool_spec in self.pool_specs)


def keep_instances(folder: StageFolder, instances: StageInstances) -> None:
    """Have `folder` say where the instances of its stage are heard of. FactoryError."""
    write_json(folder.aws_instances, asdict(instances))


def instances_of(folder: StageFolder) -> StageInstances | None:
    """Where the instances of a stage are heard of; None when it has none. FactoryError."""
    said = read_json(folder.aws_instances)
    if said is None:
        return None
    try:
        instances: StageInstances = from_json(StageInstances, said)
    except ValueError as error:
        raise FactoryError(
            f"{folder.aws_instances} is damaged: {error}", f"factory-cdk demolish {folder.options}, then build it again"
        ) from error
    return instances
