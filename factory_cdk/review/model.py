"""The Report: what differs between two versions of a plan and what that will do, as frozen plain data.

Every text in it may hold what a plan's author wrote: `formats/` escapes it for where it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from factory_cdk.pack.requirements.changes import Dependency
from factory_cdk.plan.model import Json

FORMAT = 1
"""The version of the report's JSON; it grows when a key changes its meaning or goes."""


class Verdict(StrEnum):
    """What happens to a sector, a queue, a bot or a stage, the most severe first.

    A sector is `replaced` when its instance is another one afterwards or it runs elsewhere, `restarted` when its
    instance stops and starts, `changed` when neither happens.
    """

    REMOVED = "removed"
    REPLACED = "replaced"
    RESTARTED = "restarted"
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Effect(StrEnum):
    """What one difference does to what it is about."""

    REPLACE = "replace"
    MAY_REPLACE = "may replace"
    RESTART = "restart"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: `what` names it (`ImageId`, `bots.reader.processes`), `before` and `after` are its
    values (None: it is not there), `why` is a sentence on the effect, `line` counts from 1 in the new plan's file.
    """

    what: str
    before: Json = None
    after: Json = None
    effect: Effect = Effect.UPDATE
    why: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What CloudFormation will do to one resource, in the words of its change sets: `action` is Add, Modify or Remove,
    `replacement` (of a Modify) is True, Conditional or False as its resource schema has it, `properties` are the
    top-level properties that differ and `references` those among them that differ, or may, only because they refer to
    a resource that changes. `sector` is the plan's (None: a queue). `kept`: one that is removed stays on AWS, outside
    of the stack (its DeletionPolicy).
    """

    stack: str
    logical_id: str
    type: str
    action: str
    replacement: str | None = None
    properties: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    sector: str | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars a month of one version of a sector, what they are for (`items`: name → dollars), and the names of
    what has no known price; `dollars` is None when not even the instance has one.
    """

    dollars: float | None
    items: Mapping[str, float] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SectorReport:
    """A sector. `why` is empty exactly when `verdict` is unchanged; `possible` says that a replacement is only
    possible (it depends on what is not in the plan). Regions, stacks and costs are None where there is none.
    """

    name: str
    verdict: Verdict
    type: str
    why: tuple[Difference, ...] = ()
    possible: bool = False
    region_before: str | None = None
    region_after: str | None = None
    stack_before: str | None = None
    stack_after: str | None = None
    cost_before: Cost | None = None
    cost_after: Cost | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class QueueReport:
    """A queue by the plan's name; `bots_before` and `bots_after` read it, `jobs` says what becomes of the jobs in it.

    `loses_jobs` where jobs that wait in it are deleted.
    """

    name: str
    verdict: Verdict
    bots_before: tuple[str, ...] = ()
    bots_after: tuple[str, ...] = ()
    why: tuple[Difference, ...] = ()
    jobs: str = ""
    loses_jobs: bool = False


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The workers of a bot on a sector that restart or end, and what becomes of the jobs that they have in hand."""

    sector: str
    bot: str
    what: str
    jobs: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a bot's repository: its id in hex, the first line of its message, its author's name."""

    id: str
    title: str
    author: str


@dataclass(frozen=True, slots=True)
class Files:
    """Files of a bot that differ, by their paths in its bundle, each list in order."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.added) + len(self.changed) + len(self.removed)


@dataclass(frozen=True, slots=True)
class BotReport:
    """A bot's code. `before` and `after` say where it comes from (never with a credential), `commit_count` counts all
    commits between the two and `commits` has the newest of them; None where the objects are not here, which `notes`
    say. `compare_url` is a page of the repository's host that shows them, `files` is None where a tree is not here.
    """

    name: str
    verdict: Verdict
    before: str | None = None
    after: str | None = None
    commit_count: int | None = None
    commits: tuple[Commit, ...] = ()
    backwards: bool = False
    compare_url: str | None = None
    files: Files | None = None
    dependencies: tuple[Dependency, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessReport:
    """What the role of a sector may do afterwards and may no longer, one sentence each."""

    sector: str
    gains: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityReport:
    """A change in what is open, secret or encrypted. `kind` is port, public, secret, encryption, metadata or
    protection; `worse` when it opens something or takes a protection away.
    """

    subject: str
    kind: str
    text: str
    worse: bool


@dataclass(frozen=True, slots=True)
class LimitReport:
    """How near a stack or sector is to a limit: `used` of `limit` `unit`s afterwards, `before` of them until now."""

    subject: str
    unit: str
    used: int
    limit: int
    before: int | None = None

    @property
    def share(self) -> float:
        """The part of the limit that is used, from 0 to 1."""
        return self.used / self.limit


@dataclass(frozen=True, slots=True)
class WorkflowReport:
    """The stage's workflow as Mermaid before and after (None: there is none), and its edges that are new or gone."""

    before: str | None
    after: str | None
    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the two differ."""
        return bool(self.added or self.removed)


@dataclass(frozen=True, slots=True)
class CostReport:
    """US dollars a month of the stage before and after, without the sectors whose instance has no known price on one
    side, and the names of these. `per_million_jobs` is what the requests of a million jobs cost, `date` that of the
    prices (ISO 8601).
    """

    date: str
    before: float
    after: float
    unknown: tuple[str, ...] = ()
    per_million_jobs: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageReport:
    """Everything about one stage. `differs` is false when deploying it would do nothing; `versions` are those of
    factory_cdk that made the two sides, when they are not the same. `problems` say why it could not be compared whole.
    """

    name: str
    verdict: Verdict
    sectors: tuple[SectorReport, ...] = ()
    queues: tuple[QueueReport, ...] = ()
    workers: tuple[WorkerReport, ...] = ()
    bots: tuple[BotReport, ...] = ()
    access: tuple[AccessReport, ...] = ()
    security: tuple[SecurityReport, ...] = ()
    limits: tuple[LimitReport, ...] = ()
    workflow: WorkflowReport | None = None
    cost: CostReport | None = None
    settings: tuple[Difference, ...] = ()
    resources: tuple[ResourceChange, ...] = ()
    hazards: tuple[str, ...] = ()
    versions: tuple[str, str] | None = None
    problems: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return self.verdict is not Verdict.UNCHANGED


@dataclass(frozen=True, slots=True)
class Violation:
    """A reason of `--fail-on` that holds: its name (`replace`, `cost`), the stage, and what it is about; `line` is that
    of the new plan which the reader should look at.
    """

    reason: str
    stage: str
    text: str
    line: int | None = None


DEPLOYED = "deployed"
"""The label of what AWS has: a report against it is not from plans alone."""


@dataclass(frozen=True, slots=True)
class Report:
    """Two versions of a plan compared. `before` and `after` name them (`main (3f2a91c)`, `factory-plan.yml`); `plan`
    is the plan's file as the user gave it. `problems` are those of the whole.
    """

    plan: str
    factory: str
    before: str
    after: str
    version: str
    stages: tuple[StageReport, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return any(stage.differs for stage in self.stages)
