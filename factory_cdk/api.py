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

import os
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING

from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError, Severity
from factory_cdk.home import find_home
from factory_cdk.lifecycle.progress import Say, silent
from factory_cdk.plan.load import load_plan, read_plan

if TYPE_CHECKING:
    from factory_cdk.bundle import Bundle
    from factory_cdk.jobs.futures import Follower, JobFuture
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
    """

    def __init__(self, plan: str | PathLike[str], stage: str | None = None) -> None:
        self.plan = os.fspath(plan)
        self.stage = stage
        self._names: dict[str | None, tuple[str, str]] = {}
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
        on in the background. `say` gets lines of progress.
        """
        from factory_cdk.lifecycle import building  # noqa: PLC0415

        plan, options = self._to_build()
        building.build(plan, self._stage_name(plan, stage), options, say or silent, locked=locked)

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
        arguments of bots: that needs a new build. So it is after `timeout` seconds, but that the update goes on.
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

        verbs.stop(find_home(), *self._names_of(stage), say or silent, timeout=timeout, cold=cold)

    def resume(self, stage: str | None = None, *, say: Say | None = None) -> None:
        """Let the bots of the stage take jobs again, those with `stop: true` included; start the runner again when it
        has ended.
        """
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415

        verbs.resume(find_home(), *self._names_of(stage), say or silent)

    def info(self, stage: str | None = None) -> StageDetail:
        """How the stage is that was built: its state, its bots, what is in their queues, where its files are."""
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415
        from factory_cdk.lifecycle.instances import runners_of  # noqa: PLC0415
        from factory_cdk.views.stages import stage_detail  # noqa: PLC0415

        found = verbs.find_any(find_home(), *self._names_of(stage))
        return stage_detail(found, runners_of(found))

    def stages(self) -> list[StageRow]:
        """The stages of this factory that are built, whatever stage this object is for."""
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415
        from factory_cdk.views.stages import stage_row  # noqa: PLC0415

        return [stage_row(one) for one in verbs.matches(find_home(), read_plan(self.plan).name)]

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

        names = self._names_of(stage)
        found = verbs.demolish(
            find_home(), *names, say or silent, lambda left: discard, drain=drain, timeout=timeout, cold=cold
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

    def _names_of(self, stage: str | None) -> tuple[str, str]:
        """The names of the factory and of the stage, as the plan has them now."""
        plan = read_plan(self.plan)
        return plan.name, self._stage_name(plan, stage)

    def _to_build(self) -> tuple[Plan, BuildOptions]:
        from factory_cdk.lifecycle.options import BuildOptions  # noqa: PLC0415

        return read_plan(self.plan), BuildOptions(find_home(), self.plan)

    def _follower(self, stage: str | None) -> Follower:
        from factory_cdk.jobs.futures import Follower  # noqa: PLC0415
        from factory_cdk.lifecycle import verbs  # noqa: PLC0415
        from factory_cdk.lifecycle.local.preconditions import spec_of_built  # noqa: PLC0415

        if stage not in self._names:
            self._names[stage] = self._names_of(stage)
        factory = verbs.find(find_home(), *self._names[stage])
        spec = spec_of_built(factory)
        key = (str(factory.folder.path), spec.built_at, os.getpid())  # a fork has none of our threads
        return self._followers.setdefault(key, Follower(factory.folder, spec))
