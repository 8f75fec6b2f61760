"""The runners of a stage's instances, as the stage's table has them, beside the one on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import runner_pid
from factory_cdk.views.runners import RemoteRunner, remote_runners

if TYPE_CHECKING:
    from factory_cdk.agent.aws import Aws


class NotAllowedError(FactoryError):
    """These credentials may not ask: that does not pass by itself."""


ANSWERS_FOR = 60.0
"""Seconds for which it is not asked again whether a runner of instances answers: each says a word a minute."""


def runners_of(factory: Factory, aws: Aws | None = None) -> list[RemoteRunner]:
    """What the runners of the instances of `factory` said last; none for a stage without instances or table,
    which asks nobody. `aws` is asked, if given. FactoryError.
    """
    instances = factory.instances
    if instances is None or instances.table is None:
        return []
    from factory_cdk.agent.aws import Aws, AwsError  # noqa: PLC0415 - for stages with instances alone
    from factory_cdk.agent.status import read_items  # noqa: PLC0415
    from factory_cdk.deploy.refusals import REFUSED, remedy_of  # noqa: PLC0415

    try:
        items = read_items(aws or Aws(instances.region), instances.region, instances.table, instances.sector_names)
    except AwsError as error:
        if error.code in REFUSED:
            remedy = remedy_of(error.code, "dynamodb:BatchGetItem")
            raise NotAllowedError(
                f"the instances of {factory.folder.name} are not known: {error.message}", remedy
            ) from None
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


def liveness(factory: Factory, clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Says whether anybody works on the jobs of `factory`: its runner here, or one of its instances, which are asked
    about once a minute. Where these cannot be asked, or write nothing down, they are taken to work.
    """
    folder, instances = factory.folder, factory.instances
    if instances is None:
        return lambda: runner_pid(folder) is not None
    if instances.table is None:
        return lambda: True
    asked: list[tuple[float, bool]] = []

    def lives() -> bool:
        if runner_pid(folder) is not None:
            return True
        now = clock()
        if not asked or now - asked[-1][0] >= ANSWERS_FOR:
            asked[:] = [(now, _answers(factory))]
        return asked[-1][1]

    return lives


def _answers(factory: Factory) -> bool:
    try:
        return any(runner.answers for runner in runners_of(factory))
    except FactoryError:
        return True
