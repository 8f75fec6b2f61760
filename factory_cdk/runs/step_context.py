"""What a function of a Flow can know of the step that it is run for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from factory_cdk.diagnostics import FactoryError


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """The step in hand: its name (`container/step`), its sequence (`1.2.2`), how many recoveries the run has had, the
    name of its logger, the item that it is for (None: it has none), and by their names the results of the steps that it
    needs. The first four are in the variables that `variables` has, too.
    """

    name: str
    sequence: str
    recovery: int
    logger_name: str
    item: Any = None
    results: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The step as variables of a process."""
        return step_variables(self.name, self.sequence, self.recovery, self.logger_name)


def step_variables(name: str, sequence: str, recovery: int, logger_name: str) -> dict[str, str]:
    """What the process that works on a step gets as variables."""
    return {
        "FACTORY_STEP_NAME": name,
        "FACTORY_STEP_SEQUENCE": sequence,
        "FACTORY_STEP_RECOVERY": str(recovery),
        "FACTORY_STEP_LOGGER_NAME": logger_name,
    }


def logger_name(workflow: str, path: str) -> str:
    """The name of the logger of a step: `workflow.container.step`."""
    return ".".join((workflow, *path.split("/")))


_current: CurrentStep | None = None


def current_step() -> CurrentStep:
    """The step for which the function that calls this is run. FactoryError outside of one."""
    if _current is None:
        raise FactoryError("no step of a Flow is being run here", "call current_step in a function of a step")
    return _current


def enter(step: CurrentStep) -> None:
    """From now on, `step` is the step in hand of this process."""
    global _current  # noqa: PLW0603 - one process, one step at a time
    _current = step
    os.environ.update(step.variables)
