"""Which sectors of a stage with local sectors run on instances, and where these say how they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.stage_folder import StageFolder


@dataclass(frozen=True, slots=True)
class StageInstances:
    """The `sectors` of a stage that are on AWS, and the DynamoDB `table` of `region` into which their runners write."""

    region: str
    table: str
    sectors: tuple[str, ...]


def keep_instances(folder: StageFolder, instances: StageInstances) -> None:
    """Have `folder` say where the instances of its stage are heard of. FactoryError."""
    write_json(folder.aws_instances, asdict(instances))


def instances_of(folder: StageFolder) -> StageInstances | None:
    """Where the instances of a stage are heard of; None when it has none, or no table. FactoryError."""
    said = read_json(folder.aws_instances)
    if said is None:
        return None
    try:
        return StageInstances(said["region"], said["table"], tuple(said["sectors"]))
    except (KeyError, TypeError) as error:
        raise FactoryError(
            f"{folder.aws_instances} is damaged: {error}", f"factory-cdk demolish {folder.options}, then build it again"
        ) from error
