"""The folder of one stage that is built on this machine: which file of it is what."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.home import disk

FACTORIES = "factories"


@dataclass(frozen=True, slots=True)
class StageFolder:
    """The paths of one stage under the home. The folder exists from `build` until `demolish`."""

    factory: str
    stage: str
    path: Path

    @property
    def spec(self) -> Path:
        """What the runner runs (runner_spec.py)."""
        return self.path / "runner-spec.json"

    @property
    def status(self) -> Path:
        """What the runner last said of itself and its workers (status.py)."""
        return self.path / "status.json"

    @property
    def request(self) -> Path:
        """What the runner is asked to do (requests.py)."""
        return self.path / "request.json"

    @property
    def next_spec(self) -> Path:
        """The spec that the runner is asked to change to (requests.py), until it takes it up."""
        return self.path / "next-runner-spec.json"

    @property
    def bell(self) -> Path:
        """The FIFO that tells the runner to look at `asked`."""
        return self.path / "bell"

    @property
    def database(self) -> Path:
        """The folder of the queue engine's files."""
        return self.path / "queues"

    @property
    def aws_queues(self) -> Path:
        """Where the queues are on AWS, for a stage that has sectors there too (stage_queues.py); else it does not
        exist.
        """
        return self.path / "aws-queues.json"

    @property
    def aws_instances(self) -> Path:
        """Where the stage's instances say how they are (stage_instances.py), for a stage that has some."""
        return self.path / "aws-instances.json"

    @property
    def shares_queues(self) -> bool:
        """Whether others use the queues too: other stages (lifecycle/local/single_bot.py), or instances."""
        return self.database.is_symlink() or self.aws_queues.exists()

    @property
    def work(self) -> Path:
        """The folder of the bots' working folders."""
        return self.path / "work"

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.path / "logs"

    @property
    def runner_lock(self) -> Path:
        """Held by the runner as long as it lives: the one proof that it does."""
        return self.path / "runner.lock"

    @property
    def change_lock(self) -> Path:
        """Held by whoever builds, resumes or demolishes the stage. It outlives the folder."""
        return self.path.with_name(f"{self.stage}.lock")

    @property
    def unfinished(self) -> Path:
        """Exists while `build` is at work; left over, it means that the build was killed."""
        return self.path / "unfinished"

    @property
    def starting(self) -> Path:
        """Exists while a detached runner is started; left over, it means that whoever started it was killed, and that
        the runner ends itself.
        """
        return self.path / "starting"

    @property
    def name(self) -> str:
        """The factory and stage as one word for messages."""
        return f"{self.factory}/{self.stage}"

    @property
    def options(self) -> str:
        """The options that name the stage to a command, for a shell."""
        return shlex.join(["--name", self.factory, "--stage", self.stage])


def stage_folder(home: Path, factory: str, stage: str) -> StageFolder:
    """The folder of `stage` of `factory` under `home`, whether it exists or not."""
    return StageFolder(factory, stage, home / FACTORIES / factory / stage)


def stage_folders(home: Path, factory: str | None = None) -> list[StageFolder]:
    """Every stage under `home` (of `factory`, if given) that was built or half built, sorted by name. FactoryError when
    the folders cannot be read.
    """
    folder = home / FACTORIES
    with disk(folder):
        factories = [folder / factory] if factory else sorted(folder.iterdir() if folder.is_dir() else ())
        return [
            StageFolder(found.name, stage.name, stage)
            for found in factories
            for stage in (sorted(found.iterdir()) if found.is_dir() else ())
            if stage.is_dir()
        ]
