"""What a build and an update are given besides the design of the stage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factory_cdk.queues.opening import SqsLocation
from factory_cdk.state.runner_spec import Timings


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The `home` of what is built here; the file of the `plan`, to be shown; `environ`, from which secrets are taken;
    the runner's `timings`; the folder of `queues` that outlive the stage and that other stages may share, or where they
    are on AWS (None and None: the stage has its own). With `foreground` the runner stays a child of this process and
    ends with it. With `restart` a stage whose runner has ended is started again with the new design, and keeps its
    jobs. With `held` a stage that is built takes no jobs until its gate is opened (`local.backend.open_gate`).
    With `preflight` what a stage needs of an AWS account is looked at before anything is made there.
    """

    home: Path
    plan: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    timings: Timings = field(default_factory=Timings)
    queues: Path | None = None
    aws_queues: SqsLocation | None = None
    foreground: bool = False
    restart: bool = False
    held: bool = False
    preflight: bool = True
