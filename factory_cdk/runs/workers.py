"""The worker processes of a Flow: each runs one function after the other, and one that dies fails its step alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from factory_cdk.runs.state import Start
from factory_cdk.runs.step_context import CurrentStep, enter

_CONTEXT = multiprocessing.get_context("spawn")
"""A new interpreter, which has none of the locks and connections of this one."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be called for a step."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    step: CurrentStep


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a call: `failure` is why it failed, with `trace`, None when it returned `result`."""

    start: Start
    result: Any = None
    failure: str | None = None
    trace: str = ""


class Workers:
    """Up to as many processes as there are calls at the same time; `close` ends them."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Start]] = {}

    def __len__(self) -> int:
        """How many calls are in hand."""
        return len(self._busy)

    def call(self, start: Start, call: Call) -> Ended | None:
        """Have `call` done for `start`; at once what became of it when it cannot be handed over."""
        try:
            frame = pickle.dumps(call)
        except Exception as error:  # what pickle raises is up to what it is given
            return Ended(start, failure=f"it cannot be handed to a worker process: {type(error).__name__}: {error}")
        worker = self._idle.pop() if self._idle else _Worker()
        with contextlib.suppress(BrokenPipeError):  # it has died, which `ended` tells
            worker.connection.send_bytes(frame)
        self._busy[worker.connection] = worker, start
        return None

    def ended(self, seconds: float | None) -> Iterator[Ended]:
        """What has become of calls; waits up to `seconds` (None: for ever) for the first."""
        ready = set(wait(list(self._busy), seconds))
        for connection in [one for one in self._busy if one in ready]:
            worker, start = self._busy.pop(connection)
            try:
                result, failure, trace = worker.connection.recv()
            except EOFError:
                yield Ended(start, failure=f"its process {worker.close()}")
                continue
            except Exception as error:  # a result that cannot be made of what was pickled
                result, failure, trace = None, f"its result cannot be read: {type(error).__name__}: {error}", ""
            self._idle.append(worker)
            yield Ended(start, result, failure, trace)

    def drop(self, start: Start) -> None:
        """End the process that works on `start`, whose result nobody wants."""
        for connection, (worker, other) in list(self._busy.items()):
            if other == start:
                del self._busy[connection]
                worker.close(kill=True)

    def close(self) -> None:
        """End all processes."""
        for worker in self._idle:
            worker.close()
        for worker, _ in self._busy.values():
            worker.close(kill=True)
        self._idle, self._busy = [], {}


class _Worker:
    def __init__(self) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(theirs,), name="factory-flow-worker", daemon=True)
        self._process.start()
        theirs.close()

    def close(self, *, kill: bool = False) -> str:
        """End the process; how it ended, in words."""
        self.connection.close()
        if kill:
            self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


def _work(connection: Connection) -> None:
    """Call what comes over `connection` until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who runs the flow hears it, and ends us
    while True:
        try:
            frame = connection.recv_bytes()
        except EOFError:
            return
        connection.send(_answer(frame))


def _answer(frame: bytes) -> tuple[Any, str | None, str]:
    try:
        call: Call = pickle.loads(frame)  # noqa: S301 - the process that started this one has sent it
        enter(call.step)
        result = call.function(*call.args, **call.kwargs)
        pickle.dumps(result)
    except BaseException as error:  # sys.exit() in a function fails its step, not the worker
        trace = "".join(traceback.format_exception(error))
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return None, what, trace
    return result, None, ""
