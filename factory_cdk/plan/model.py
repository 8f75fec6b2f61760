"""The Plan and the StagePlan: what a plan file says, checked, as frozen plain data.

`Plan` is the whole file as written. `StagePlan` is one stage of it with everything inherited filled in: the
effective config and secrets of every bot, every queue name, the region of every `aws` sector, and the edges
of its workflow that exist on this stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from factory_cdk.runs.graph import Graph

Json = Any
"""What JSON can hold: None, bool, int, float, str, and lists and mappings of these."""


class SectorType(StrEnum):
    """Where a sector's bots run: on this machine, or on an EC2 instance of their own."""

    LOCAL = "local"
    AWS = "aws"


class Platform(StrEnum):
    """The operating system of an `aws` sector's instance."""

    LINUX = "linux"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True)
class Position:
    """A position in the plan's file; line and column count from 1."""

    line: int
    column: int


NOWHERE = Position(1, 1)


@dataclass(frozen=True, slots=True)
class GitSource:
    """Code from a git repository. `branch` is a branch or tag (None: the remote's default branch).

    `options` are the other `git clone` options of the plan by their long names without dashes
    (`{"depth": 1, "quiet": True}`), all of them on the allowed list (`plan.sources`).
    """

    url: str
    branch: str | None = None
    options: Mapping[str, str | int | bool] = field(default_factory=dict)
    subdirectory: str | None = None


@dataclass(frozen=True, slots=True)
class PathSource:
    """Code in a folder of this machine. `path` is as written; `folder` is absolute (relative paths are
    relative to the plan's file). The folder need not exist while a plan is validated.
    """

    path: str
    folder: Path
    subdirectory: str | None = None


@dataclass(frozen=True, slots=True)
class PypiSource:
    """A package of a Python index. `package` is a PEP 508 name, extras allowed (`tool[fast]`); `version` is
    one PEP 440 version (`1.5.9`), a set of specifiers (`>=1.5,<2`), or None (any).
    """

    package: str
    version: str | None = None


Source = GitSource | PathSource | PypiSource


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where the value of one secret comes from; a plan never holds the value itself.

    At most one of these is set; none means the variable of the secret's name here, and on AWS a secret that is
    made empty. `env`: a variable of whoever builds. `profile`: a section of the qalx ini file. `secret`: the name
    or ARN of a Secrets Manager secret that exists already. `key` picks a key of the profile or of the secret's JSON.
    """

    env: str | None = None
    profile: str | None = None
    secret: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`config` and `secrets` at one level of the plan (factory, stage, sector or bot); the nearer level wins."""

    config: Mapping[str, Json] = field(default_factory=dict)
    secrets: Mapping[str, SecretReference] = field(default_factory=dict)

    def under(self, nearer: Settings) -> Settings:
        """These settings with those of a nearer level laid over them, name by name: a secret there replaces a
        config value of the same name here, and the other way round.
        """
        if not nearer.config and not nearer.secrets:
            return self
        config = {name: value for name, value in self.config.items() if name not in nearer.secrets}
        secrets = {name: value for name, value in self.secrets.items() if name not in nearer.config}
        return Settings({**config, **nearer.config}, {**secrets, **nearer.secrets})


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot of the factory: where its code comes from and what of it is called.

    Exactly one of `bot_path` (`package.module:attribute`) and `command` (an argument vector) is set.
    `requirements_path` is relative to the source's root, for a package to the plan's folder.
    """

    name: str
    source: Source
    bot_path: str | None = None
    command: tuple[str, ...] | None = None
    requirements_path: str | None = None
    settings: Settings = field(default_factory=Settings)
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class BotArguments:
    """How a sector runs a bot: the reference's `bot-start` options and ours, under one name each.

    Times are seconds. `workflow` replaces what the stage's workflow says of this bot's successors; None
    leaves it alone. `timeout` None lets a job run without limit. The reference's class options are dotted
    paths that only `launcher: qalx` uses. `launcher` is one of `launchers.LAUNCHERS`.
    """

    queue_name: str | None = None
    processes: int = 1
    skip_ini: bool = False
    qalx_session_class: str | None = None
    user_config_class: str | None = None
    bot_config_class: str | None = None
    entity_class: str | None = None
    stop: bool = False
    meta: Mapping[str, Json] = field(default_factory=dict)
    workflow: tuple[str, ...] | None = None
    max_attempts: int = 3
    timeout: float | None = None
    visibility_timeout: int = 60
    batch: int = 1
    launcher: str = "python"
    aws_credentials: bool = False
    python: str | None = None
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class SectorBot:
    """A bot on a sector."""

    name: str
    arguments: BotArguments = field(default_factory=BotArguments)
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class PythonBuild:
    """A build of Python as a .tar.gz: `place` is a path, relative to the plan's folder, or an https address; `sha256`
    is that of the file, in hex.
    """

    place: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Offline:
    """An instance that installs from its release alone: its `architecture` as Python names it (`x86_64`, `aarch64`),
    the version of Python that its runner and its bots have unless they name another (`3.12`), and the `build` of that,
    None where its image has it.
    """

    architecture: str
    python: str
    build: PythonBuild | None = None


@dataclass(frozen=True, slots=True)
class InstanceOptions:
    """What an aws sector may say of its instance beside `parameters`.

    `policies` are ARNs of managed policies (text) and statements of an inline one (mappings) that the role gets beside
    ours; `permissions_boundary` is the ARN of a policy. `session_manager`: Session Manager may reach the instance.
    `log_retention` is in days. `availability` are subnets and instance types, in the order in which they are
    wanted: the first subnet and the first type are used. `spot`: the instance is a spot instance. `offline` says how it
    installs without an index (None: it asks indexes).
    """

    policies: tuple[Json, ...] = ()
    permissions_boundary: str | None = None
    session_manager: bool = False
    log_retention: int = 30
    availability: tuple[str, ...] = ()
    spot: bool = False
    offline: Offline | None = None


@dataclass(frozen=True, slots=True)
class JobStore:
    """What a stage keeps of its jobs on AWS: with `history` a table says how they went; `days` is how long finished
    jobs and large payloads are kept. `queue_alarms` are ARNs that are told of jobs that wait for days and of
    dead letters.
    """

    history: bool = True
    days: int = 14
    queue_alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sector:
    """A sector of a stage: this machine (`local`) or one EC2 instance (`aws`).

    `parameters` are CloudFormation properties of AWS::EC2::Instance exactly as written; empty for `local`.
    """

    name: str
    type: SectorType
    bots: tuple[SectorBot, ...]
    platform: Platform = Platform.LINUX
    python: str | None = None
    region_name: str | None = None
    alarm: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    options: InstanceOptions = field(default_factory=InstanceOptions)
    settings: Settings = field(default_factory=Settings)
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class Edge:
    """Jobs that `parent` finishes go on to `child`; the position is that of the child's mention."""

    parent: str
    child: str
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class StepWork:
    """What a step does: the bot that gets its job, in which sector (None: the first that has it), and what the job
    is given, with references that are not filled in.
    """

    bot: str
    sector: str | None = None
    given: Json = None


@dataclass(frozen=True)
class StepsWorkflow:
    """A workflow of steps. By the paths of steps (`container/step`): `work` is what each does that is no container,
    `items` the list of its items or the reference to it, `places` where it is in the plan.
    """

    graph: Graph
    work: Mapping[str, StepWork]
    items: Mapping[str, Json]
    places: Mapping[str, tuple[str | int, ...]] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Workflow:
    """Which bot gets a job next: roots and edges in the order of the plan; acyclic, every edge once. One of `steps` has
    none of these.
    """

    name: str
    roots: tuple[str, ...]
    edges: tuple[Edge, ...]
    position: Position = NOWHERE
    steps: StepsWorkflow | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """CloudFormation properties of AWS::CloudWatch::Alarm as written, without Dimensions (ours)."""

    name: str
    properties: Mapping[str, Json]
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: the sectors that are built together, and the workflow between their bots. `pools` says how much there is
    of what steps acquire.
    """

    name: str
    sectors: tuple[Sector, ...]
    workflow: str | None = None
    pools: Mapping[str, int] = field(default_factory=dict)
    home_region: str | None = None
    protect: bool = False
    jobs: JobStore = field(default_factory=JobStore)
    settings: Settings = field(default_factory=Settings)
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan, valid. `file` is the path as the user gave it; mappings keep the order of the file.
    `position` is that of its key `stages`.
    """

    file: str
    name: str
    bots: Mapping[str, Bot]
    stages: Mapping[str, Stage]
    workflows: Mapping[str, Workflow] = field(default_factory=dict)
    alarms: Mapping[str, Alarm] = field(default_factory=dict)
    meta: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    demolish_on_failure: bool = True
    position: Position = NOWHERE

    @property
    def folder(self) -> Path:
        """The absolute folder of the plan's file, from which its relative paths start."""
        return Path(self.file).absolute().parent


@dataclass(frozen=True, slots=True)
class Successor:
    """Where a bot's finished jobs go: the bot, its queue by the plan's name, and the sector whose queue it is."""

    bot: str
    queue: str
    sector: str


@dataclass(frozen=True, slots=True)
class StageBot:
    """A bot on a sector of a StagePlan, with everything inherited filled in.

    `queue` is the effective queue name (`queue-name`, else the bot's name). `config` and `secrets` are
    merged over factory, stage, sector, bot and the sector's bot; the nearer wins. `successors` get its jobs
    next, in the order of the plan.
    """

    bot: Bot
    sector: str
    queue: str
    arguments: BotArguments
    config: Mapping[str, Json]
    secrets: Mapping[str, SecretReference]
    successors: tuple[Successor, ...]
    python: str | None = None


@dataclass(frozen=True, slots=True)
class StageSector:
    """A sector of a StagePlan. `region` is set for `aws` and None for `local`."""

    name: str
    type: SectorType
    bots: tuple[StageBot, ...]
    platform: Platform = Platform.LINUX
    region: str | None = None
    alarm: Alarm | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    options: InstanceOptions = field(default_factory=InstanceOptions)
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of a plan, resolved: what `design` and the local runner start from.

    `home_region` holds the queues; None when the stage has no `aws` sector. `demolish_order` lists bot names
    breadth-first along the workflow, bots outside it last. `runs` are the workflows of steps that the stage can run, by
    their names, as JSON (runs/definition.py), and `pools` what there is of what they acquire.
    """

    factory: str
    name: str
    file: str
    folder: Path
    sectors: tuple[StageSector, ...]
    workflow: str | None = None
    roots: tuple[str, ...] = ()
    demolish_order: tuple[str, ...] = ()
    home_region: str | None = None
    protect: bool = False
    demolish_on_failure: bool = True
    jobs: JobStore = field(default_factory=JobStore)
    meta: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, Json] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)

    @property
    def bots(self) -> tuple[Bot, ...]:
        """The distinct bots of this stage, in the order in which its sectors name them."""
        return tuple({stage_bot.bot.name: stage_bot.bot for stage_bot in self.stage_bots}.values())

    @property
    def stage_bots(self) -> tuple[StageBot, ...]:
        """Every bot on every sector, in the order of the plan."""
        return tuple(stage_bot for sector in self.sectors for stage_bot in sector.bots)
