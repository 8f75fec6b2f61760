"""The RunnerSpec: everything that the runner of a stage needs to know, as plain data that survives in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments, SecretReference, Successor
from factory_cdk.plan.spelling import closest
from factory_cdk.state.records import from_json

VERSION = 4


LEASE_ON_AWS = 60.0
"""Seconds of a lease in SQS: shorter ones would multiply the calls that renew them, each of which costs."""


@dataclass(frozen=True, slots=True)
class Timings:
    """The runner's times, in seconds, and counts: the design's, except in tests."""

    retry_first: float = 1.0
    """Before the second attempt of a job; doubles with every attempt."""
    retry_most: float = 300.0
    restart_first: float = 1.0
    """Before a worker that died again is restarted; doubles with every death."""
    restart_most: float = 300.0
    steady: float = 60.0
    """A worker that lived so long has no deaths to its name."""
    loop_deaths: int = 5
    loop_window: float = 60.0
    """So many deaths before ready within so many seconds are a crash loop."""
    grace: float = 10.0
    """For a worker to end by itself once it has nothing in hand and was told to stop."""
    lease_most: float = 5.0
    """The longest lease. The runner renews what it has in hand."""
    keep: float = 14 * 86400.0
    """How long the queues remember jobs that are done."""
    tidy: float = 3600.0
    """How often they forget older ones."""
    poll: float = 0.5
    """How often queues are looked at without being told: serves delays and expired leases."""


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """A bot on a sector: how its workers are started and what becomes of its jobs.

    `arguments` are those of its release. `start` is what each of its `processes` workers is told to be. Jobs come by
    the `transport` (FACTORY_QUEUES: from the queues of the factory, handed over by the runner; any other: the bot gets
    them itself). `roots` go onto sys.path, `bundle` is the folder of the code and `folder` the
    working folder, a copy of it (install/working_folder.py); `python` the interpreter of the workers,
    `bins` go onto PATH, `bytecode` is the folder for compiled files (None: beside the sources). `variables` are set for
    its processes; `secrets` says where the values of secrets come from, by their names, and holds none of them.
    `left_out` are the paths of its source that are not in its bundle, for the messages of failures alone: a pool spec
    that differs in them is the same.
    """

    sector: str
    bot: str
    queue: str
    successors: tuple[Successor, ...]
    arguments: BotArguments
    start: Start
    transport: str
    processes: int
    bundle: str
    folder: str
    roots: tuple[str, ...]
    python: str
    bins: tuple[str, ...]
    bytecode: str | None
    variables: Mapping[str, str]
    secrets: Mapping[str, SecretReference]
    left_out: tuple[str, ...] = field(default=(), compare=False)

    @property
    def gets_jobs(self) -> bool:
        """Whether the runner hands its workers jobs from our queues."""
        return self.transport == FACTORY_QUEUES

    @property
    def place(self) -> tuple[str, str]:
        """The bot on its sector, as a key."""
        return self.sector, self.bot

    @property
    def label(self) -> str:
        """The pool spec in one word: `sector/bot`."""
        return f"{self.sector}/{self.bot}"


@dataclass(frozen=True, slots=True)
class RunnerSpec:
    """The pool specs of a stage's local sectors, in the order of the plan; `end_order` names bots in the order in
    which they are stopped, breadth-first along the workflow. `workflows` are those of steps that it can run, as JSON
    (runs/definition.py), and `pools` what there is of what they acquire.
    """

    factory: str
    stage: str
    pool_specs: tuple[PoolSpec, ...]
    end_order: tuple[str, ...]
    plan: str = ""
    built_at: float = 0.0
    workflows: Mapping[str, Any] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)

    @property
    def secrets(self) -> dict[tuple[str, str], Mapping[str, SecretReference]]:
        """Where the values of secrets come from, by place."""
        return {pool_spec.place: pool_spec.secrets for pool_spec in self.pool_specs if pool_spec.secrets}


def refuse_unknown_bot(spec: RunnerSpec, bot: str) -> None:
    """FactoryError, naming the closest or all, when the stage has no such bot."""
    bots = dict.fromkeys(pool_spec.bot for pool_spec in spec.pool_specs)
    if bot not in bots:
        near = closest(bot, bots)
        remedy = f"did you mean {near}?" if near else f"its bots: {', '.join(bots)}" if bots else None
        raise FactoryError(f"{spec.factory}/{spec.stage} has no bot {bot}", remedy)


def spec_as_json(spec: RunnerSpec) -> dict[str, Any]:
    """The plain mapping that `spec_from_json` reads."""
    return {"version": VERSION, **asdict(spec)}


def spec_from_json(content: Any) -> RunnerSpec:
    """The spec that `spec_as_json` wrote. ValueError for another version's, and for what it cannot have written."""
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError(f"version {content.get('version') if isinstance(content, dict) else None}")
    spec: RunnerSpec = from_json(RunnerSpec, {key: value for key, value in content.items() if key != "version"})
    return spec
