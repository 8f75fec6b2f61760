"""Instances for stacks that `build` deploys: what answers the wait handles of releases, as instances do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulator import Emulator

SUCCESS, FAILURE, SILENT = "SUCCESS", "FAILURE", ""


@dataclass
class Answering:
    """Answers for the `sectors` (their regions by name) of a stage: `says` has what each answers to its release."""

    aws: Emulator
    path: str
    sectors: Mapping[str, str]
    says: dict[str, str] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Answer until the end."""
        while not self._ended.wait(0.1):
            for sector, region in self.sectors.items():
                self.answer(sector, region)

    def answer(self, sector: str, region: str) -> None:
        client = self.aws.client("ssm", region)
        for found in client.get_parameters(Names=[f"{self.path}/{sector}/release"])["Parameters"]:
            release = json.loads(found["Value"])
            for key, status in (("booted", SUCCESS), ("signal", self.says.get(sector, SUCCESS))):
                if status and release[key] not in self._answered:
                    self.aws.answer(release[key], status)
                    self._answered.add(release[key])

    def end(self) -> None:
        self._ended.set()


@contextmanager
def answering(aws: Emulator, path: str, sectors: Mapping[str, str]) -> Iterator[Answering]:
    """Instances that answer while the block runs."""
    made = Answering(aws, path, sectors)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.end()
        thread.join(60)
