"""The staff: all crews of a runner, those at work, those that are to relieve some of them, and those that leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.crew import Crew, Office
from factory_cdk.local.desired import take_next_roster
from factory_cdk.local.relief import MakeCrew, Relief, misfit
from factory_cdk.local.roster import Roster, roster_as_json
from factory_cdk.local.state import StageState, write_json
from factory_cdk.local.status import ReliefStatus


class Staff:
    """The crews of `roster`, made by `make` with `office`, and of the rosters that take its place: `relief_status` says
    what became of the last one that was asked for, and `publish` is called when that is decided. `lease` is the
    shortest lease of the crews at work, in seconds.
    """

    def __init__(
        self, state: StageState, roster: Roster, make: MakeCrew, office: Office, publish: Callable[[], None]
    ) -> None:
        self._state, self._make, self._office, self._publish = state, make, office, publish
        self._roster = roster
        self.at_work = [make(posting, office) for posting in roster.postings]
        self.lease = self._shortest_lease()
        self._relief: Relief | None = None
        self._leaving: dict[Crew, asyncio.TimerHandle | None] = {}
        self.relief_status: ReliefStatus | None = None

    @property
    def everyone(self) -> list[Crew]:
        """The crews at work first."""
        return [*self.at_work, *(self._relief.crews if self._relief else ()), *self._leaving]

    def in_order(self) -> list[list[Crew]]:
        """The crews that may have jobs in hand, bot after bot as they are stopped."""
        crews = [*self.at_work, *self._leaving]
        order = dict.fromkeys([*self._roster.end_order, *(crew.posting.bot for crew in crews)])
        return [[crew for crew in crews if crew.posting.bot == bot] for bot in order]

    def start(self) -> None:
        """Start the crews. A next roster that a runner before this one did not take up is none of theirs."""
        try:
            left = take_next_roster(self._state)
        except FactoryError as error:
            self._office.note(error.message, "WARNING")
        else:
            if left:
                self._office.note("the roster that was asked for last is not taken up: ask again", "WARNING")
        for crew in self.at_work:
            crew.start()

    def take_up(self, *, refused: str | None = None) -> None:
        """Start the crews for the roster that is asked for, if one is, in the place of any that are being started for
        another; or say why that is `refused`.
        """
        try:
            asked = take_next_roster(self._state)
        except FactoryError as error:
            self._office.note(f"{error.message}; the present roster holds", "WARNING")
            return
        if asked is None:
            return
        request, wanted = asked
        self.drop("another roster was asked for meanwhile")
        reason = refused or misfit(self._roster, wanted)
        if reason is not None:
            self._decide(ReliefStatus(request, "failed", reason))
            return
        relief = self._relief = Relief(request, wanted, self._roster, self._make, self._office)
        self._decide(ReliefStatus(request, "starting"))
        relief.start()
        self._office.changed()

    def go_on(self, *, may_take_over: bool) -> None:
        """To be called when anything has changed: let the crews that were started take over once all of them are
        ready, and forget those that have left.
        """
        relief = self._relief
        if relief is None and not self._leaving:
            return
        if relief is not None and relief.trouble is not None:
            trouble = relief.trouble
            self.drop(f"bot {trouble.bot} of {trouble.sector} {trouble.reason}", trouble.log)
        elif relief is not None and relief.ready and may_take_over:
            self._take_over(relief)
        for crew, impatient in list(self._leaving.items()):
            if not crew.alive:
                self._forget(crew)
            elif impatient is None and not crew.in_hand:
                grace = self._roster.tempo.grace
                self._leaving[crew] = asyncio.get_running_loop().call_later(grace, crew.kill, "end")

    def drop(self, reason: str, log: str = "") -> None:
        """End what was started for the next roster, if anything was; `log` is the end of that of whoever failed."""
        relief, self._relief = self._relief, None
        if relief is not None:
            relief.drop()
            self._see_off(relief.crews)
            self._decide(ReliefStatus(relief.request, "failed", reason, log))

    def _take_over(self, relief: Relief) -> None:
        try:
            write_json(self._state.roster, roster_as_json(relief.roster))  # what a restart starts from now on
        except FactoryError as error:
            self.drop(error.message)
            return
        self._relief, self._roster = None, relief.roster
        self.at_work, relieved = relief.take_over(self.at_work)
        self.lease = self._shortest_lease()
        self._see_off(relieved)
        self._decide(ReliefStatus(relief.request, "done", in_hand=sum(len(crew.in_hand) for crew in relieved)))
        self._office.look()

    def _shortest_lease(self) -> float:
        return min((crew.lease for crew in self.at_work), default=self._roster.tempo.lease_most)

    def _decide(self, status: ReliefStatus) -> None:
        first_line = status.reason.partition("\n")[0]
        words = {
            "starting": "starting the crews of the next roster",
            "done": f"the crews of the next roster took over; in hand of those they relieved: {status.in_hand}",
            "failed": f"the next roster is not taken up: {first_line}",
        }
        self._office.note(words[status.outcome], "ERROR" if status.outcome == "failed" else "INFO")
        self.relief_status = status
        self._publish()

    def _see_off(self, crews: Iterable[Crew]) -> None:
        self._leaving.update(dict.fromkeys(crews))

    def _forget(self, crew: Crew) -> None:
        impatient = self._leaving.pop(crew)
        if impatient is not None:
            impatient.cancel()
        at_work = next(one for one in self.at_work if one.posting.place == crew.posting.place)
        at_work.inherit(crew)
