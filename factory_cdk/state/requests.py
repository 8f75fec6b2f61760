"""What a runner is asked to do, in files that it reads when its bell rings.

A request holds until another one takes its place, and a runner that restarts reads it again. The next spec is there
until the runner takes it up: what it changed to is then the present spec, and whoever asked asks again otherwise.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.doorbell import Doorbell, Ringer
from factory_cdk.home import disk
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.records import from_json
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json, spec_from_json
from factory_cdk.state.stage_folder import StageFolder


@dataclass(frozen=True, slots=True)
class RunnerRequest:
    """`gate`: whether jobs are taken; `keep_stopped`: whether bots with `stop: true` stay stopped though it is open;
    `end`: end the runner warm (finish what is in hand) or cold (jobs go back). `request` is its id, and
    the status repeats it once it is carried out.
    """

    gate: Literal["open", "closed"] = "closed"
    keep_stopped: bool = True
    end: Literal["warm", "cold"] | None = None
    request: str = ""


def read_request(folder: StageFolder) -> RunnerRequest:
    """What was asked last; a closed gate when nothing was. Keys that are not known are ignored.

    FactoryError, which names the file, when it holds no request.
    """
    content = read_json(folder.request)
    if content is None:
        return RunnerRequest()
    try:
        request: RunnerRequest = from_json(RunnerRequest, content, later_keys=True)
    except ValueError as error:
        raise FactoryError(
            f"{folder.request} holds no request: {error}", "ask again: factory-cdk stop, resume or demolish"
        ) from error
    return request


def ask(
    folder: StageFolder,
    *,
    gate: Literal["open", "closed"],
    keep_stopped: bool = True,
    end: Literal["warm", "cold"] | None = None,
) -> str:
    """Write down what is wanted and ring; returns the request's id. FactoryError when it cannot be written."""
    asked = RunnerRequest(gate, keep_stopped, end, os.urandom(16).hex())
    write_json(folder.request, asdict(asked))
    _ring(folder)
    return asked.request


def answering(folder: StageFolder, request: str, gate: Literal["open", "closed"]) -> str:
    """The request that the runner will answer instead of `request` for a gate that stands so: the same, or one for the
    same that another command has written over it. FactoryError when that asks for the opposite.
    """
    asked = read_request(folder)
    if asked.request != request and asked.gate != gate:
        what = "stopped it" if gate == "open" else "let it go on"
        raise FactoryError(f"{folder.name}: another command {what} meanwhile", "see `factory-cdk ps`, and ask again")
    return asked.request


def ask_for_spec(folder: StageFolder, spec: RunnerSpec) -> str:
    """Ask the runner to change to `spec` while it works; returns the request's id, by which the status says what
    becomes of it. FactoryError when it cannot be written.
    """
    request = os.urandom(16).hex()
    write_json(folder.next_spec, {"request": request, "spec": spec_as_json(spec)})
    _ring(folder)
    return request


def take_next_spec(folder: StageFolder) -> tuple[str, RunnerSpec] | None:
    """The request and the spec that is asked for, which is then asked for no more; None when none is.

    For the runner alone. FactoryError when it cannot be read.
    """
    taken = folder.next_spec.with_suffix(".taken")
    with disk(folder.next_spec):
        try:
            folder.next_spec.replace(taken)  # whoever asks meanwhile asks for another one
        except FileNotFoundError:
            return None
    try:
        content = read_json(taken)
        return str(content["request"]), spec_from_json(content["spec"])
    except (ValueError, KeyError, TypeError) as error:
        raise FactoryError(f"{taken} holds no runner spec ({error})", "request the update again") from error
    finally:
        taken.unlink(missing_ok=True)


def _ring(folder: StageFolder) -> None:
    ringer = Ringer(folder.bell.parent)
    ringer.ring([folder.bell.name])
    ringer.close()


def open_bell(folder: StageFolder) -> Doorbell:
    """The end of the bell that the runner hears."""
    return Doorbell(folder.bell)
