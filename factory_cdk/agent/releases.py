"""Bringing an instance to the release that its parameter names, and telling CloudFormation how that went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from factory_cdk.agent.installing import InstallFailedError
from factory_cdk.agent.release import InstalledRelease, ReleasePointer, pointer_from_text
from factory_cdk.agent.trial import LoadingFailedError
from factory_cdk.agent.wait_handle import Outcome, WaitHandleError, WaitHandles
from factory_cdk.diagnostics import FactoryError

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds before what may pass is tried again: the first pause, doubled each time, and the longest."""

PATIENCE = 300.0
"""Seconds for which it is tried: a role or a parameter that CloudFormation has just written is there after a while."""


class RunnerSwitch(Protocol):
    """The runner of the instance, as far as releases are concerned."""

    @property
    def present(self) -> InstalledRelease | None:
        """The release that it runs; None when there is no runner yet."""

    async def loaded(self) -> None:
        """Return once all of its bots are loaded. LoadingFailedError."""

    async def change_to(self, installed: InstalledRelease) -> None:
        """Run `installed` from now on; return once its bots are loaded. What runs now goes on when this raises
        LoadingFailedError.
        """


class Releases:
    """Follows the release parameter: `install` installs, `runner` changes over, `handles` are answered. `say` gets a
    line and its severity, `masked` takes the values of secrets out of a text, `clean` deletes what releases that are
    gone have left, as long as what it is given says so, and `sleep` waits.
    """

    def __init__(
        self,
        install: Callable[[ReleasePointer], Awaitable[InstalledRelease]],
        runner: RunnerSwitch,
        handles: WaitHandles,
        say: Callable[[str, str], None],
        masked: Callable[[str], str],
        clean: Callable[[Callable[[], bool]], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._install, self._runner, self._handles = install, runner, handles
        self._say, self._masked, self._clean, self._sleep = say, masked, clean, sleep
        self._text: str | None = None
        self._work: asyncio.Task[None] | None = None

    def take(self, text: str | None) -> asyncio.Task[None] | None:
        """The parameter says `text`. The task that brings the instance to it, where it says something new: what was
        under way for another release is given up.
        """
        if text is None or text == self._text:
            return None
        self._text = text
        try:
            pointer = pointer_from_text(text)
        except ValueError as error:
            self._say(f"the release parameter cannot be read: {error}; the bots stay as they are", "ERROR")
            return None
        if self._work is not None:
            self._work.cancel()
        self._work = asyncio.get_running_loop().create_task(self._follow(pointer))
        return self._work

    async def end(self) -> None:
        """Give up what is under way."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait((self._work,))

    async def _follow(self, pointer: ReleasePointer) -> None:
        if pointer.booted is not None:
            await self._answer(pointer, pointer.booted, "SUCCESS", "the instance is up and reads its release")
        try:
            await self._bring_to(pointer)
        except FactoryError as error:
            log = f"\nThe end of its log:\n{error.log}" if isinstance(error, LoadingFailedError) and error.log else ""
            reason = self._masked(f"{error.message}{log}")
            self._say(f"release {pointer.sha256[:12]} failed; the bots stay as they are: {reason}", "ERROR")
            await self._answer(pointer, pointer.signal, "FAILURE", reason)
        else:
            done = f"release {pointer.sha256[:12]} is installed, and its bots are loaded"
            await self._answer(pointer, pointer.signal, "SUCCESS", done)
        text = self._text
        await self._clean(lambda: self._text == text)

    async def _bring_to(self, pointer: ReleasePointer) -> None:
        present = self._runner.present
        if present is not None and present.sha256 == pointer.sha256:
            await self._runner.loaded()
            return
        self._say(f"release {pointer.sha256[:12]}: installing", "INFO")
        await self._runner.change_to(await self._installed(pointer))

    async def _installed(self, pointer: ReleasePointer) -> InstalledRelease:
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            try:
                return await self._install(pointer)
            except InstallFailedError as error:
                if not error.passing or waited + pause > PATIENCE:
                    raise
                self._say(f"{error.message}; trying again", "WARNING")
            await self._sleep(pause)
            waited += pause
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _answer(self, pointer: ReleasePointer, url: str, outcome: Outcome, reason: str) -> None:
        pause = FIRST_PAUSE
        while not self._handles.is_answered(url):
            try:
                if not await asyncio.to_thread(self._handles.answer, url, outcome, reason, pointer.release):
                    self._say("the wait handle takes no answer any more: its URL has expired", "WARNING")
                else:
                    first_line = reason.partition("\n")[0]
                    self._say(f"CloudFormation was told {outcome}: {first_line}", "INFO")
            except (WaitHandleError, FactoryError) as error:
                self._say(f"{error}; trying again", "WARNING")
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
