"""The runners of a stage's instances, as the stage's table has them, for commands that show local ones."""

from __future__ import annotations

import time
from collections.abc import Iterable

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.stage_instances import instances_of
from factory_cdk.state.stages import Factory
from factory_cdk.views.runners import RemoteRunner, remote_runners


def runners_of(factory: Factory) -> list[RemoteRunner]:
    """What the runners of the instances of `factory` said last; none for a stage without instances, which asks nobody.
    FactoryError.
    """
    if (instances := instances_of(factory.folder)) is None:
        return []
    from factory_cdk.agent.aws import Aws, AwsError  # noqa: PLC0415 - for stages with instances alone
    from factory_cdk.agent.status import read_items  # noqa: PLC0415

    try:
        items = read_items(Aws(instances.region), instances.region, instances.table, instances.sectors)
    except AwsError as error:
        remedy = "check the AWS credentials and the network; what is shown is of this machine alone"
        raise FactoryError(f"the instances of {factory.folder.name} are not known: {error.message}", remedy) from None
    return remote_runners(items, time.time())


def runners_or_why_not(factories: Iterable[Factory], say: Say) -> list[tuple[Factory, list[RemoteRunner]]]:
    """The runners of the instances of each stage; `say` gets why some are not known."""
    found = []
    for factory in factories:
        try:
            found.append((factory, runners_of(factory)))
        except FactoryError as error:
            say(f"warning: {error.message}")
            if error.remedy:
                say(f"help: {error.remedy}")
    return found
