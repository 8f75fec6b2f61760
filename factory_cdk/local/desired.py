"""What a runner is asked to do, in files that it reads when its bell rings.

A wish holds until another one takes its place, and a runner that restarts reads it again. The next roster is there
until the runner takes it up: what it changed to is then the present roster, and whoever asked asks again otherwise.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk
from factory_cdk.local.roster import Roster, roster_as_json, roster_from_json
from factory_cdk.local.state import StageState, read_json, write_json
from factory_cdk.queues.doorbell import Doorbell, Ringer


@dataclass(frozen=True, slots=True)
class Desired:
    """`gate`: whether jobs are taken; `held`: whether bots with `stop: true` stay stopped though it is open;
    `end`: end the runner warm (finish what is in hand) or cold (jobs go back). `request` names the wish, and
    the status repeats it once it is carried out.
    """

    gate: Literal["open", "closed"] = "closed"
    held: bool = True
    end: Literal["warm", "cold"] | None = None
    request: str = ""


def read_desired(state: StageState) -> Desired:
    """What was asked last; a closed gate when nothing was. Keys that are not known are ignored.

    FactoryError, which names the file, when it holds no wish.
    """
    content = read_json(state.desired)
    if content is None:
        return Desired()
    if not isinstance(content, dict):
        raise _unsound(state)
    known = {key: content[key] for key in ("gate", "held", "end", "request") if key in content}
    desired = Desired(**known)
    if (
        desired.gate not in ("open", "closed")
        or not isinstance(desired.held, bool)
        or desired.end not in ("warm", "cold", None)
        or not isinstance(desired.request, str)
    ):
        raise _unsound(state)
    return desired


def _unsound(state: StageState) -> FactoryError:
    return FactoryError(f"{state.desired} holds no wish", "ask again: factory-cdk stop, resume or demolish")


def ask(
    state: StageState,
    *,
    gate: Literal["open", "closed"],
    held: bool = True,
    end: Literal["warm", "cold"] | None = None,
) -> str:
    """Write down what is wanted and ring; returns the request's name. FactoryError when it cannot be written."""
    desired = Desired(gate, held, end, os.urandom(16).hex())
    write_json(state.desired, asdict(desired))
    _ring(state)
    return desired.request


def answering(state: StageState, request: str, gate: Literal["open", "closed"]) -> str:
    """The request that the runner will answer instead of `request` for a gate that stands so: the same, or one for the
    same that another command has written over it. FactoryError when that asks for the opposite.
    """
    desired = read_desired(state)
    if desired.request != request and desired.gate != gate:
        what = "stopped it" if gate == "open" else "let it go on"
        raise FactoryError(f"{state.name}: another command {what} meanwhile", "see `factory-cdk ps`, and ask again")
    return desired.request


def ask_for_roster(state: StageState, roster: Roster) -> str:
    """Ask the runner to change to `roster` while it works; returns the request's name, by which the status says what
    becomes of it. FactoryError when it cannot be written.
    """
    request = os.urandom(16).hex()
    write_json(state.next_roster, {"request": request, **roster_as_json(roster)})
    _ring(state)
    return request


def take_next_roster(state: StageState) -> tuple[str, Roster] | None:
    """The request and the roster that is asked for, which is then asked for no more; None when none is.

    For the runner alone. FactoryError when it cannot be read.
    """
    taken = state.next_roster.with_suffix(".taken")
    with disk(state.next_roster):
        try:
            state.next_roster.replace(taken)  # whoever asks meanwhile asks for another one
        except FileNotFoundError:
            return None
    try:
        content = read_json(taken)
        return content["request"], roster_from_json(content)
    except (ValueError, KeyError, TypeError) as error:
        raise FactoryError(f"{taken} holds no roster ({error})", "ask again") from error
    finally:
        taken.unlink(missing_ok=True)


def _ring(state: StageState) -> None:
    ringer = Ringer(state.bell.parent)
    ringer.ring([state.bell.name])
    ringer.close()


def open_bell(state: StageState) -> Doorbell:
    """The runner's end of the bell."""
    return Doorbell(state.bell)
