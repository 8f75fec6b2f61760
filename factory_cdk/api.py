"""Factories from Python: the verbs of the command line, for scripts and notebooks.

    from factory_cdk import Factory

    factory = Factory("factory-plan.yml", "test")
    factory.build()
    futures = factory.map("weld", [{"part": number} for number in range(100)])
    results = [future.result() for future in futures]
    factory.demolish()

What is built outlives the program that built it; another one, or the command line, goes on with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING

from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError, Severity
from factory_cdk.home import find_home
from factory_cdk.lifecycle.progress import Say, silent
from factory_cdk.plan.load import load_plan, read_plan
from factory_cdk.plan.model import SectorType

if TYPE_CHECKING:
    from factory_cdk.bundle import Bundle
    from factory_cdk.deploy.secret_store import SecretRow
    from factory_cdk.jobs.futures import Follower, JobFuture
    from factory_cdk.lifecycle.backend import Backends
    from factory_cdk.lifecycle.options import BuildOptions
    from factory_cdk.lifecycle.results import Updated
    from factory_cdk.plan.model import Json, Plan
    from factory_cdk.views.stages import StageDetail, StageRow

__all__ = ["Factory"]


class Factory:
    """The factory that the plan in the file `plan` describes, or one `stage` of it.

    `stage` may be left out when the plan has one stage only, and can be given to every method instead. State is
    kept where the command line keeps it (FACTORY_CDK_HOME). Every method raises FactoryError, whose message and
    remedy are for people, and PlanError, with all diagnostics, for a plan that is refused. The plan is read anew
    by every method but `submit` and `map`, which need its name alone. Several threads may use an object.

    A stage with aws sectors that is not built here is found on AWS, with the credentials that every AWS tool takes
    (AWS_PROFILE); `stop`, `resume`, `info`, `submit`, `map` and
    `demolish` are the same for it.
    """

    def __init__(self, plan: str | PathLike[str], stage: str | None = None) -> None:
        self.plan = os.fspath(plan)
        self.stage = stage
        self._names: dict[str | None, tuple[str, str, bool]] = {}
        self._backends: dict[tuple[str, str], Backends] = {}
        self._followers: dict[tuple[str, float, int], Follower] = {}

    def __repr__(self) -> str:
        return f"Factory({self.plan!r}, {self.stage!r})"

    def validate(self, *, strict: bool = False) -> tuple[Diagnostic, ...]:
        """Check the plan offline; the diagnostics that do not refuse it. PlanError for errors, and with `strict`
        for warnings too.
        """
        loaded = load_plan(self.plan)
        found = loaded.diagnostics
        refused = loaded.plan is None or (strict and any(one.severity is Severity.WARNING for one in found))
        if refused:
            raise PlanError(found)
        return found

    def pack(self, stage: str | None = None, *, locked: bool = False) -> dict[str, Bundle]:
        """Fetch the code of the bots of the stage (of the whole plan when none is named) and lock what they
        require, into the cache; the bundles by the names of the bots. `locked` refuses a plan.lock that does not hold.
        """
        from factory_cdk.lifecycle.packing import pack_bots  # noqa: PLC0415 - 100 ms

        report = pack_bots(read_plan(self.plan), stage or self.stage, locked=locked)
        report.refuse_failures()
        return report.bundles

    def build(self, stage: str | None = None, *, locked: bool = False, say: Say | None = None) -> None:
        """Pack, install and start the bots of the stage; returns when every one of them is loaded and takes jobs.

        If one cannot be, nothing is left, unless the plan says `debug: {demolish_on_failure: false}`. The runner lives
        on in the background. A stage with aws sectors is deployed in all its regions, or brought to what its plan says
        now, all of it or nothing, without asking. `say` gets lines of progress.
        """
        from factory_cdk.lifecycle import building  # noqa: PLC0415

        plan, options = self._to_build()
        name = self._stage_name(plan, stage)
        if building.is_on_aws(plan, name):
            building.deploy(plan, name, options, lambda change: True, say or silent, locked=locked)
        else:
            building.build(plan, name, options, say or silent, locked=locked)

    def update(
        self,
        stage: str | None = None,
        *,
        locked: bool = False,
        timeout: float | None = None,
        say: Say | None = None,
    ) -> Updated:
        """Bring the stage, which goes on working, to what the plan and the code of its bots are now; returns when new
        workers have taken over, and says of which bots. Jobs in hand are finished by the workers from before.

        FactoryError, and the stage runs as before, when a bot cannot be loaded, or when more was changed than code and
        arguments of bots: that needs a new build. So it is after `timeout` seconds, but that the update goes on. A
        stage with aws sectors is updated by `build`.
        """
        from factory_cdk.lifecycle import building  # noqa: PLC0415

        plan, options = self._to_build()
        name = self._stage_name(plan, stage)
        return building.update(plan, name, options, say or silent, locked=locked, timeout=timeout)

    def stop(
        self,
        stage: str | None = None,
        *,
        cold: bool = False,
        timeout: float | None = None,
        say: Say | None = None,
    ) -> None:
        """Let the bots of the stage take no more jobs, in the order of the workflow; returns when the jobs in hand are
        finished. `cold` puts these back instead and ends the runner. FactoryError, and the stage goes on stopping,
        when it takes longer than `timeout` seconds.
        """
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415

        name, wanted, on_aws = self._names_of(stage)
        backends = self._backends_of(name, wanted, on_aws=on_aws, say=say)
        verbs.stop(find_home(), name, wanted, say or silent, timeout=timeout, cold=cold, backends=backends)

    def resume(self, stage: str | None = None, *, say: Say | None = None) -> None:
        """Let the bots of the stage take jobs again, those with `stop: true` included; start the runner again when it
        has ended.
        """
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415

        name, wanted, on_aws = self._names_of(stage)
        backends = self._backends_of(name, wanted, on_aws=on_aws, say=say)
        verbs.resume(find_home(), name, wanted, say or silent, backends=backends)

    def info(self, stage: str | None = None) -> StageDetail:
        """How the stage is that was built: its state, its bots, what is in their queues, where its files are."""
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415
        from factory_cdk.lifecycle.instances import runners_of  # noqa: PLC0415
        from factory_cdk.views.stages import stage_detail  # noqa: PLC0415

        name, wanted, on_aws = self._names_of(stage)
        found = verbs.find_any(find_home(), name, wanted, backends=self._backends_of(name, wanted, on_aws=on_aws))
        return stage_detail(found, runners_of(found))

    def stages(self) -> list[StageRow]:
        """The stages of this factory that are built here, whatever stage this object is for, and those on AWS where
        its plan has some and credentials seem to be configured.
        """
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415
        from factory_cdk.lifecycle.aws.search import AwsSearch, may_have_credentials  # noqa: PLC0415
        from factory_cdk.lifecycle.backend import backends_for  # noqa: PLC0415
        from factory_cdk.views.stages import stage_row  # noqa: PLC0415

        plan = read_plan(self.plan)
        asks = any(_is_on_aws(plan, stage) for stage in plan.stages) and may_have_credentials()
        backends = backends_for(find_home(), AwsSearch(asked=asks), None, None, silent)
        return [stage_row(one) for one in verbs.matches(find_home(), plan.name, backends=backends)]

    def secrets_put(
        self,
        stage: str | None = None,
        *,
        sector: str | None = None,
        bot: str | None = None,
        values: Mapping[str, str] | None = None,
        region: str | None = None,
    ) -> list[SecretRow]:
        """Write the values of the secrets that the stage's templates created on AWS, where they differ from what is
        there: from where the plan says, or `values` by their keys. Nothing is written while a value is missing.
        FactoryError. No value is in what is returned; a secret that is not there yet has the state `missing`.
        """
        from factory_cdk.lifecycle.secrets import put_secrets  # noqa: PLC0415

        plan = read_plan(self.plan)
        text = None if values is None else json.dumps(dict(values))
        return put_secrets(plan, self._stage_name(plan, stage), sector, bot, region=region, values=text)

    def secrets_check(
        self,
        stage: str | None = None,
        *,
        sector: str | None = None,
        bot: str | None = None,
        region: str | None = None,
    ) -> list[SecretRow]:
        """The state of each secret that bots of the stage read on AWS, without its value. FactoryError."""
        from factory_cdk.lifecycle.secrets import check_secrets  # noqa: PLC0415

        plan = read_plan(self.plan)
        return check_secrets(plan, self._stage_name(plan, stage), sector, bot, region=region)

    def submit(
        self, bot: str, payload: Json, *, tags: Mapping[str, str] | None = None, stage: str | None = None
    ) -> JobFuture:
        """Put one job on the queue of `bot`; returns when it is on disk.

        The future (a concurrent.futures.Future) is done when the job, and all that follows from it along the
        workflow, is final: see JobFuture. FactoryError, and nothing submitted, when the stage is not built or its
        runner does not run.
        """
        (future,) = self.map(bot, [payload], tags=tags, stage=stage)
        return future

    def map(
        self,
        bot: str,
        payloads: Iterable[Json],
        *,
        tags: Mapping[str, str] | None = None,
        stage: str | None = None,
    ) -> list[JobFuture]:
        """Put one job for each of `payloads` on the queue of `bot`, in one go and as one run; returns when all are
        on disk. The futures are in the order of the payloads: see `submit`.
        """
        return self._follower(stage).submit(bot, payloads, tags)

    def demolish(
        self,
        stage: str | None = None,
        *,
        drain: bool = False,
        cold: bool = False,
        timeout: float | None = None,
        discard: bool = False,
        say: Say | None = None,
    ) -> None:
        """Finish the jobs in hand, bot after bot along the workflow, end the stage and delete its state.

        `drain` lets the bots work on first until their queues are empty; `cold` puts the jobs in hand back instead of
        finishing them. FactoryError, and the stage goes on, when it takes longer than `timeout` seconds, or when jobs
        or dead letters are left and `discard` is False.
        """
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415

        name, wanted, on_aws = self._names_of(stage)
        found = verbs.demolish(
            find_home(),
            name,
            wanted,
            say or silent,
            lambda left: discard,
            drain=drain,
            timeout=timeout,
            cold=cold,
            backends=self._backends_of(name, wanted, on_aws=on_aws, say=say, changes=True),
        )
        if not found.gone:
            raise FactoryError(
                f"{found.left} are left in the queues of {found.stage}; it goes on",
                "wait until they are done, or demolish with discard=True",
            )

    def _stage_name(self, plan: Plan, stage: str | None) -> str:
        wanted = stage or self.stage
        if wanted is None and len(plan.stages) != 1:
            raise FactoryError(f"{self.plan} has several stages: {', '.join(plan.stages)}", "say which one is meant")
        return wanted or next(iter(plan.stages))

    def _names_of(self, stage: str | None) -> tuple[str, str, bool]:
        """The names of the factory and of the stage, as the plan has them now, and whether that has aws sectors."""
        plan = read_plan(self.plan)
        name = self._stage_name(plan, stage)
        return plan.name, name, _is_on_aws(plan, name)

    def _backends_of(
        self, name: str, stage: str, *, on_aws: bool, say: Say | None = None, changes: bool = False
    ) -> Backends:
        """Where the stage is looked for: AWS is not asked for one without aws sectors, nor for one that is built here.
        What it answers is remembered for a minute, but by who `changes` the stage.
        """
        from factory_cdk.lifecycle.aws.search import AwsSearch  # noqa: PLC0415
        from factory_cdk.lifecycle.backend import BACKENDS, backends_for  # noqa: PLC0415

        search = AwsSearch(changes=changes)
        found = backends_for(find_home(), search, name, stage, say or silent) if on_aws else BACKENDS
        return found if found is BACKENDS or changes else self._backends.setdefault((name, stage), found)

    def _to_build(self) -> tuple[Plan, BuildOptions]:
        from factory_cdk.lifecycle.options import BuildOptions  # noqa: PLC0415

        return read_plan(self.plan), BuildOptions(find_home(), self.plan)

    def _follower(self, stage: str | None) -> Follower:
        from factory_cdk.jobs.futures import Follower  # noqa: PLC0415
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415
        from factory_cdk.lifecycle.aws.preconditions import whole_spec_of_built  # noqa: PLC0415
        from factory_cdk.lifecycle.instances import liveness  # noqa: PLC0415

        if stage not in self._names:
            self._names[stage] = self._names_of(stage)
        name, wanted, on_aws = self._names[stage]
        factory = verbs.find(find_home(), name, wanted, backends=self._backends_of(name, wanted, on_aws=on_aws))
        spec = whole_spec_of_built(factory)
        key = (str(factory.folder.path), spec.built_at, os.getpid())  # a fork has none of our threads
        known = self._followers.get(key)
        if known is None or known.spec != spec:  # on AWS another release may be installed meanwhile
            known = self._followers[key] = Follower(factory.folder, spec, liveness(factory))
        return known


def _is_on_aws(plan: Plan, stage: str) -> bool:
    """Whether `stage` of `plan` has aws sectors; False for one that the plan does not have."""
    found = plan.stages.get(stage)
    return found is not None and any(sector.type is SectorType.AWS for sector in found.sectors)
