"""What a check of an account has found: rows for a table, for JSON and for the refusal of a build."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from factory_cdk.deploy.account import RefusedError


class State(StrEnum):
    """How something is that a stage needs: there, not as it must be, or not known."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One thing that a stage needs: `check` says what kind it is, `subject` which one, `region` where (empty: of the
    whole account), `detail` what was found, and `remedy` what to do about it. `sector`: whose instance needs it.
    """

    check: str
    region: str
    subject: str
    state: State
    detail: str
    remedy: str = ""
    sector: str = ""


def asked(check: str, region: str, subject: str, ask: Callable[[], Iterable[CheckRow]]) -> list[CheckRow]:
    """The rows that `ask` finds; where AWS refuses to tell, one that says that it is not known."""
    try:
        return list(ask())
    except RefusedError as error:
        detail = (error.remedy or error.message).partition(";")[0] if error.denied else error.message
        return [CheckRow(check, region, subject, State.UNKNOWN, detail, error.remedy or "")]
