"""Relief: how a runner changes from its roster to the next one without a pause, and without losing a job.

Crews for the postings that differ are started beside those that are at work. When every worker of theirs is loaded,
they take over: they get the jobs that come from then on, and those whom they relieve finish what they have in hand and
end. When one cannot be loaded all that was started is ended, and the present crews have noticed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from factory_cdk.local.crew import Crew, Office, Trouble
from factory_cdk.local.roster import Posting, Roster

ENDING = "the runner is ending"
"""Why no roster is taken up any more."""

MakeCrew = Callable[[Posting, Office], Crew]


class Relief:
    """The crews that are to take over once `roster` is the present one: those of the postings that differ from
    `present`. `request` names who asked for them; `trouble` is why they cannot take over, or None.
    """

    def __init__(self, request: str, roster: Roster, present: Roster, make: MakeCrew, office: Office) -> None:
        self.request, self.roster = request, roster
        self.trouble: Trouble | None = None
        self._office, self._over = office, False
        ours = replace(office, trouble=self._hear)
        self.crews = tuple(make(posting, ours) for posting in changed_postings(present, roster))

    def start(self) -> None:
        """Start the crews, unless one of them turns out not to be startable."""
        for crew in self.crews:
            if self.trouble is None:
                crew.start()

    @property
    def ready(self) -> bool:
        """Whether all of them are loaded."""
        return self.trouble is None and all(crew.ready for crew in self.crews)

    def take_over(self, present: Sequence[Crew]) -> tuple[list[Crew], list[Crew]]:
        """The crews at work from now on, in the order of the roster, and those that were relieved, which finish what
        they have in hand and end.
        """
        self._over = True
        at_work = {crew.posting.place: crew for crew in present}
        relieved = []
        for crew in self.crews:
            old = at_work[crew.posting.place]
            crew.relieve(old)
            old.stop()
            relieved.append(old)
            at_work[crew.posting.place] = crew
        return [at_work[posting.place] for posting in self.roster.postings], relieved

    def drop(self) -> None:
        """End all that was started."""
        for crew in self.crews:
            crew.kill("end")

    def _hear(self, trouble: Trouble) -> None:
        if self._over:
            self._office.trouble(trouble)
        elif self.trouble is None:
            self.trouble = trouble
            self.drop()


def changed_postings(present: Roster, wanted: Roster) -> Iterator[Posting]:
    """The postings of `wanted` that are not the same in `present`."""
    known = {posting.place: posting for posting in present.postings}
    return (posting for posting in wanted.postings if known.get(posting.place) != posting)


def misfit(present: Roster, wanted: Roster) -> str | None:
    """Why a runner of `present` cannot change to `wanted` while it works; None when it can.

    Jobs would be left in queues that nobody reads any more, or go where the jobs before them did not.
    """
    before, after = ({posting.place: posting for posting in roster.postings} for roster in (present, wanted))
    for what, places in (("new", after.keys() - before.keys()), ("gone", before.keys() - after.keys())):
        if places:
            bots = ", ".join(f"{sector}/{bot}" for sector, bot in sorted(places))
            return f"{bots} {'is' if len(places) == 1 else 'are'} {what}"
    for place, posting in after.items():
        for what in ("queue", "successors", "secrets"):
            if getattr(posting, what) != getattr(before[place], what):
                return f"the {what} of {posting.label} changed"
    return None
