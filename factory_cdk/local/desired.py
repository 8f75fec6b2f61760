"""What a runner is asked to do: a small file that it reads when its bell rings, and again when it restarts."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Literal

from factory_cdk.diagnostics import FactoryError
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
    ringer = Ringer(state.bell.parent)
    ringer.ring([state.bell.name])
    ringer.close()
    return desired.request


def open_bell(state: StageState) -> Doorbell:
    """The runner's end of the bell."""
    return Doorbell(state.bell)
