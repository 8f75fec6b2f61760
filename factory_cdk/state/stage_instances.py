"""Which sectors of a stage with local sectors run on instances, and where these say how they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.stage_folder import StageFolder


@dataclass(frozen=True, slots=True)
class StageInstances:
    """The `sectors` of a stage that are on AWS and their `bots`, the DynamoDB `table` of `region` into which their
    runners write (None: there is none), and of each sector its name, the region and the log group.
    """

    region: str
    table: str | None
    sectors: tuple[str, ...]
    bots: tuple[str, ...]
    log_groups: tuple[tuple[str, str, str], ...]


def keep_instances(folder: StageFolder, instances: StageInstances) -> None:
    """Have `folder` say where the instances of its stage are heard of. FactoryError."""
    write_json(folder.aws_instances, asdict(instances))


def instances_of(folder: StageFolder) -> StageInstances | None:
    """Where the instances of a stage are heard of; None when it has none. FactoryError."""
    said = read_json(folder.aws_instances)
    if said is None:
        return None
    try:
        groups = tuple((sector, region, group) for sector, region, group in said["log_groups"])
        return StageInstances(said["region"], said["table"], tuple(said["sectors"]), tuple(said["bots"]), groups)
    except (KeyError, TypeError, ValueError) as error:
        raise FactoryError(
            f"{folder.aws_instances} is damaged: {error}", f"factory-cdk demolish {folder.options}, then build it again"
        ) from error
