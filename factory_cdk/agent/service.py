"""The agent, put together: what follows AWS, and one runner after the other, on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory_cdk.agent.aws import Aws
from factory_cdk.agent.child import Children
from factory_cdk.agent.cleaning import WorkersAtWork, clean_up
from factory_cdk.agent.credentials import BotCredentials, role_session
from factory_cdk.agent.folder import AgentFolder, agent_folder
from factory_cdk.agent.following import EVERY, Followed, Follower, reader
from factory_cdk.agent.gate import GateRequests
from factory_cdk.agent.installing import install
from factory_cdk.agent.locations import queue_location
from factory_cdk.agent.logs import CloudWatchStream, LogShipper, SpooledLogs
from factory_cdk.agent.metadata import Metadata, MetadataError
from factory_cdk.agent.presence import SpotPresence
from factory_cdk.agent.release import InstalledRelease, ReleasePointer, read_installed, write_installed
from factory_cdk.agent.releases import Releases
from factory_cdk.agent.restarts import restart_of, restarted
from factory_cdk.agent.secrets import SecretsManagerValues, secret_reader
from factory_cdk.agent.sector import InstanceSector, read_sector
from factory_cdk.agent.session import Locate, RunnerSession, Surroundings
from factory_cdk.agent.specs import ReleaseSpecs
from factory_cdk.agent.status import RunnerIdentity, StatusTable, item_writer
from factory_cdk.agent.trial import try_loading
from factory_cdk.agent.users import BotUsers, refuse_without_tools
from factory_cdk.agent.wait_handle import WaitHandles
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import make_private
from factory_cdk.runner.guardian import Guardian, guard
from factory_cdk.runner.process import start_worker
from factory_cdk.state.locks import holding, take_lock
from factory_cdk.state.logs import RUNNER, ProcessLog
from factory_cdk.state.runner_spec import LEASE_ON_AWS, RunnerSpec, Timings
from factory_cdk.state.secrets import shut_memory
from factory_cdk.state.spec_changes import unsupported_change
from factory_cdk.state.status import Status

LOCK_PATIENCE = 3.0
METADATA_PAUSE, METADATA_LOOKS = 2.0, 30
"""Seconds between two looks for the instance's id, and how many there are."""

START_PAUSE = 5.0
"""Seconds before a runner is started again that could not be."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """How an agent runs, but for tests the same on every instance: where the queues of a release are, the runner's
    times, how often the release is read, in
    seconds, and whether bots have users of their own.
    """

    locate: Locate = queue_location
    timings: Timings = field(default_factory=lambda: Timings(lease_most=LEASE_ON_AWS))
    every: float = EVERY
    own_users: bool = True


def serve(root: Path, options: AgentOptions) -> None:
    """Be the agent of the instance whose files are in `root`, until it is ended. FactoryError."""
    sector, folder = read_sector(root), agent_folder(root)
    if options.own_users:
        refuse_without_tools()
    shut_memory()
    guardian = guard(pass_on=True)  # forks: before the lock is taken
    make_private(folder.home)
    lock = take_lock(folder.lock, wait=LOCK_PATIENCE)
    if lock is None:
        raise FactoryError(f"{folder.home} has an agent already", "end that one first")
    with holding(lock):
        asyncio.run(_run(root, sector, folder, options, guardian))
        guardian.dismiss()


async def _run(
    root: Path, sector: InstanceSector, folder: AgentFolder, options: AgentOptions, guardian: Guardian
) -> None:
    await Agent(root, sector, folder, options, guardian).run()


class Agent:
    """The agent of `sector`, whose state is in `folder`."""

    def __init__(
        self, root: Path, sector: InstanceSector, folder: AgentFolder, options: AgentOptions, guardian: Guardian
    ) -> None:
        self._sector, self._folder, self._options = sector, folder, options
        self._aws, self._metadata = Aws(sector.region), Metadata()
        self._shipper: LogShipper | None = None
        self._logs = SpooledLogs(folder.spool, self._tell_shipper)
        self._log = ProcessLog(RUNNER, self._logs)
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._gate = GateRequests(folder.home / "gate.json", self._changed.set)
        self._secrets = SecretsManagerValues(secret_reader(self._aws), self._say)
        self._credentials = BotCredentials(role_session(self._aws), self._say_from_thread)
        self._presence = SpotPresence(self._metadata.get, self._say, lambda: self._gate.end("cold"))
        self._children = Children(root, guardian, self._say)
        self._at_work = WorkersAtWork(BotUsers(folder.users).start if options.own_users else start_worker)
        self._around = Surroundings(
            self._gate, self._secrets, self, self._logs, self._presence, guardian, options.locate, self._at_work.start
        )
        self._to_run: InstalledRelease | None = None
        self._started_from: InstalledRelease | None = None
        self._session: RunnerSession | None = None
        self._stopping = asyncio.Event()
        self._status: Status | None = None
        self._table: StatusTable | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._instance_id = ""
        self._restarting = ""
        self._fault: BaseException | None = None

    async def run(self) -> None:
        """Follow the stage and run its bots until this process is told to end. FactoryError."""
        self._hear_signals()
        tasks = [self._task(self._presence.follow())]
        try:
            self._instance_id = await self._instance()
            self._ship_logs()
            handles = WaitHandles(self._folder.signalled, self._instance_id)
            releases = Releases(self._install, self, handles, self._say, self._secrets.masked, self._clean_up)
            self._releases = releases
            self._to_run = read_installed(self._folder.installed)
            read = reader(self._aws, self._sector)
            follower = Follower(
                lambda: asyncio.to_thread(read), self._take, self._say, random.random, every=self._options.every
            )
            tasks += [self._task(follower.follow()), self._task(self._secrets.follow(self._present_spec))]
            await self._run_runners()
            await releases.end()
            if self._fault is not None:
                raise self._fault
        finally:
            if self._table is not None:
                await self._table.write()
            for task in (*tasks, *filter(None, [self._publishing])):
                task.cancel()
            self._credentials.close()
            self._logs.close()
            if self._shipper is not None:
                await asyncio.to_thread(self._shipper.end)

    # What others see of it

    def publish(self, status: Status) -> None:
        """The runner's status (a StatusSink)."""
        if self._status is None or self._status.gate != status.gate:
            self._say(f"the gate is {status.gate}")
        self._status = status
        if self._table is not None:
            self._table.publish(status)

    def _say(self, text: str, severity: str = "INFO") -> None:
        self._log.say(f"agent: {text}", severity)

    def _say_from_thread(self, text: str, severity: str) -> None:
        self._loop.call_soon_threadsafe(self._say, text, severity)

    def _tell_shipper(self) -> None:
        if self._shipper is not None:
            self._shipper.tell()

    def _ship_logs(self) -> None:
        stream = CloudWatchStream(self._aws, self._sector.log_group, self._instance_id)
        self._shipper = LogShipper(self._folder.spool, stream, self._say_from_thread)
        self._shipper.start()
        self._shipper.tell()

    # What follows AWS

    def _take(self, followed: Followed) -> None:
        """The release and the gate were read."""
        try:
            self._gate.take(followed)
        except FactoryError as error:
            self._say(f"the gate cannot be kept: {error.message}", "ERROR")
        self._restart_if_asked()
        work = self._releases.take(followed.release)
        if work is not None:
            work.add_done_callback(self._check)

    async def _instance(self) -> str:
        """The id of this instance."""
        for _ in range(METADATA_LOOKS):
            with contextlib.suppress(MetadataError):
                found = await asyncio.to_thread(self._metadata.get, "instance-id")
                if found:
                    return found
            await asyncio.sleep(METADATA_PAUSE)
        raise FactoryError("the metadata service does not say which instance this is", "see that it is enabled")

    def _restart_if_asked(self) -> None:
        """Have all workers replaced, with the present values of secrets, when the gate asks for another restart."""
        session = self._session
        wanted = self._wanted_restart()
        if session is None or wanted in ("", restart_of(session.specs.present), self._restarting):
            return
        self._restarting = wanted
        self._task(self._restart(session, wanted))

    async def _restart(self, session: RunnerSession, restart: str) -> None:
        try:
            await self._secrets.refresh(session.specs.present.spec)
            await session.loaded()
            await session.change_to(f"restart {restart}", restarted(session.specs.present, restart))
        except FactoryError as error:
            self._say(f"the workers could not be restarted: {self._secrets.masked(error.message)}", "ERROR")

    def _wanted_restart(self) -> str:
        try:
            return self._gate.present.restart
        except FactoryError:
            return ""

    def _present_spec(self) -> RunnerSpec | None:
        present = self.present
        return present.spec if present else None

    # The runner, as far as releases are concerned

    @property
    def present(self) -> InstalledRelease | None:
        """The release that runs, or that is about to."""
        return self._session.specs.present if self._session else self._to_run

    async def _install(self, pointer: ReleasePointer) -> InstalledRelease:
        options = self._options
        return await install(self._children, pointer, options.timings, own_users=options.own_users)

    async def _clean_up(self, still: Callable[[], bool]) -> None:
        """Delete what releases have left that are neither present nor the one before, unless workers run from it."""
        # The runner of the present release may still be finishing what it has in hand, before the next one begins.
        following = self._to_run if self._to_run is not self._started_from else None
        releases = (self.present, following, read_installed(self._folder.previous))
        kept = [one for one in releases if one is not None]
        if not kept:
            return
        try:
            removed = await asyncio.to_thread(clean_up, self._folder, kept, self._at_work.specs(), still)
        except (FactoryError, OSError) as error:
            self._say(f"what earlier releases have left cannot be deleted: {error}", "WARNING")
            return
        if removed:
            self._say(f"deleted what earlier releases have left (bundles, environments, archives: {removed})", "INFO")

    async def loaded(self) -> None:
        """Return once all bots of the present release are loaded. LoadingFailedError."""
        while (session := self._session) is None:
            await self._next_change()
        await session.loaded()

    async def change_to(self, installed: InstalledRelease) -> None:
        """Run `installed` from now on. LoadingFailedError."""
        before = self.present
        await self._change_to(installed)
        if before is not None and before.sha256 != installed.sha256:
            try:
                write_installed(self._folder.previous, before)
            except FactoryError as error:
                self._say(f"the release before cannot be kept: {error.message}", "WARNING")

    async def _change_to(self, installed: InstalledRelease) -> None:
        if self._session is None:
            self._publish_in(installed)
        await self._secrets.wait(installed.spec)
        self._secrets.add(self._credentials.variables(installed, self._sector))
        restart = restart_of(self.present) if self.present else ""
        installed = restarted(installed, self._wanted_restart() or restart)
        session = self._session
        if session is None:
            self._start_from(installed)
            await self.loaded()
            return
        present = session.specs.present
        reason = unsupported_change(present.spec, installed.spec)
        if reason is None and (present.routes, present.stores) != (installed.routes, installed.stores):
            reason = "the routes changed"
        if reason is None:
            await session.change_to(installed.sha256, installed)
            return
        self._say(f"{reason}: all bots are started anew once what they have in hand is done", "INFO")
        credentials = self._credentials.variables(installed, self._sector)
        await try_loading(self._children, present.spec, installed.spec, credentials, own_users=self._options.own_users)
        self._start_from(installed)
        self._gate.end("warm")

    def _start_from(self, installed: InstalledRelease) -> None:
        """The next runner runs `installed`."""
        write_installed(self._folder.installed, installed)
        self._to_run = installed
        self._changed.set()

    # Runners

    async def _run_runners(self) -> None:
        """One runner after the other, until there is to be none any more."""
        while not self._stopping.is_set() and self._presence.why_gone() is None:
            installed = self._to_run
            if installed is None or self._ends():
                await self._next_change()
                continue
            self._publish_in(installed)
            if not await self._unless_stopping(self._secrets.wait(installed.spec)):
                continue
            self._secrets.add(self._credentials.variables(installed, self._sector))
            specs = ReleaseSpecs(self._folder.installed, installed, self._gate.tell)
            self._session, self._started_from = RunnerSession(specs, self._around), installed
            self._changed.set()
            try:
                await self._session.run()
            except FactoryError as error:
                self._say(f"{error.message}; starting again", "ERROR")
                await self._pause_before_start()
                continue
            finally:
                self._session = None
                self._hear_signals()
            if self._to_run is installed:
                self._to_run = specs.present
                if not self._ends():
                    return  # a signal, or damaged queues
            self._gate.end(None)

    def _publish_in(self, installed: InstalledRelease) -> None:
        """Publish the status in the table of `installed`, if its stage has one."""
        if self._publishing is not None:
            self._publishing.cancel()
            self._publishing = self._table = None
        name = installed.stores.get("history")
        if name is None:
            return
        region = installed.routes["region"]
        identity = RunnerIdentity(self._sector.sector, self._sector.region, self._instance_id)
        self._table = StatusTable(
            identity, item_writer(self._aws, region, name), self._say, self._waiting_for, random.random
        )
        self._publishing = self._task(self._table.follow())

    def _waiting_for(self) -> str | None:
        return self._secrets.waiting_for

    async def _unless_stopping(self, work: Coroutine[Any, Any, object]) -> bool:
        """Whether `work` came to its end before this process was told to end. What `work` raises."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return True
            return False
        finally:
            for one in (working, stopping):
                one.cancel()

    async def _pause_before_start(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), START_PAUSE)

    def _ends(self) -> bool:
        """Whether the gate wants no runner at all."""
        try:
            return self._gate.present.runner.end is not None
        except FactoryError:
            return False

    def _hear_signals(self) -> None:
        """While no runner hears them: end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        self._stopping.set()
        self._changed.set()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._check)
        return task

    def _check(self, task: asyncio.Task[None]) -> None:
        """A fault of our own is said, and ends the agent: systemd starts it again."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.say(f"a fault in the agent: {type(error).__name__}: {error}", "CRITICAL")
            self._fault = error
            self._stop()
            self._gate.end("warm")
