"""The places where the sectors of a stage can run, and what the verbs need of each: this machine, and AWS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.aws.backend import AwsBackend
from factory_cdk.lifecycle.aws.search import AwsSearch, may_have_credentials
from factory_cdk.lifecycle.local import backend as local
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Demolished, Left, Resumed, Stopped
from factory_cdk.plan.model import Sector, SectorType
from factory_cdk.state.stage_folder import stage_folders
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import UpdateStatus

if TYPE_CHECKING:
    from factory_cdk.design.model import SectorDesign, StageDesign
    from factory_cdk.lifecycle.local.update import UpdateRequest
    from factory_cdk.lifecycle.options import BuildOptions
    from factory_cdk.runner.launch import Launch


class Backend(Protocol):
    """The lifecycle of stages in one place. Every method raises FactoryError; what it says then is true afterwards."""

    def refuse_build(self, factory: str, stage: str, options: BuildOptions) -> None:
        """FactoryError when the stage cannot be built because it is there already."""

    def build(self, design: StageDesign, options: BuildOptions, say: Say) -> Launch | None:
        """Install and start the stage, whose bots are packed; returns when every bot takes jobs, and leaves nothing
        when one cannot be started. The runner is returned when it runs in the foreground.
        """

    def request_update(
        self, design: StageDesign, options: BuildOptions, say: Say, stop: threading.Event, *, pending: bool = False
    ) -> UpdateRequest | None:
        """Install what `design` needs and ask for a rolling update; None when `design` is what runs and no other update
        is `pending`.
        """

    def await_update(self, request: UpdateRequest, timeout: float | None = None) -> UpdateStatus:
        """What became of an update, once that is decided."""

    def built(self, home: Path, name: str | None = None) -> list[Factory]:
        """The stages that are built there, of the factory `name` if given."""

    def stop(self, factory: Factory, say: Say, *, timeout: float | None = None, cold: bool = False) -> Stopped:
        """Take no more jobs; returns when none is in hand."""

    def resume(self, factory: Factory, say: Say, environ: Mapping[str, str]) -> Resumed:
        """Take jobs again."""

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
        """End the stage and delete it; `agree` is asked when jobs are left."""

    def left(self, factory: Factory) -> Left:
        """The jobs that would be deleted with the stage."""


Backends = Mapping[SectorType, Backend]

BACKENDS: Backends = {SectorType.LOCAL: local}
"""Where stages can be built."""


def backends_for(home: Path, search: AwsSearch, name: str | None, stage: str | None, say: Say) -> Backends:
    """Where a command looks for stages: this machine, and AWS where `search` tells to, or where nothing of that `name`
    and `stage` is built under `home` and there may be credentials. `say` is warned of what AWS does not answer.
    """
    asks = search.asked
    if not asks and name is not None:
        asks = not any(stage in (None, one.stage) for one in stage_folders(home, name)) and may_have_credentials()
    return {**BACKENDS, SectorType.AWS: AwsBackend(search, say)} if asks else BACKENDS


def operator_of(backend: Backend, factory: Factory, say: Say) -> Backend:
    """The backend that stops and resumes `factory`, which `backend` has found: that of AWS for a stage with sectors on
    both sides, which reaches the local ones, too.
    """
    return AwsBackend(AwsSearch(), say) if backend is local and factory.instances is not None else backend


def backend_for(stage: str, sectors: Iterable[Sector | SectorDesign], backends: Backends = BACKENDS) -> Backend:
    """The backend that runs a stage with these sectors: that of AWS as soon as one of them is there. FactoryError when
    there is none for it.
    """
    aws = [sector.name for sector in sectors if sector.type is SectorType.AWS]
    backend = backends.get(SectorType.AWS if aws else SectorType.LOCAL)
    if backend is None:
        raise FactoryError(
            f"{', '.join(aws)} of stage {stage} run on AWS: it is deployed, not started here",
            "factory-cdk build, or Factory.build in Python",
        )
    return backend
