"""The lifecycle of stages on AWS, as lifecycle/backend.py wants it of every place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.aws.search import AwsSearch
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Demolished, Left, Resumed, Stopped
from factory_cdk.state.stages import Factory

if TYPE_CHECKING:
    from factory_cdk.design.model import StageDesign
    from factory_cdk.lifecycle.local.update import UpdateRequest
    from factory_cdk.lifecycle.options import BuildOptions
    from factory_cdk.runner.launch import Launch
    from factory_cdk.state.status import UpdateStatus

FRESH_FOR = 60.0
"""Seconds for which what AWS answered is not asked for again by the same command."""


class AwsBackend:
    """Stages that are found as `search` says; `say` is warned of what cannot be asked. Found stages are remembered for
    a while: a command asks once.
    """

    def __init__(self, search: AwsSearch, say: Say) -> None:
        self._search, self._say = search, say
        self._found: dict[tuple[Path, str | None], tuple[float, list[Factory]]] = {}

    def built(self, home: Path, name: str | None = None) -> list[Factory]:
        """The stages that are deployed, of the factory `name` if given. Where AWS was not told to be asked, it is only
        warned of that it does not answer. FactoryError.
        """
        from factory_cdk.lifecycle.aws.found import find_on_aws  # noqa: PLC0415 - imports what talks to AWS

        moment, found = self._found.get((home, name), (0.0, None))
        if found is None or time.monotonic() - moment > FRESH_FOR:
            try:
                found = find_on_aws(home, self._search.regions or None, name, self._say, changes=self._search.changes)
            except FactoryError as error:
                if self._search.asked:
                    raise
                self._say(f"warning: AWS could not be asked for {name}: {error.message}")
                if error.remedy:
                    self._say(f"help: {error.remedy}")
                found = []
            self._found[home, name] = time.monotonic(), found
        return found

    def stop(self, factory: Factory, say: Say, *, timeout: float | None = None, cold: bool = False) -> Stopped:
        """See stop.py."""
        from factory_cdk.lifecycle.aws import stop  # noqa: PLC0415

        return stop.stop(factory, say, timeout=timeout, cold=cold)

    def resume(self, factory: Factory, say: Say, environ: Mapping[str, str]) -> Resumed:
        """See resume.py."""
        from factory_cdk.lifecycle.aws import resume  # noqa: PLC0415

        return resume.resume(factory, say, environ)

    def left(self, factory: Factory) -> Left:
        """The jobs in the queues of the stage. FactoryError."""
        from factory_cdk.lifecycle.local.demolish import left  # noqa: PLC0415

        return left(factory)

    def refuse_build(self, factory: str, stage: str, options: BuildOptions) -> None:
        """FactoryError: see deploying.py."""
        _refuse(f"{factory}/{stage}")

    def build(self, design: StageDesign, options: BuildOptions, say: Say) -> Launch | None:
        """FactoryError: see deploying.py."""
        _refuse(f"{design.factory}/{design.stage}")

    def request_update(
        self, design: StageDesign, options: BuildOptions, say: Say, stop: threading.Event, *, pending: bool = False
    ) -> UpdateRequest | None:
        """FactoryError: see deploying.py."""
        _refuse(f"{design.factory}/{design.stage}")

    def await_update(self, request: UpdateRequest, timeout: float | None = None) -> UpdateStatus:
        """FactoryError: see deploying.py."""
        _refuse(request.folder.name)

    def demolish(
        self,
        factory: Factory,
        say: Say,
        agree: Callable[[Left], bool],
        *,
        drain: bool = False,
        timeout: float | None = None,
        cold: bool = False,
    ) -> Demolished:
        """See demolish.py."""
        from factory_cdk.lifecycle.aws import demolish as demolishing  # noqa: PLC0415 - imports what talks to AWS

        return demolishing.demolish(factory, say, agree, drain=drain, timeout=timeout, cold=cold)


def _refuse(name: str) -> NoReturn:
    raise FactoryError(
        f"{name} has aws sectors: it is deployed, not started here", "factory-cdk build, or Factory.build in Python"
    )
