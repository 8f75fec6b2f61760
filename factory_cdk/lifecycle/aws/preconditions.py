"""What a stage, which may be on AWS, must be like before a verb begins, and what helps when it is not."""

from __future__ import annotations

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.local.preconditions import spec_of_built
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.stage_instances import StageInstances
from factory_cdk.state.stages import Factory


def need_instances(factory: Factory) -> StageInstances:
    """The instances of `factory`. FactoryError when none is known, as of a stage that was not created to the end."""
    if factory.instances is None:
        trouble = f": {factory.trouble}" if factory.trouble else ""
        raise FactoryError(f"{factory.folder.name} is {factory.state} on AWS{trouble}", "see its stacks there")
    return factory.instances


def whole_spec_of_built(factory: Factory) -> RunnerSpec:
    """The bots of all sectors of a stage that is built. FactoryError when they are not known."""
    if factory.local:
        spec_of_built(factory)
    else:
        need_instances(factory)
    assert factory.whole_spec is not None  # noqa: S101 - one of both has seen to that
    return factory.whole_spec
