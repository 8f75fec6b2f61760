"""The local sectors of a stage with aws sectors, while it is built: they are started stopped, and opened at the end."""

from __future__ import annotations

import threading
from dataclasses import replace

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.aws_queues import with_aws_queues
from factory_cdk.lifecycle.local import backend as local
from factory_cdk.lifecycle.local.control import with_log
from factory_cdk.lifecycle.local.demolish import demolish
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.plan.model import Plan, SectorType
from factory_cdk.state.stages import Factory, matches


class LocalPart:
    """What `build` does here for the stage of `design`; nothing where it has no local sectors."""

    def __init__(self, plan: Plan, design: StageDesign, options: BuildOptions, say: Say) -> None:
        self.plan, self.design, self.say = plan, design, say
        self.options = options
        self.has_sectors = any(one.type is SectorType.LOCAL for one in design.sectors)
        self.made = False

    def kind(self) -> str:
        """What is to be done: `create`, `update` (it runs something else) or `none`."""
        if not self.has_sectors:
            return "none"
        if self._found() is None:
            return "create"
        return "update" if local.differs(self.design, self.options) else "none"

    def build(self) -> None:
        """Start the local sectors, stopped, or bring them to the present design. FactoryError."""
        if not self.has_sectors:
            return
        options = replace(with_aws_queues(self.options, self.plan, self.design), held=True)
        if self._found() is None:
            local.build(self.design, options, self.say)
            self.made = True
            return
        request = local.request_update(self.design, options, self.say, threading.Event())
        if request is not None:
            self.say(f"here: loading {', '.join(request.bots)}")
            status = local.await_update(request)
            if status.outcome != "done":
                raise FactoryError(f"the local sectors are not updated: {with_log(status.reason, status.log)}", None)

    def open(self) -> None:
        """Let the local sectors take jobs. FactoryError."""
        found = self._found() if self.has_sectors else None
        if found is not None:
            local.open_gate(found)

    def undo(self) -> None:
        """End what `build` has started here; jobs are on AWS, and what is in hand goes back. FactoryError."""
        found = self._found()
        if self.made and found is not None:
            demolish(found, self.say, lambda left: True, cold=True)

    def _found(self) -> Factory | None:
        there = matches(self.options.home, self.design.factory, self.design.stage)
        return there[0] if there else None
