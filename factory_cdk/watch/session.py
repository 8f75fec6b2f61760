"""Watching: while its code is edited a stage runs what was saved last, or, if that is broken, what it ran before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.bundle import Bundle, kind_of, origin_of
from factory_cdk.compile import compile_stage, stage_bots, stage_lock
from factory_cdk.diagnostics import FactoryError, PlanError
from factory_cdk.home import make_private
from factory_cdk.lifecycle.backend import backend_for
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.pack.command import Stopped
from factory_cdk.pack.packing import pack
from factory_cdk.pack.report import Progress
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Bot, PathSource, Plan
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.state.stages import find
from factory_cdk.state.status import read_status
from factory_cdk.watch.file_watcher import Changes, FileWatcher
from factory_cdk.watch.pending import UNCHANGED, PendingUpdate
from factory_cdk.watch.superseded import Superseded

CLEANUP_EVERY = 1.0
"""Seconds between two looks whether the last workers of superseded code have left."""


@dataclass(frozen=True, slots=True)
class WatchedStage:
    """The `stage` of the plan in `file` that is watched, designed for `region`, with its plan.lock `locked` or not; the
    `cache` of bundles.
    """

    file: str
    stage: str
    cache: Path
    region: str | None = None
    locked: bool = False

    def bots(self, plan: Plan) -> tuple[Bot, ...]:
        """The bots of the stage."""
        return stage_bots(plan, self.stage)


class Watch:
    """Watches the sources of a stage from the moment it is made, so that nothing is missed that is saved while the
    stage is built; `run` then reloads what changes until `stop` is set. FactoryError when there is nothing to watch.

    `say` gets lines of progress, `fail` what was not reloaded and why.
    """

    def __init__(
        self,
        watched: WatchedStage,
        plan: Plan,
        options: BuildOptions,
        stop: threading.Event,
        say: Say,
        fail: Callable[[FactoryError], None],
    ) -> None:
        self._watched, self._plan, self._options, self._stop = watched, plan, options, stop
        self._say, self._fail = say, fail
        self._folder = stage_folder(options.home, plan.name, watched.stage)
        if not any(isinstance(bot.source, PathSource) for bot in watched.bots(plan)):
            raise FactoryError(
                f"no bot of {self._folder.name} has its code in a folder: there is nothing to watch",
                "build without --watch, or give a bot `source: {path: …}`",
            )
        make_private(options.home)  # a folder that is not there yet lies in no source
        self._watcher = self._new_watcher(plan)
        if source := self._watcher.source_with(options.home):
            raise FactoryError(
                f"the state of factories, {options.home}, lies in {source.path}, and would be packed with it",
                "leave it out with a line in .gitignore or .factoryignore, or set FACTORY_CDK_HOME to another folder",
            )
        self._bundles: dict[str, Bundle] = {}
        self._unpacked: set[str] = set()
        """Bots whose code was changed, and is in no bundle of `_bundles`."""
        self._pending: PendingUpdate | None = None
        self._superseded = Superseded(options.home, watched.cache)
        self._cleanup_at: float | None = None

    def run(self, bundles: Mapping[str, Bundle]) -> None:
        """Reload until told to stop, or until there is nothing any more that could be reloaded; the bots run `bundles`
        at first. FactoryError when files cannot be watched.
        """
        self._bundles = dict(bundles)
        found = find(self._options.home, self._folder.factory, self._folder.stage)
        self._superseded.add(found.spec.pool_specs if found.spec else ())
        self._say_what_is_watched()
        while not self._stop.is_set():
            watcher = self._watcher
            for changed in watcher.changes():
                if changed:
                    self._apply(changed)
                if self._pending:
                    self._look_at_pending(self._pending)
                elif self._cleanup_at is not None and time.monotonic() >= self._cleanup_at:
                    self._clean_up()
                if self._watcher is not watcher:  # the plan names other folders now
                    break
        self._bundles = {}
        self._clear()

    def _new_watcher(self, plan: Plan) -> FileWatcher:
        sources = [bot.source for bot in self._watched.bots(plan) if isinstance(bot.source, PathSource)]
        return FileWatcher(dict.fromkeys(sources), [Path(self._watched.file).absolute()], self._stop, self._say)

    def _say_what_is_watched(self) -> None:
        bots = self._watched.bots(self._plan)
        named = [bot.name for bot in bots if isinstance(bot.source, PathSource)]
        how = " (every second, for want of events)" if self._watcher.polls else ""
        self._say(f"watching the code of {', '.join(named)}{how}; a save reloads, Ctrl-C stops the factory")
        others = [f"{bot.name} ({kind_of(bot.source)})" for bot in bots if not isinstance(bot.source, PathSource)]
        if others:
            self._say(f"not watched: {', '.join(others)}")

    def _apply(self, changed: Changes) -> None:
        """Pack what changed and ask the runner for it."""
        try:
            plan, watcher = self._plan, self._watcher
            if any(isinstance(one, Path) for one in changed):
                plan = self._plan_as_saved()
                watcher = self._new_watcher(plan)  # before anything is read: it misses nothing that is saved meanwhile
            self._reload(plan, changed)
            if plan != self._plan:
                self._plan, self._watcher = plan, watcher
        except Stopped:
            return
        except PlanError as error:
            self._fail(error)
            self._say(f"the plan is not applied; {UNCHANGED}")
        except FactoryError as error:
            remedy = f"{error.remedy}; {UNCHANGED}" if error.remedy else UNCHANGED
            self._fail(FactoryError(f"not reloaded: {error.message}", remedy))

    def _plan_as_saved(self) -> Plan:
        """The plan as it is in its file now. FactoryError when it is refused."""
        plan = read_plan(self._watched.file)
        if plan.name != self._plan.name:
            raise FactoryError(
                f"the plan names another factory now, {plan.name}", "build that one, or give the plan its name back"
            )
        self._watched.bots(plan)
        return plan

    def _is_to_be_packed(self, bot: Bot, changed: Changes) -> bool:
        saved = isinstance(bot.source, PathSource) and bot.source in changed
        return saved or bot.name in self._unpacked or bot != self._plan.bots.get(bot.name)

    def _reload(self, plan: Plan, changed: Changes) -> None:
        watched = self._watched
        bots = [bot for bot in watched.bots(plan) if self._is_to_be_packed(bot, changed)]
        what = [
            f"{origin_of(one)} changed{_some(names)}" if isinstance(one, PathSource) else f"{watched.file} changed"
            for one, names in changed.items()
        ]
        packed = ", ".join(bot.name for bot in bots)
        self._say(", ".join(what) + (f": packing {packed}" if packed else ""))
        lock = stage_lock(plan, watched.stage, locked=watched.locked)
        self._unpacked.update(bot.name for bot in bots)
        report = pack(plan, bots, cache=watched.cache, on_progress=self._say_long, lock=lock, stop=self._stop)
        for made in report.bots:
            for note in made.notes:
                self._say(f"warning: {made.bot}: {note}")
        report.refuse_failures()
        bundles = {**self._bundles, **report.bundles}
        design = compile_stage(plan, watched.stage, bundles=bundles, lock=lock, region=watched.region)
        backend = backend_for(watched.stage, design.sectors)
        is_pending = self._pending is not None
        request = backend.request_update(design, self._options, self._say, self._stop, pending=is_pending)
        self._bundles, self._unpacked = bundles, set()
        if request is None:
            self._say("nothing to reload: the saved code runs already")
            return
        self._superseded.add(request.pool_specs)
        self._pending = PendingUpdate(request, self._say, self._fail)

    def _say_long(self, progress: Progress) -> None:
        """Say the steps of packing that may take long, since others are asked."""
        if progress.step in ("asking", "fetching", "locking"):
            self._say(f"{progress.bot}: {progress.step} {progress.detail}")

    def _look_at_pending(self, pending: PendingUpdate) -> None:
        if pending.is_decided():
            self._pending, self._cleanup_at = None, time.monotonic()

    def _clean_up(self) -> None:
        """Remove what nothing runs any more, once the workers of the code from before have left."""
        status = read_status(self._folder)
        if status is None or any(worker.state == "stopping" for worker in status.workers):
            self._cleanup_at = time.monotonic() + CLEANUP_EVERY
            return
        self._cleanup_at = None
        self._clear()

    def _clear(self) -> None:
        """Remove what no stage runs; what could not be loaded is asked for again by the next save of another bot."""
        try:
            self._superseded.clear({bundle.digest for bundle in self._bundles.values()})
        except FactoryError as error:
            self._say(f"warning: what was superseded could not be removed: {error.message}")


def _some(names: Collection[str]) -> str:
    """One of the files that changed, and how many others did."""
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f" ({min(names)}{more})"
