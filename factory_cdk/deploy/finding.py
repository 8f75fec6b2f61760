"""The stages that are deployed in an account, found by the tags of their CloudFormation stacks.

`DescribeStacks` is asked, region by region, and not the Resource Groups Tagging API: that one lags behind what was just
created or deleted, and tells neither the status nor the parameters and outputs of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from factory_cdk.agent.aws import ATTEMPTS, PATIENT_ATTEMPTS, Aws, AwsError, asking
from factory_cdk.awsconfig import ANY_REGION, default_region
from factory_cdk.deploy.refusals import BAD_CREDENTIALS, GIVE_CREDENTIALS, REFUSED
from factory_cdk.deploy.stacks import StackNow, stack_from
from factory_cdk.design.naming import Names
from factory_cdk.design.stacks import numbers_after
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG, is_name

DELETED = "DELETE_COMPLETE"

AT_ONCE = 32
"""Regions that are asked at the same time."""


@dataclass(frozen=True, slots=True)
class DeployedStage:
    """A stage of which an account has `stacks`: those of its queues first, the others by region and name."""

    factory: str
    stage: str
    stacks: tuple[StackNow, ...]

    @property
    def name(self) -> str:
        """The factory and stage as one word for messages."""
        return f"{self.factory}/{self.stage}"

    @property
    def queue_stacks(self) -> tuple[StackNow, ...]:
        """The stacks of its queues, the first one first."""
        first = Names(self.factory, self.stage).stack("queues")
        numbers = numbers_after(first, {stack.name: stack.name for stack in self.stacks})
        return tuple(sorted((one for one in self.stacks if one.name in numbers), key=lambda one: numbers[one.name]))

    @property
    def region_stacks(self) -> tuple[StackNow, ...]:
        """The stacks of its instances."""
        queues = {stack.name for stack in self.queue_stacks}
        return tuple(stack for stack in self.stacks if stack.name not in queues)

    @property
    def regions(self) -> tuple[str, ...]:
        """Where it has stacks."""
        return tuple(dict.fromkeys(stack.region for stack in self.stacks))


def find_deployed(
    regions: Collection[str] | None,
    name: str | None = None,
    stage: str | None = None,
    *,
    warn: Callable[[str], None],
    changes: bool = False,
) -> list[DeployedStage]:
    """The stages that are deployed in `regions` (None: all that are enabled for the account), of the factory `name` and
    called `stage` where these are given, sorted by name. Stacks in every state are among them, but deleted ones.

    `warn` is told of each region that cannot be asked; the others are shown. FactoryError when no region can be, and
    when AWS does not take the credentials. For a command that `changes` what is found, AWS is asked for longer, and a
    region that does not answer at all is an error, too: what is there would be left out. One that is denied is none:
    many accounts close the regions that they do not use.
    """
    asked = default_region(None, needed=True) or ANY_REGION
    aws = Aws(asked, attempts=PATIENT_ATTEMPTS if changes else ATTEMPTS)
    wanted = sorted(set(regions)) if regions is not None else enabled_regions(aws, asked)
    found: list[StackNow] = []
    failed: list[AwsError] = []
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted) or 1), "regions") as pool:
        try:
            for answer in pool.map(partial(_answer, aws), wanted):
                if isinstance(answer, AwsError):
                    failed.append(answer)
                else:
                    found += answer
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    needed = failed if len(failed) == len(wanted) else [one for one in failed if changes and one.code not in REFUSED]
    if needed:
        raise in_words(needed[0])
    for error in failed:
        warn(f"{error.message}; what is there is not shown")
    return [one for one in stages_of(found) if name in (None, one.factory) and stage in (None, one.stage)]


def stages_of(stacks: Iterable[StackNow]) -> list[DeployedStage]:
    """The stages that `stacks` are of, sorted by name; stacks that their tags do not name as ours are left out."""
    by_stage: dict[tuple[str, str], list[StackNow]] = {}
    for stack in stacks:
        names = stack.tags.get(FACTORY_TAG, ""), stack.tags.get(STAGE_TAG, "")
        if all(map(is_name, names)):  # anybody may write tags, and these become names of files
            by_stage.setdefault(names, []).append(stack)
    return [_stage(*names, found) for names, found in sorted(by_stage.items())]


def enabled_regions(aws: Aws, asked: str) -> list[str]:
    """The regions that are enabled for the account, as the region `asked` says; sorted. FactoryError."""
    try:
        with asking(f"the regions of the account, asked in {asked}"):
            answer = aws.client("ec2", asked).describe_regions()
    except AwsError as error:
        if error.code in REFUSED:
            remedy = "these credentials need ec2:DescribeRegions, or name the regions: --region"
            raise FactoryError(error.message, remedy) from None
        raise in_words(error) from None
    return sorted(str(one["RegionName"]) for one in answer["Regions"])


def in_words(error: AwsError) -> FactoryError:
    """`error` with what helps whoever looks for stages."""
    if error.code in BAD_CREDENTIALS:
        return FactoryError(error.message, GIVE_CREDENTIALS)
    if error.code in REFUSED:
        remedy = "these credentials need cloudformation:DescribeStacks and ListStacks on every stack of the region"
        return FactoryError(error.message, remedy)
    return FactoryError(error.message, "check the network and the region, and run it again")


def _answer(aws: Aws, region: str) -> list[StackNow] | AwsError:
    """The stacks of `region`, or why it cannot be asked. FactoryError when another region would say the same."""
    try:
        return list_stacks(aws, region)
    except AwsError as error:
        if error.code in BAD_CREDENTIALS:
            raise in_words(error) from None
        return error


def list_stacks(aws: Aws, region: str) -> list[StackNow]:
    """Every stack of `region` that is not part of another one. AwsError."""
    found: list[StackNow] = []
    with asking(f"the stacks of {region}"):
        for page in aws.client("cloudformation", region).get_paginator("describe_stacks").paginate():
            found += [stack_from(one, region) for one in page["Stacks"] if "ParentId" not in one]
    return [one for one in found if one.status != DELETED]


def _stage(factory: str, stage: str, stacks: Iterable[StackNow]) -> DeployedStage:
    whole = DeployedStage(factory, stage, tuple(sorted(stacks, key=lambda one: (one.region, one.name))))
    return DeployedStage(factory, stage, (*whole.queue_stacks, *whole.region_stacks))
