"""The StageDesign: everything a stage will be, region by region and sector by sector, as frozen plain data.

It knows no CDK, no boto3, no clock and no network. `stacks/` turns its StackDesigns into constructs, the
local runner starts its local sectors, and `review` compares two of them. CloudFormation intrinsics appear as
the plain JSON that a template holds (`{"Ref": …}`, `{"Fn::Sub": …}`); user text is never inside one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from factory_cdk.bundle import Bundle
from factory_cdk.design.naming import DEFAULT_QUALIFIER
from factory_cdk.diagnostics import Diagnostic
from factory_cdk.plan.model import BotArguments, Json, Platform, SecretReference, SectorType, Successor
from factory_cdk.wheels import BotWheels, Target

__all__ = [
    "Asset",
    "BotDesign",
    "QueueDesign",
    "Resource",
    "SectorDesign",
    "StackDesign",
    "StageDesign",
    "Successor",
]


@dataclass(frozen=True, slots=True)
class BotDesign:
    """A bot on a sector as a runner will run it.

    `bot_path` or `command` is set, never both. `config` is every value in the clear, `secrets` only where
    values come from. `bundle` may be an unpacked one (`bundle.packed` False). `target` is that of its wheels where the
    sector is offline, `python_build` the SHA-256 of the build of Python that its release holds, if any.
    """

    name: str
    queue: str
    successors: tuple[Successor, ...]
    arguments: BotArguments
    bundle: Bundle
    bot_path: str | None = None
    command: tuple[str, ...] | None = None
    requirements_path: str | None = None
    subdirectory: str | None = None
    python: str | None = None
    config: Mapping[str, Json] = field(default_factory=dict)
    secrets: Mapping[str, SecretReference] = field(default_factory=dict)
    target: Target | None = None
    python_build: str | None = None

    @property
    def wheels(self) -> BotWheels | None:
        """What is installed on an offline sector; None elsewhere, and where its bundle has none for the target yet."""
        return self.bundle.wheels.get(str(self.target)) if self.target is not None else None


@dataclass(frozen=True, slots=True)
class SectorDesign:
    """A sector: its bots and, for `aws`, the stack and region that it is in (None for `local`)."""

    name: str
    type: SectorType
    bots: tuple[BotDesign, ...]
    platform: Platform = Platform.LINUX
    region: str | None = None
    stack: str | None = None
    release: str | None = None
    """The digest of what the sector runs (bundles, targets, arguments, routes); None for `local`."""
    place: str | None = None
    """What it is called in the names of its parameters, secrets, log group and alarm (`naming.placed`)."""
    instance: str | None = None
    """The logical id of its instance."""


@dataclass(frozen=True, slots=True)
class QueueDesign:
    """A queue of the stage. `name` is the plan's; `physical_name` and `dead_letter_name` are SQS's (at most 80
    characters); `visibility_timeout` is in seconds; after `max_receives` deliveries SQS itself gives a job up;
    `bot` reads it; `stack` holds it and its dead-letter queue (None for a stage without an aws sector).
    """

    name: str
    bot: str
    physical_name: str
    dead_letter_name: str
    visibility_timeout: int
    max_receives: int
    stack: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a template: `properties` is the JSON that CloudFormation gets, untouched by CDK.

    `deletion_policy` and `update_replace_policy` say what becomes of it when it leaves the template or is replaced
    (None: it is deleted). `condition` is the name of the condition on which it exists (None: always).
    """

    logical_id: str
    type: str
    properties: Mapping[str, Json] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    sector: str | None = None
    deletion_policy: str | None = None
    update_replace_policy: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the stack publishes to the assets bucket of its region before it is deployed.

    `key` is the object's key, `sha256` of the content in hex. Either `content` (text, made here), `path`
    (an absolute path, a packed bundle in the cache) or `wheel` (this package's own, see `runner_wheel`) is set; none
    for what plan.lock or this package names and the cache does not have: its stack can be reviewed, and deployed after
    a `pack`.
    """

    key: str
    sha256: str
    content: str | None = None
    path: str | None = None
    wheel: bool = False


@dataclass(frozen=True, slots=True)
class StackDesign:
    """One CloudFormation stack. `parameters` to `metadata` are template sections; `depends_on` names
    stacks that are deployed before this one; `protect` is termination protection.
    """

    name: str
    region: str
    description: str
    resources: tuple[Resource, ...]
    parameters: Mapping[str, Json] = field(default_factory=dict)
    conditions: Mapping[str, Json] = field(default_factory=dict)
    mappings: Mapping[str, Json] = field(default_factory=dict)
    rules: Mapping[str, Json] = field(default_factory=dict)
    metadata: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    assets: tuple[Asset, ...] = ()
    depends_on: tuple[str, ...] = ()
    protect: bool = False


@dataclass(frozen=True, slots=True)
class StageDesign:
    """A whole stage: sectors in the order of the plan, queues, and the stacks (none without an aws sector).

    `diagnostics` are the warnings that came up while designing (a successor chosen among several, an unpacked
    bot); errors raise PlanError instead. `qualifier` is that of `cdk bootstrap`.
    `history` is the name of the table of jobs (None: there is none), `payloads` that of the bucket for large payloads,
    as text for Fn::Sub; both are in `home_region`. `runs` and `pools` are the StagePlan's.
    """

    factory: str
    stage: str
    version: str
    sectors: tuple[SectorDesign, ...]
    queues: tuple[QueueDesign, ...]
    stacks: tuple[StackDesign, ...] = ()
    home_region: str | None = None
    roots: tuple[str, ...] = ()
    demolish_order: tuple[str, ...] = ()
    demolish_on_failure: bool = True
    meta: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    qualifier: str = DEFAULT_QUALIFIER
    history: str | None = None
    payloads: str | None = None
    runs: Mapping[str, Json] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)
