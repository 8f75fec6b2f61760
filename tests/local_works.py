"""A small factory on this disk: bots written into a folder, designed as a plan would have it, built for real."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from patience import PATIENCE, until

from factory_cdk.bundle import Bundle
from factory_cdk.design.model import BotDesign, QueueDesign, SectorDesign, StageDesign
from factory_cdk.home import make_private
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.build import build
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.pack import pack
from factory_cdk.plan.model import (
    Bot,
    BotArguments,
    PathSource,
    Plan,
    Sector,
    SectorBot,
    SectorType,
    Stage,
    Successor,
)
from factory_cdk.queues.port import JobRecord
from factory_cdk.state.runner_spec import RunnerSpec, Timings
from factory_cdk.state.stage_folder import StageFolder, stage_folders
from factory_cdk.state.status import WorkerStatus, read_status, runner_pid

QUICK = Timings(retry_first=0.02, restart_first=0.05, restart_most=0.2, lease_most=1.0, poll=0.05)
"""The design's times, scaled so that a test of several restarts takes no minute."""


def bot(
    name: str,
    target: str | None = None,
    *,
    to: Sequence[str] = (),
    command: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
    requirements_path: str | None = None,
    python: str | None = None,
    **arguments: Any,
) -> BotDesign:
    """A bot whose code is in a folder, not packed yet; `to` names its successors."""
    return BotDesign(
        name=name,
        queue=name,
        successors=tuple(Successor(one, one, "here") for one in to),
        arguments=BotArguments(**arguments),
        bundle=Bundle(name, "0" * 64, False, "path", "."),
        bot_path=target,
        command=tuple(command) if command else None,
        config=config or {},
        requirements_path=requirements_path,
        python=python,
    )


def stage(*bots: BotDesign, demolish_on_failure: bool = True, name: str = "test") -> StageDesign:
    """A stage with one local sector, `here`."""
    return StageDesign(
        factory="works",
        stage=name,
        version="0",
        sectors=(SectorDesign("here", SectorType.LOCAL, bots),),
        queues=tuple(QueueDesign(one.queue, one.name, one.queue, f"{one.queue}-dlq", 60, 10) for one in bots),
        demolish_order=tuple(one.name for one in bots),
        demolish_on_failure=demolish_on_failure,
    )


@dataclass
class Works:
    """A home with at most a few stages of the factory `works` in it."""

    home: Path
    code: Path
    said: list[str] = field(default_factory=list)
    timings: Timings = QUICK

    def write(self, file: str, text: str) -> Path:
        """Write a file of the bots' code."""
        path = self.code / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def build(self, *bots: BotDesign, stage_name: str = "test", **options: Any) -> StageFolder:
        """Build the stage with these bots; its folder."""
        self.build_stage(*bots, stage_name=stage_name, **options)
        return self.folder(stage_name)

    def build_stage(
        self, *bots: BotDesign, stage_name: str = "test", environ: Mapping[str, str] = os.environ, **options: Any
    ) -> None:
        """Pack the bots and build the stage with them, for someone whose variables are `environ`."""
        design = stage(*self.packed(*bots), name=stage_name, **options)
        build(design, BuildOptions(self.home, environ=environ, timings=self.timings), self.said.append)

    def packed(self, *bots: BotDesign) -> list[BotDesign]:
        """The same bots with their bundles, packed from the folder of their code as a plan would have it."""
        sources = [
            Bot(
                one.name,
                PathSource("code", self.code, one.subdirectory),
                bot_path=one.bot_path,
                command=one.command,
                requirements_path=one.requirements_path,
            )
            for one in bots
        ]
        on_sector = tuple(SectorBot(one.name, BotArguments(python=one.python)) for one in bots)
        plan = Plan(
            str(self.code.parent / "plan.yml"),
            "works",
            {source.name: source for source in sources},
            {"test": Stage("test", (Sector("here", SectorType.LOCAL, on_sector),))},
        )
        make_private(self.home)
        report = pack(plan, sources, cache=self.home / "cache" / "pack")
        report.refuse_failures()
        return [replace(one, bundle=report.bundles[one.name]) for one in bots]

    def folder(self, stage_name: str = "test") -> StageFolder:
        return factory.find(self.home, "works", stage_name).folder

    def spec(self, stage_name: str = "test") -> RunnerSpec:
        spec = factory.find(self.home, "works", stage_name).spec
        assert spec is not None
        return spec

    def restart(self) -> None:
        """End the runner and start another."""
        factory.stop(self.home, "works", None, self.said.append, cold=True)
        until(lambda: runner_pid(self.folder()) is None)
        factory.resume(self.home, "works", None, self.said.append)

    def submit(self, bot_name: str, *payloads: Any, stage_name: str = "test") -> str:
        """Submit jobs; the id of their run."""
        return factory.submit(self.home, "works", stage_name, bot_name, payloads).run

    def wait(self, run: str, timeout: float = PATIENCE, stage_name: str = "test") -> list[JobRecord]:
        return list(factory.wait(self.home, "works", stage_name, run, timeout))

    def run(self, bot_name: str, *payloads: Any) -> list[JobRecord]:
        """Submit jobs and wait for all that comes of them."""
        return self.wait(self.submit(bot_name, *payloads))

    def worker(self, bot_name: str, number: int = 1) -> WorkerStatus:
        """What the runner said last of one worker."""
        status = read_status(self.folder())
        assert status is not None
        return next(one for one in status.workers if (one.bot, one.worker) == (bot_name, number))

    def pid(self, bot_name: str) -> int:
        """The process of a bot's one worker."""
        pid = self.worker(bot_name).pid
        assert pid, f"no process of {bot_name} runs"
        return pid

    def runner(self) -> int:
        pid = runner_pid(self.folder())
        assert pid, "the runner does not run"
        return pid

    def demolish(self, stage_name: str | None = None) -> None:
        for found in factory.matches(self.home, "works", stage_name):
            factory.demolish(self.home, found.name, found.stage, self.said.append, lambda left: True)


def take_down(home: Path) -> None:
    """End what still runs under `home`, at once."""
    for state in stage_folders(home):
        pid = runner_pid(state)
        if pid:
            os.kill(pid, signal.SIGKILL)
            until(lambda: runner_pid(state) is None)  # noqa: B023


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # before it is opened, or before it is read
        return False
    return state not in ("Z", "X")


def children(pid: int) -> set[int]:
    """The processes that `pid` started and that live."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in found if lives(int(child))}


def with_arguments(design: BotDesign, **arguments: Any) -> BotDesign:
    """The same bot, run otherwise."""
    return replace(design, arguments=replace(design.arguments, **arguments))
