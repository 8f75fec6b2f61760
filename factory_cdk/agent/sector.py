"""Which sector an instance is, as its user-data has written it down."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk

FILE = "sector.json"


@dataclass(frozen=True, slots=True)
class InstanceSector:
    """The sector of this instance, and the names of its SSM parameters and of its log group."""

    factory: str
    stage: str
    sector: str
    region: str
    release_parameter: str
    gate_parameter: str
    parameters_path: str
    log_group: str


def read_sector(root: Path) -> InstanceSector:
    """The sector that `root` says. FactoryError when it says none."""
    file = root / FILE
    with disk(file):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return InstanceSector(**{part.name: str(content[part.name]) for part in fields(InstanceSector)})
        except (FileNotFoundError, ValueError, LookupError, TypeError) as error:
            problem = f"{file} does not say which sector this is: {type(error).__name__}: {error}"
            raise FactoryError(problem, "make the instance again: its user-data writes that file") from error
