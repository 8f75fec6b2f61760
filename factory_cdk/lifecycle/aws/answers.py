"""Waiting until the runners of a stage's instances have carried out what its gate asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from factory_cdk.agent.aws import Aws
from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import TIMED_OUT
from factory_cdk.lifecycle.aws.gate import StageGate, gate_of
from factory_cdk.lifecycle.aws.preconditions import need_instances
from factory_cdk.lifecycle.instances import NotAllowedError, runners_of
from factory_cdk.lifecycle.local.waiting import AGAIN, MOMENT, NAMED
from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.logs import stamp
from factory_cdk.state.stage_queues import open_queues
from factory_cdk.state.stages import Factory
from factory_cdk.views.runners import ENDED, OUTDATED, SILENT_AFTER, RemoteRunner

EVERY = 2.0
"""Seconds between two looks at what the runners say."""


@dataclass
class Answers:
    """What the runners of the instances of `factory` answer to `request`, which wants their gate to be `gate`. `say`
    gets what is waited for, and which runners are not. FactoryError with exit code 3 when it takes longer than
    `timeout` seconds since it `began`, and when another command asks for the opposite meanwhile.
    """

    factory: Factory
    request: str
    gate: Literal["open", "closed"]
    say: Say
    timeout: float | None = None
    began: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _told: set[str] = field(default_factory=set)

    def wait(self) -> int:
        """Return once every runner that answers at all has answered; how many that are."""
        gate = gate_of(self.factory)
        aws, began, said, said_at = gate.aws, self.began, "", 0.0
        while True:
            runners = self._runners(aws)
            waited_for = [one for one in runners if not self._has_answered(one)] if runners is not None else None
            if waited_for == []:
                return len(runners or ())
            self._follow(gate)
            now = self.clock()
            if self.timeout is not None and now - began >= self.timeout:
                raise self._too_late(self.timeout, self._what(waited_for))
            if now - began >= MOMENT:
                what = self._what(waited_for)
                if what != said or now - said_at >= AGAIN:
                    said, said_at = what, now
                    self.say(f"waiting for {what}")
            rest = EVERY if self.timeout is None else min(EVERY, max(0.0, began + self.timeout - now))
            self.sleep(rest)

    def _too_late(self, timeout: float, what: str) -> FactoryError:
        folder = self.factory.folder
        if self.gate == "closed":
            message, remedy = (
                f"is still busy after {timeout:g} s",
                "give it more time, or put the jobs back with --cold",
            )
        else:
            message = f"has its gate open, but some do not take jobs after {timeout:g} s"
            remedy = f"they do once they can; see factory-cdk logs {folder.options}"
        return FactoryError(f"{folder.name} {message}: {what}", remedy, exit_code=TIMED_OUT)

    def _runners(self, aws: Aws) -> list[RemoteRunner] | None:
        """Those that can be waited for; None while AWS cannot be asked. Of the others it is said once why not."""
        try:
            runners = runners_of(self.factory, aws)
        except NotAllowedError:
            raise
        except FactoryError as error:
            self._tell(f"warning: {error.message}; trying again")
            return None
        sectors = {one.sector for one in runners}
        for name in need_instances(self.factory).sector_names:
            if name not in sectors:
                self._tell(f"the runner of sector {name} has said nothing yet: it reads the gate when it starts")
        return [one for one in runners if self._may_answer(one)]

    def _may_answer(self, runner: RemoteRunner) -> bool:
        where = f"sector {runner.sector} ({runner.instance} in {runner.region})"
        if time.time() - runner.said > SILENT_AFTER:
            self._tell(f"{where} is not waited for: it stopped answering at {stamp(runner.said)}")
            return False
        if runner.state == OUTDATED:
            self._tell(f"{where} is not waited for: it is of another version, so its jobs in hand are not known")
            return False
        return True

    def _has_answered(self, runner: RemoteRunner) -> bool:
        status = runner.status
        if status is None:
            return False
        if self.gate == "closed" and status.gate == ENDED:
            return True
        return status.request == self.request and status.gate == self.gate

    def _follow(self, gate: StageGate) -> None:
        """See to it that what was asked for is still asked for; another command may ask for the same."""
        try:
            asked = gate.asked(gate.regions[0])
        except NotAllowedError:
            raise
        except FactoryError as error:
            self._tell(f"warning: {error.message}; trying again")
            return
        if asked.request == self.request:
            return
        if asked.gate != self.gate:
            what = "stopped it" if self.gate == "open" else "let it go on"
            raise FactoryError(
                f"{self.factory.folder.name}: another command {what} meanwhile", "see `factory-cdk ps`, and ask again"
            )
        self.request = asked.request

    def _what(self, waited_for: list[RemoteRunner] | None) -> str:
        """The jobs in hand of the runners that are waited for, by bot, id and the time when they were begun."""
        if waited_for is None:
            return "AWS, which does not answer"
        named = list(self._jobs(waited_for)) if self.gate == "closed" else []
        named = named or [
            f"the runner of sector {one.sector} ({one.instance}, {': '.join(filter(None, (one.state, one.trouble)))})"
            for one in waited_for
        ]
        more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
        return "; ".join([*named[:NAMED], *more])

    def _jobs(self, waited_for: list[RemoteRunner]) -> Iterator[str]:
        sectors, pool_specs = (
            {one.sector for one in waited_for},
            self.factory.instances and self.factory.instances.pool_specs,
        )
        bots = {pool_spec.bot for pool_spec in pool_specs or () if pool_spec.sector in sectors}
        try:
            with open_queues(self.factory.folder) as queues:
                found = [record for record in queues.history.in_hand() if record.job.bot in bots]
        except FactoryError:
            return
        for record in found:
            started = stamp(record.started or record.enqueued)
            yield f"bot {record.job.bot}, job {record.job.id}, begun {started}"

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.say(text)
