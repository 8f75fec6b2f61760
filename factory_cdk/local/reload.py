"""Reloading: a stage that is at work changes to other code, or other arguments, of its bots without a pause.

What is needed is installed beside what runs; then the runner is asked for the roster that goes with it (relief.py).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.building import Order, cast_of, install, refuse_what_cannot_run, roster_of
from factory_cdk.local.control import Say, changing
from factory_cdk.local.desired import ask_for_roster
from factory_cdk.local.qalx import refuse_mixtures
from factory_cdk.local.relief import changed_postings, misfit
from factory_cdk.local.roster import Posting
from factory_cdk.local.standing import find
from factory_cdk.local.state import StageState
from factory_cdk.local.status import ReliefStatus, read_status


@dataclass(frozen=True, slots=True)
class Asked:
    """What a runner was asked to change to: the request's name, and the postings whose workers are replaced."""

    request: str
    postings: tuple[Posting, ...]

    @property
    def bots(self) -> tuple[str, ...]:
        """The bots whose workers are replaced."""
        return tuple(dict.fromkeys(posting.bot for posting in self.postings))


def reload(
    design: StageDesign, order: Order, say: Say, stop: threading.Event, *, pending: bool = False
) -> Asked | None:
    """Install what `design` needs and ask the runner of the stage for it; None when it is what runs and no other change
    is `pending`. `decision` tells what becomes of it.

    FactoryError, and nothing asked, when something cannot be installed or is more than a reload can change; `Stopped`
    when told to `stop`.
    """
    refuse_what_cannot_run(design.stage, design.sectors)
    refuse_mixtures(design.sectors)
    found = find(order.home, design.factory, design.stage)
    present = found.roster
    if present is None:
        raise FactoryError(f"{found.state.name} has no roster that can be read", "demolish it, and build it again")
    cast = cast_of(design, order.home)
    planned = roster_of(design, cast, order)
    wanted = replace(present, postings=planned.postings, end_order=planned.end_order)
    if wanted == present and not pending:
        return None
    if reason := misfit(present, wanted):
        stage = f"--name {design.factory} --stage {design.stage}"
        raise FactoryError(f"a reload cannot change this: {reason}", f"factory-cdk demolish {stage}, then build again")
    changed = list(changed_postings(present, wanted))
    places = {posting.place for posting in changed}
    install([one for one in cast if (one[0].name, one[1].name) in places], order.home, say, stop)
    with changing(found.state):
        request = ask_for_roster(found.state, wanted)
    return Asked(request, tuple(changed))


def decision(state: StageState, asked: Asked) -> ReliefStatus | None:
    """What became of what was asked for; None as long as that is not decided."""
    status = read_status(state)
    relief = status.relief if status else None
    return relief if relief and relief.request == asked.request and relief.outcome != "starting" else None
