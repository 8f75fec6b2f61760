"""One version of a plan and of its stages, as plain data that a plan and a cloud assembly can both give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from factory_cdk.design.model import Resource
from factory_cdk.plan.model import Json, SecretReference
from factory_cdk.release import BotRelease
from factory_cdk.review.lines import LineOf


@dataclass(frozen=True, slots=True)
class StackSide:
    """A stack: its resources by their logical ids, its mappings, the bytes of its template (at least), and whether it
    has termination protection.
    """

    name: str
    region: str
    resources: Mapping[str, Resource]
    mappings: Mapping[str, Json] = field(default_factory=dict)
    size: int = 0
    protect: bool = False
    by_sector: Mapping[str | None, tuple[Resource, ...]] = field(init=False, repr=False, compare=False)
    """The resources again, by the sector that they are of (None: of none)."""

    def __post_init__(self) -> None:
        found: dict[str | None, list[Resource]] = {}
        for one in self.resources.values():
            found.setdefault(one.sector, []).append(one)
        object.__setattr__(self, "by_sector", {sector: tuple(own) for sector, own in found.items()})


@dataclass(frozen=True, slots=True)
class SectorBot:
    """A bot on a sector: what its release says of it, the values of its config, and where `build` takes those of its
    secrets from as the plan says it (None: not known here; a release on AWS only names the secret that is filled).
    """

    release: BotRelease
    config: Mapping[str, Json] = field(default_factory=dict)
    origins: Mapping[str, SecretReference] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SectorSide:
    """A sector: its bots by name and, for `aws`, its region, its stack and its platform. `line` is that in the plan."""

    name: str
    type: str
    bots: Mapping[str, SectorBot]
    platform: str = "linux"
    region: str | None = None
    stack: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class QueueSide:
    """A queue by the plan's name. `physical_name` is SQS's, `visibility_timeout` in seconds, `stack` holds it (None:
    it is in this machine's database). `kept`: it stays when its stack has it no longer.
    """

    name: str
    physical_name: str
    visibility_timeout: int
    stack: str | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class CodeSide:
    """A bot's code. `origin` is for people, `digest` names the code (`pinned`: exactly; else only what the plan says of
    the source), `requirements` are its locked lines (None: not known here). `files` gives the digests of its files by
    their paths, or None where the code is not here; it reads them. `url` is that of a git source, without a credential,
    `requirements_path` what the plan says.
    """

    name: str
    kind: str
    origin: str
    digest: str
    pinned: bool
    url: str | None = None
    commit: str | None = None
    requirements: tuple[str, ...] | None = None
    files: Callable[[], Mapping[str, str] | None] = lambda: None
    requirements_path: str | None = None


@dataclass(frozen=True, slots=True)
class StageSide:
    """A stage in one version. `edges` are the workflow's, bot to bot, `roots` where it starts. `whole` is false for
    what an assembly gives: it has no local sectors and no locked requirements. `version` is that of factory_cdk,
    `line_of` says where the plan says something.
    """

    name: str
    factory: str
    version: str
    sectors: Mapping[str, SectorSide] = field(default_factory=dict)
    queues: Mapping[str, QueueSide] = field(default_factory=dict)
    stacks: Mapping[str, StackSide] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()
    roots: tuple[str, ...] = ()
    code: Mapping[str, CodeSide] = field(default_factory=dict)
    demolish_on_failure: bool = True
    whole: bool = True
    line_of: LineOf = lambda sector, what: None


def resources_of(stage: StageSide | None, sector: SectorSide | None) -> tuple[Resource, ...]:
    """The resources of an aws sector; none of a local one, or of one that is not there."""
    stack = stage.stacks.get(sector.stack or "") if stage and sector else None
    return stack.by_sector.get(sector.name, ()) if stack and sector else ()


def resource_of(type_: str, stage: StageSide | None, sector: SectorSide | None) -> Resource | None:
    """The first resource of a type of a sector; None where it has none."""
    return next((one for one in resources_of(stage, sector) if one.type == type_), None)


@dataclass(frozen=True, slots=True)
class PlanSide:
    """A version of a plan. `label` names it for people. `stages` are those that it has, `stage(name)` reads one and
    raises PlanError or FactoryError when it cannot be designed. `missing`: there is no plan in this version.
    `problems` are what is wrong with the plan, as lines; what can be read of it is compared nevertheless.
    Without `whole` it has only those stages, and of them only what runs on AWS.
    """

    label: str
    factory: str | None
    stages: tuple[str, ...]
    stage: Callable[[str], StageSide]
    missing: bool = False
    whole: bool = True
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
