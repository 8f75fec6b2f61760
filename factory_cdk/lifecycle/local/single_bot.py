"""One bot without a plan: a stage with one sector and one bot, made in memory, whose queues outlive it.

The stages of all bots that are started so are in one factory, `bot-start`, each named like its bot, and share one
queue database. So the results of one can go to the next, and jobs wait for a bot that is not there yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory_cdk.compile import compile_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import make_private
from factory_cdk.launchers import launcher_of
from factory_cdk.launchers.base import FACTORY_QUEUES
from factory_cdk.lifecycle.local.build import build
from factory_cdk.lifecycle.local.control import changing, remove
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.pack import pack
from factory_cdk.plan.model import (
    Bot,
    BotArguments,
    PathSource,
    Plan,
    Sector,
    SectorBot,
    SectorType,
    Settings,
    Stage,
    Successor,
)
from factory_cdk.plan.names import NAME_RULE, is_name
from factory_cdk.plan.sources import is_target
from factory_cdk.queues.opening import open_queues
from factory_cdk.queues.port import Depth
from factory_cdk.runner.launch import Launch
from factory_cdk.state.runner_spec import Timings
from factory_cdk.state.stage_folder import StageFolder, stage_folder
from factory_cdk.state.stage_queues import queues_in
from factory_cdk.state.stages import list_factories
from factory_cdk.state.status import runner_pid

FACTORY = "bot-start"
SECTOR = "here"

_QUEUE = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class SingleBot:
    """A bot to start: `target` in `folder`, named `name`; its results go to the bots `workflow`."""

    name: str
    target: str
    folder: Path
    arguments: BotArguments
    settings: Settings = field(default_factory=Settings)
    requirements_path: str | None = None
    workflow: tuple[str, ...] = ()

    @property
    def queue(self) -> str:
        """The queue that it reads."""
        return self.arguments.queue_name or self.name


def name_of(target: str) -> str:
    """The name that the bot at `target` has unless it is given another: that of the variable. FactoryError."""
    if not is_target(target):
        raise FactoryError(f"{target!r} is not `module.path:attribute`", "write it as Python imports it: `bots:weld`")
    return target.rpartition(":")[2].rpartition(".")[2]


def bot_folder(home: Path, name: str) -> StageFolder:
    """The state of the bot `name`."""
    return stage_folder(home, FACTORY, name)


def queues_folder(home: Path) -> Path:
    """The folder of the queues of all bots that are started so."""
    return home / "queues" / FACTORY


def start(bot: SingleBot, home: Path, cache: Path, say: Say, timings: Timings | None = None) -> Launch:
    """Pack, install and start `bot`; returns when it is loaded and takes jobs. The runner is this process's child.

    FactoryError when it cannot be, or when a bot of that name runs.
    """
    if not is_name(bot.name):
        raise FactoryError(f"{bot.name!r} cannot name a bot", f"give it another with --name: {NAME_RULE}")
    if not _QUEUE.fullmatch(bot.queue):
        raise FactoryError(f"{bot.queue!r} cannot name a queue", "take 1 to 80 letters, digits, `-` and `_`")
    if bot.name in bot.workflow:
        raise FactoryError(f"bot {bot.name} cannot get its own results", "take it out of the workflow")
    folder = bot_folder(home, bot.name)
    _clear(folder)
    make_private(home)
    design = _design(bot, home, cache)
    options = BuildOptions(home, timings=timings or Timings(), queues=queues_folder(home), foreground=True)
    launch = build(design, options, say)
    assert launch is not None  # noqa: S101 - in the foreground it always is
    return launch


def end(bot: SingleBot, home: Path) -> Depth:
    """Remove what `start` made, once its runner has ended; what is left in the bot's queue, which stays."""
    _clear(bot_folder(home, bot.name))
    with open_queues(queues_in(queues_folder(home), shared=True)) as queues:
        return queues.history.depths((bot.queue,))[bot.queue]


def _clear(folder: StageFolder) -> None:
    """Remove what a bot that has ended, or was killed, left. FactoryError when it runs."""
    if not folder.path.exists():
        return
    with changing(folder):
        pid = runner_pid(folder)
        if pid is not None:
            raise FactoryError(f"a bot {folder.stage} runs already (process {pid})", "end it, or choose another --name")
        remove(folder)


def _design(bot: SingleBot, home: Path, cache: Path) -> StageDesign:
    arguments = replace(bot.arguments, queue_name=bot.queue)
    source = PathSource(str(bot.folder), bot.folder)
    made = Bot(bot.name, source, bot.target, requirements_path=bot.requirements_path, settings=bot.settings)
    sector = Sector(SECTOR, SectorType.LOCAL, (SectorBot(bot.name, arguments),))
    plan = Plan(str(bot.folder / FACTORY), FACTORY, {bot.name: made}, {bot.name: Stage(bot.name, (sector,))})
    report = pack(plan, [made], cache=cache)
    report.refuse_failures()
    design = compile_stage(plan, bot.name, bundles=report.bundles, lock=None)
    successors = (
        _successors(bot.workflow, home) if launcher_of(arguments.launcher, None).transport == FACTORY_QUEUES else ()
    )
    only = replace(design.sectors[0].bots[0], successors=successors)
    return replace(design, sectors=(replace(design.sectors[0], bots=(only,)),))


def _successors(names: Sequence[str], home: Path) -> tuple[Successor, ...]:
    """The queues of the bots `names`: as they were started, else queues of their names."""
    queues = {
        pool_spec.bot: pool_spec.queue
        for factory in list_factories(home)
        if factory.name == FACTORY and factory.spec
        for pool_spec in factory.spec.pool_specs
    }
    return tuple(Successor(name, queues.get(name, name), SECTOR) for name in names)
