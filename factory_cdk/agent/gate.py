"""The gate of a stage on AWS: an SSM parameter by which `stop` and `resume` reach every runner. Without it bots run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from factory_cdk.agent.following import Followed
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.ports import Unsubscribe
from factory_cdk.state.requests import RunnerRequest

RUN, STOP = "run", "stop"
_KEYS = {"gate", "keep-stopped", "end", "restart", "request"}


@dataclass(frozen=True, slots=True)
class GateRequest:
    """What the gate asks of a runner; `restart`: workers that were started for another value of it are replaced."""

    runner: RunnerRequest
    restart: str = ""


def gate_request(text: str | None, version: int) -> GateRequest:
    """What the parameter says: `run`, `stop`, or JSON with `gate` (one of them), and, where wanted, `keep-stopped`
    (false: bots with `stop: true` run, too), `end` (`warm` or `cold`: workers end, the agent stays), `restart` (another
    text: all workers are replaced) and `request` (its id). ValueError for anything else.
    """
    if text is None:
        return GateRequest(RunnerRequest("open", request="no gate"))
    said: Json = {"gate": text.strip()} if not text.lstrip().startswith("{") else json.loads(text)
    if unknown := said.keys() - _KEYS:
        raise ValueError(f"it does not know {sorted(unknown)[0]!r}")
    if said.get("gate") not in (RUN, STOP):
        raise ValueError(f"its gate is {said.get('gate')!r}, and not `{RUN}` or `{STOP}`")
    end = said.get("end")
    if end not in (None, "warm", "cold"):
        raise ValueError(f"its end is {end!r}, and not `warm` or `cold`")
    request = RunnerRequest(
        gate="open" if said["gate"] == RUN else "closed",
        keep_stopped=bool(said.get("keep-stopped", True)),
        end=end,
        request=str(said.get("request") or f"gate {version}"),
    )
    return GateRequest(request, str(said.get("restart") or ""))


class GateRequests:
    """The requests of a runner (a RequestSource). What was read last is kept in `file`: an agent that starts while SSM
    cannot be reached does not run what was stopped.
    """

    def __init__(self, file: Path, on_change: Callable[[], None]) -> None:
        self._file, self._on_change = file, on_change
        self._notify: Callable[[], None] | None = None
        self._text, self._version, self._known = self._kept()
        self._end: Literal["warm", "cold"] | None = None

    def _kept(self) -> tuple[str | None, int, bool]:
        try:
            kept = read_json(self._file)
            return kept["text"], int(kept["version"]), True
        except (FactoryError, ValueError, LookupError, TypeError):
            return None, 0, False

    def take(self, followed: Followed) -> None:
        """The gate was read. FactoryError when that cannot be kept."""
        if self._known and (followed.gate, followed.gate_version) == (self._text, self._version):
            return
        self._text, self._version, self._known = followed.gate, followed.gate_version, True
        write_json(self._file, {"text": self._text, "version": self._version})
        self.tell()

    def end(self, how: Literal["warm", "cold"] | None) -> None:
        """End the runner, whatever the gate says; None: what the gate says counts again."""
        self._end = how
        if how is not None:
            self.tell()

    def tell(self) -> None:
        """Have the runner look."""
        self._on_change()
        if self._notify is not None:
            self._notify()

    @property
    def present(self) -> GateRequest:
        """What is asked. FactoryError when the parameter cannot be understood."""
        if not self._known:
            return GateRequest(RunnerRequest("closed", request="gate not read yet"))
        try:
            asked = gate_request(self._text, self._version)
        except (ValueError, AttributeError) as error:
            raise FactoryError(f"the gate cannot be understood: {error}", "write it again") from error
        return replace(asked, runner=replace(asked.runner, end=self._end)) if self._end else asked

    def read(self) -> RunnerRequest:
        """What is asked of the runner. FactoryError."""
        return self.present.runner

    def subscribe(self, notify: Callable[[], None]) -> Unsubscribe:
        """Call `notify` when there may be another request or spec."""
        self._notify = notify

        def unsubscribe() -> None:
            self._notify = None

        return unsubscribe
