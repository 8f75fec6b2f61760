"""A stage of a plan in a CDK app of your own.

    from factory_cdk.stacks.library import FactoryStage

    stage = FactoryStage(app, plan="factory-plan.yml", stage="dev", region="eu-west-2")
    bucket.grant_read(stage.roles["box"])
    stage.queues["reader"].dead_letters.metric_approximate_number_of_messages_visible()

The stacks are those of `factory-cdk synth`, resource by resource, but made of typed constructs (CfnInstance,
CfnRole, CfnQueue, …), so that aspects and cdk-nag see them. The Python modules of their types are imported when
one is reached (aws_ec2 takes two seconds or three).

Where CDK finds its Node: `import aws_cdk` starts one, that of JSII_NODE or else the one on PATH, which may be missing
or out of support. `python -m factory_cdk.stacks.run app.py` (as the `app` of cdk.json) runs an app with the Node of the
extra `[cdk]`; so does importing this module before aws_cdk.

Templates say the same as those of `factory-cdk synth`; only the order of tags and of `DependsOn` is CDK's, and what
this app adds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from factory_cdk.stacks.node import choose_node

choose_node()

import aws_cdk as cdk  # noqa: E402 - starts the Node that was chosen
from aws_cdk.cloudformation_include import CfnInclude  # noqa: E402
from constructs import Construct  # noqa: E402

from factory_cdk.compile import compile_at_hand, compile_packed  # noqa: E402
from factory_cdk.design.model import QueueDesign, Resource, SectorDesign, StackDesign, StageDesign  # noqa: E402
from factory_cdk.design.naming import DEFAULT_QUALIFIER, Names, queue_id  # noqa: E402
from factory_cdk.diagnostics import FactoryError  # noqa: E402
from factory_cdk.home import pack_cache  # noqa: E402
from factory_cdk.plan.load import read_plan  # noqa: E402
from factory_cdk.plan.model import SectorType  # noqa: E402
from factory_cdk.plan.names import logical  # noqa: E402
from factory_cdk.plan.spelling import did_you_mean  # noqa: E402
from factory_cdk.stacks.app import QUALIFIER  # noqa: E402
from factory_cdk.stacks.assets import asset_file  # noqa: E402
from factory_cdk.stacks.written import as_written  # noqa: E402

if TYPE_CHECKING:
    from aws_cdk import aws_cloudwatch as cloudwatch
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_logs as logs
    from aws_cdk import aws_secretsmanager as secretsmanager
    from aws_cdk import aws_sqs as sqs

T = TypeVar("T")


class Named(Mapping[str, T], Generic[T]):
    """Things by their names in the plan: `named["box-1"]`, or `named.box_1` where the name is an identifier. Each
    is made when it is first asked for.
    """

    def __init__(self, kind: str, names: Iterable[str], make: Callable[[str], T]) -> None:
        self._kind = kind
        self._names = tuple(names)
        self._make = make
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(self._unknown(name))
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __getattr__(self, name: str) -> T:
        if name.startswith("_") or name not in self._names:
            raise AttributeError(self._unknown(name))
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _unknown(self, name: str) -> str:
        hint = did_you_mean(name, self._names)
        return f"unknown {self._kind} `{name}`" + (f" ({hint})" if hint else "")


class FactoryQueue:
    """A queue of the stage: typed constructs of its two resources, and CDK's views of them to grant and to watch."""

    def __init__(self, stage: FactoryStage, design: QueueDesign) -> None:
        self._stage = stage
        self._design = design
        self._id = queue_id(design.name)

    @property
    def cfn_queue(self) -> sqs.CfnQueue:
        """The queue's resource."""
        return cast("sqs.CfnQueue", self._stage.resource(self._id))

    @property
    def cfn_dead_letters(self) -> sqs.CfnQueue:
        """The resource of its dead-letter queue."""
        return cast("sqs.CfnQueue", self._stage.resource(f"{self._id}DeadLetters"))

    @property
    def queue(self) -> sqs.IQueue:
        """The queue, for metrics and grants in any stack and region: it is known by its name."""
        return self._view(self._id, self._design.physical_name)

    @property
    def dead_letters(self) -> sqs.IQueue:
        """The queue of the jobs that failed for good."""
        return self._view(f"{self._id}DeadLetters", self._design.dead_letter_name)

    def _view(self, logical_id: str, name: str) -> sqs.IQueue:
        def make(scope: Construct, construct_id: str) -> Construct:
            from aws_cdk import aws_sqs as sqs  # noqa: PLC0415 - when a queue is asked for

            arn = cdk.Stack.of(scope).format_arn(service="sqs", resource=name)
            return cast(Construct, sqs.Queue.from_queue_arn(scope, construct_id, arn))

        return cast("sqs.IQueue", self._stage.view(logical_id, make))


class FactorySector:
    """An aws sector of the stage: typed constructs of its resources, and CDK's views of them."""

    def __init__(self, stage: FactoryStage, design: SectorDesign) -> None:
        self._stage = stage
        self._design = design
        self._id = logical(design.name)

    @property
    def stack(self) -> cdk.Stack:
        """The stack that the sector is in."""
        return cdk.Stack.of(self.instance)

    @property
    def instance(self) -> ec2.CfnInstance:
        """The instance."""
        return cast("ec2.CfnInstance", self._stage.resource(self._design.instance or f"{self._id}Instance"))

    @property
    def cfn_role(self) -> iam.CfnRole:
        """The resource of the instance's role."""
        return cast("iam.CfnRole", self._stage.resource(f"{self._id}Role"))

    @property
    def role(self) -> iam.IRole:
        """The role, to grant to: what it gets becomes a policy of its own in the sector's stack."""

        def make(scope: Construct, construct_id: str) -> Construct:
            from aws_cdk import aws_iam as iam  # noqa: PLC0415 - when a role is asked for

            return cast(Construct, iam.Role.from_role_name(scope, construct_id, self.cfn_role.ref))

        return cast("iam.IRole", self._stage.view(f"{self._id}Role", make))

    @property
    def log_group(self) -> logs.CfnLogGroup:
        """The log group that the bots and the installation write to."""
        return cast("logs.CfnLogGroup", self._stage.resource(f"{self._id}LogGroup"))

    @property
    def alarm(self) -> cloudwatch.CfnAlarm | None:
        """The plan's alarm on the instance; None where the plan has none."""
        name = f"{self._id}Alarm"
        return cast("cloudwatch.CfnAlarm", self._stage.resource(name)) if self._stage.has(name) else None

    @property
    def secrets(self) -> Named[secretsmanager.ISecret]:
        """The secrets that this stage creates, by bot. Bots with the same values share one."""
        found = self._stage.secret_ids(self._design)

        def make(bot: str) -> secretsmanager.ISecret:
            def view(scope: Construct, construct_id: str) -> Construct:
                from aws_cdk import aws_secretsmanager as secretsmanager  # noqa: PLC0415 - when it is asked for

                arn = cast("secretsmanager.CfnSecret", self._stage.resource(found[bot])).ref
                return cast(Construct, secretsmanager.Secret.from_secret_complete_arn(scope, construct_id, arn))

            return cast("secretsmanager.ISecret", self._stage.view(found[bot], view))

        return Named(f"secret on the sector `{self._design.name}` for the bot", found, make)


class FactoryStage(Construct):
    """The stacks of one stage of a plan, as constructs of this app.

    `stacks` are by what they hold (`queues`, a region, its second stack `eu-west-2-2`); `sectors`, `instances`,
    `roles` and `secrets` (by sector, then by bot) by the plan's names of aws sectors; `queues` by the plan's names of
    queues. `design` is everything as plain data.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str | None = None,
        *,
        plan: str | Path,
        stage: str,
        region: str | None = None,
        pack: bool = False,
    ) -> None:
        """Add `stage` of the plan in the file `plan` to `scope` as `construct_id` (`<factory>-<stage>`).

        `region` is for aws sectors that name none. With `pack` the bots are packed first, which fetches their
        sources; else they are taken from plan.lock, from what `factory-cdk pack` has packed on this machine and
        from path sources, and the stacks refuse to be deployed while one is missing. Raises PlanError with every
        diagnostic when the plan is refused, FactoryError when the stage cannot be designed or packed.
        """
        make = compile_packed if pack else compile_at_hand
        given = scope.node.try_get_context(QUALIFIER)
        qualifier = given if isinstance(given, str) else DEFAULT_QUALIFIER
        design = make(read_plan(plan), stage, cache=pack_cache(), region=region, qualifier=qualifier)
        super().__init__(scope, construct_id or f"{design.factory}-{design.stage}")
        self.node.set_context(QUALIFIER, qualifier)
        self.design: StageDesign = design
        self._includes: dict[str, CfnInclude] = {}
        self._views: dict[str, Construct] = {}
        self._owners = {one.logical_id: stack.name for stack in design.stacks for one in stack.resources}
        by_name: dict[str, cdk.Stack] = {}
        prefix = Names(design.factory, design.stage).stack("")
        outdir = _outdir(self)
        for stack_design in design.stacks:
            by_name[stack_design.name] = self._stack(stack_design, stack_design.name.removeprefix(prefix), outdir)
            for before in stack_design.depends_on:
                by_name[stack_design.name].add_stack_dependency(by_name[before])
        by_kind = {name.removeprefix(prefix): stack for name, stack in by_name.items()}
        sectors = {one.name: one for one in design.sectors if one.type is SectorType.AWS}
        queues = {one.name: one for one in design.queues} if design.stacks else {}
        self.stacks: Named[cdk.Stack] = Named("stack", by_kind, by_kind.__getitem__)
        self.sectors: Named[FactorySector] = Named(
            "aws sector", sectors, lambda name: FactorySector(self, sectors[name])
        )
        self.instances: Named[ec2.CfnInstance] = Named("aws sector", sectors, lambda name: self.sectors[name].instance)
        self.roles: Named[iam.IRole] = Named("aws sector", sectors, lambda name: self.sectors[name].role)
        self.secrets: Named[Named[secretsmanager.ISecret]] = Named(
            "aws sector", sectors, lambda name: self.sectors[name].secrets
        )
        self.queues: Named[FactoryQueue] = Named("queue", queues, lambda name: FactoryQueue(self, queues[name]))

    def has(self, logical_id: str) -> bool:
        """Whether a template of the stage has a resource of this logical id."""
        return logical_id in self._owners

    def resource(self, logical_id: str) -> cdk.CfnResource:
        """The typed construct of a resource by its logical id in the templates; KeyError when there is none."""
        return self._includes[self._owners[logical_id]].get_resource(logical_id)

    def view(self, logical_id: str, make: Callable[[Construct, str], Construct]) -> Construct:
        """CDK's view of a resource, made once by `make` in the stack of the resource."""
        if logical_id not in self._views:
            stack = cdk.Stack.of(self._includes[self._owners[logical_id]])
            self._views[logical_id] = make(stack, f"{logical_id}View")
        return self._views[logical_id]

    def secret_ids(self, sector: SectorDesign) -> dict[str, str]:
        """The logical ids of the secrets that the stage creates for the bots of a sector, by bot."""
        stack = next(one for one in self.design.stacks if one.name == sector.stack)
        made = {
            resource.properties["Name"]: resource.logical_id
            for resource in stack.resources
            if resource.type == "AWS::SecretsManager::Secret"
        }
        release = next(asset for asset in stack.assets if asset.sha256 == sector.release)
        bots = json.loads(release.content or "{}")["bots"]
        named = {bot: [one["secret"] for one in said.get("secrets", {}).values()] for bot, said in bots.items()}
        return {bot: made[name] for bot, names in named.items() for name in names if name in made}

    def _stack(self, design: StackDesign, construct_id: str, outdir: Path) -> cdk.Stack:
        stack = cdk.Stack(
            self,
            construct_id,
            stack_name=design.name,
            description=design.description,
            env=cdk.Environment(region=design.region),
            tags=design.tags,
            termination_protection=design.protect or None,
        )
        if cast(Any, stack.synthesizer).bootstrap_qualifier != self.design.qualifier:
            message = "the app has a stack synthesizer of its own, which would publish the bots to another bucket"
            raise FactoryError(message, "give it to the other stacks instead of to the app")
        with tempfile.TemporaryDirectory(prefix="factory-cdk-") as folder:
            file = Path(folder) / "template.json"
            file.write_text(json.dumps(_template(design)), encoding="utf-8")
            include = CfnInclude(stack, "Stage", template_file=str(file))
        self._includes[design.name] = include
        for resource in design.resources:
            for path, value in as_written(resource):
                construct = include.get_resource(resource.logical_id)
                construct.add_override(".".join(map(str, ("Properties", *path))), value)
        for asset in design.assets:
            written = asset_file(outdir, asset)
            stack.synthesizer.add_file_asset(
                source_hash=asset.sha256, file_name=written.name, packaging=cdk.FileAssetPackaging.FILE
            )
        return stack


def _outdir(scope: Construct) -> Path:
    """Where the app writes its assembly, which has the files of assets beside the templates."""
    stage = cdk.Stage.of(scope)
    if stage is None:
        raise ValueError("a FactoryStage must be created inside a cdk.App or cdk.Stage")
    return Path(stage.outdir)


def _template(design: StackDesign) -> dict[str, Any]:
    sections: dict[str, Any] = {
        "Metadata": design.metadata,
        "Parameters": design.parameters,
        "Conditions": design.conditions,
        "Mappings": design.mappings,
        "Rules": design.rules,
        "Resources": {one.logical_id: _resource(one) for one in design.resources},
    }
    return {name: section for name, section in sections.items() if section}


def _resource(resource: Resource) -> dict[str, Any]:
    written: dict[str, Any] = {"Type": resource.type}
    if resource.properties:
        written["Properties"] = resource.properties
    if resource.condition:
        written["Condition"] = resource.condition
    if resource.depends_on:
        written["DependsOn"] = list(resource.depends_on)
    if resource.deletion_policy:
        written["DeletionPolicy"] = resource.deletion_policy
    if resource.update_replace_policy:
        written["UpdateReplacePolicy"] = resource.update_replace_policy
    return written
