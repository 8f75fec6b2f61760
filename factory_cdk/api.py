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
import time
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING

from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError, Severity
from factory_cdk.home import find_home, make_private, pack_cache
from factory_cdk.plan.load import load_plan, read_plan

if TYPE_CHECKING:
    from factory_cdk.bundle import Bundle
    from factory_cdk.jobs.futures import Follower, JobFuture
    from factory_cdk.plan.model import Json, Plan

__all__ = ["Factory", "Say"]

Say = Callable[[str], None]
"""Takes a line of progress; `print` will do."""


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
        from factory_cdk.compile import stage_bots  # noqa: PLC0415 - 100 ms
        from factory_cdk.pack import lock_path, pack, read_lock, refuse_stale  # noqa: PLC0415

        plan = read_plan(self.plan)
        wanted = stage or self.stage
        bots = stage_bots(plan, wanted) if wanted else tuple(plan.bots.values())
        lock = read_lock(lock_path(plan))
        if locked:
            lock = refuse_stale(lock, plan, bots)
        report = pack(plan, bots, cache=pack_cache(), lock=lock)
        report.refuse_failures()
        return report.bundles

    def build(self, stage: str | None = None, *, locked: bool = False, say: Say | None = None) -> None:
        """Pack, install and start the bots of the stage; returns when every one of them is loaded and takes jobs.

        If one cannot be, nothing is left, unless the plan says `debug: {demolish_on_failure: false}`. The runner lives
        on in the background. `say` gets lines of progress.
        """
        from factory_cdk.compile import compile_packed  # noqa: PLC0415
        from factory_cdk.lifecycle.local.build import BuildOptions, build, refuse_built, refuse_what_cannot_run  # noqa: PLC0415
        from factory_cdk.plan.stage import find_stage  # noqa: PLC0415
        from factory_cdk.state.stage_folder import stage_folder  # noqa: PLC0415

        plan, home = read_plan(self.plan), find_home()
        name = self._stage_name(plan, stage)
        refuse_what_cannot_run(name, find_stage(plan, name).sectors)
        refuse_built(stage_folder(home, plan.name, name))
        make_private(home)
        design = compile_packed(plan, name, cache=pack_cache(), locked=locked)
        build(design, BuildOptions(home, self.plan), say or _no_word)

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
        from factory_cdk.lifecycle.local.drain import drain as empty_queues  # noqa: PLC0415
        from factory_cdk.lifecycle.verbs import Left, demolish, find_any  # noqa: PLC0415

        plan = read_plan(self.plan)
        name = self._stage_name(plan, stage)
        kept: list[Left] = []

        def may_discard(left: Left) -> bool:
            if not discard:
                kept.append(left)
            return discard

        factory = find_any(find_home(), plan.name, name)
        began = time.monotonic()
        if drain:
            empty_queues(factory, say or _no_word, timeout)
        rest = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
        if not demolish(factory, say or _no_word, may_discard, timeout=rest, cold=cold):
            raise FactoryError(
                f"{kept[0]} are left in the queues of {plan.name}/{name}; it goes on",
                "wait until they are done, or demolish with discard=True",
            )

    def _stage_name(self, plan: Plan, stage: str | None) -> str:
        wanted = stage or self.stage
        if wanted is None and len(plan.stages) != 1:
            raise FactoryError(f"{self.plan} has several stages: {', '.join(plan.stages)}", "say which one is meant")
        return wanted or next(iter(plan.stages))

    def _follower(self, stage: str | None) -> Follower:
        from factory_cdk.jobs.futures import Follower  # noqa: PLC0415
        from factory_cdk.lifecycle.verbs import find  # noqa: PLC0415

        if stage not in self._names:
            plan = read_plan(self.plan)
            self._names[stage] = plan.name, self._stage_name(plan, stage)
        factory = find(find_home(), *self._names[stage])
        if factory.spec is None:
            raise FactoryError(f"{factory.folder.name} was never built to the end", "demolish it, or build it again")
        key = (str(factory.folder.path), factory.spec.built_at, os.getpid())  # a fork has none of our threads
        return self._followers.setdefault(key, Follower(factory.folder, factory.spec))


def _no_word(line: str) -> None:
    """No progress."""
