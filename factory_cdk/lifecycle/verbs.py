"""The facade: what the command line, and Python, ask of the factories that are built under a home.

`building.build` builds them and `dryrun.dry_run` says what it would do; what is here needs no plan.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import Submission, record_as_json
from factory_cdk.jobs.submit import submit as submit_jobs
from factory_cdk.jobs.submit import wait as wait_for_run
from factory_cdk.lifecycle.local.control import LONGEST_END, Say, await_end, await_ready, await_request, changing, said
from factory_cdk.lifecycle.local.stop import Left, demolish, left
from factory_cdk.lifecycle.local.stop import stop as stop_stage
from factory_cdk.plan.model import Json
from factory_cdk.queues.port import JobRecord
from factory_cdk.runner.launch import Launch
from factory_cdk.state.log_folder import follow_stream, read_stream
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import RunnerSpec, refuse_unknown_bot
from factory_cdk.state.secrets import resolve_secrets
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import queues_trouble
from factory_cdk.state.stages import Factory, find, find_any, list_factories, matches
from factory_cdk.state.status import runner_pid
from factory_cdk.views.rows import describe, summary, workers

__all__ = [
    "Factory",
    "Left",
    "attend",
    "demolish",
    "describe",
    "find",
    "find_any",
    "left",
    "list_factories",
    "logs",
    "matches",
    "record_as_json",
    "resume",
    "stop",
    "submit",
    "summary",
    "wait",
    "workers",
]


def submit(
    home: Path,
    name: str,
    stage: str | None,
    bot: str,
    payloads: Iterable[Json],
    tags: Mapping[str, str] | None = None,
) -> Submission:
    """One job for `bot` per payload; returns when they are on disk, whether the runner runs or not. FactoryError."""
    factory = find(home, name, stage)
    return submit_jobs(factory.folder, _spec(factory), bot, payloads, tags)


def wait(home: Path, name: str, stage: str | None, run: str, timeout: float | None = None) -> Iterator[JobRecord]:
    """The jobs of `run` as they become final; FactoryError with exit code 3 (time-out) or 4 (runner gone)."""
    return wait_for_run(find(home, name, stage).folder, run, timeout)


def logs(
    home: Path, name: str, stage: str | None = None, bot: str | None = None, *, follow: bool = False
) -> Iterator[str]:
    """The lines of the stage's labelled stream, of `bot` alone if given; with `follow`, those to come too, until
    the runner is gone. FactoryError.
    """
    factory = find(home, name, stage)
    if bot is not None and factory.spec:
        refuse_unknown_bot(factory.spec, bot)
    if not follow:
        yield from read_stream(factory.folder.logs, bot)
        return
    for line in follow_stream(factory.folder.logs, bot, whole=True):
        if line is not None:
            yield line
        elif runner_pid(factory.folder) is None:
            return


def stop(
    home: Path, name: str, stage: str | None, say: Say, *, timeout: float | None = None, cold: bool = False
) -> bool:
    """Close the gate of a stage whose runner runs: see `stopping.stop`. Whether its runner lives on. FactoryError."""
    factory = find(home, name, stage)
    _need_runner(factory)
    stop_stage(factory, say, timeout=timeout, cold=cold)
    return runner_pid(factory.folder) is not None


def resume(home: Path, name: str, stage: str | None, say: Say, *, environ: Mapping[str, str] = os.environ) -> None:
    """Open the gate, bots with `stop: true` included; start the runner first when it does not run.

    A runner that is started gets the values of its secrets anew, from `environ` as the plan says. FactoryError,
    which names the secrets that have no value.
    """
    factory = find(home, name, stage)
    folder, spec = factory.folder, factory.spec
    if factory.state == "damaged":
        raise _damaged(factory)
    if spec is None or folder.unfinished.exists():
        raise FactoryError(f"{folder.name} was never built to the end", "demolish it, or build it again")
    with changing(folder):
        if folder.starting.exists():
            await_end(folder, LONGEST_END)
        if runner_pid(folder) is not None:
            request = ask(folder, gate="open", keep_stopped=False)
            try:
                await_request(folder, request, "open")
            except FactoryError:
                if runner_pid(folder) is not None:
                    raise
            else:
                return
        values = resolve_secrets(spec.secrets, environ)
        say(f"starting the runner of {folder.name}")
        ask(folder, gate="open", keep_stopped=False)
        launch = Launch(folder, spec, values, detach=True)
        trouble = await_ready(launch, folder)
        launch.keep()
        if trouble:
            raise FactoryError(said(trouble), "the other bots run; mend this one, then resume again")


def attend(launch: Launch, folder: StageFolder) -> Iterator[str]:
    """The lines of the stream while a runner in the foreground lives; SIGTERM is passed on to it.

    Ctrl-C reaches the runner by itself: both are of the terminal's foreground group. Use it in the main thread.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: launch.process.terminate()),
    }
    try:
        for line in follow_stream(folder.logs):
            if line is not None:
                yield line
            elif launch.process.poll() is not None:
                return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        launch.hang_up()
        launch.process.wait()


def _damaged(factory: Factory) -> FactoryError:
    return FactoryError(
        f"{factory.folder.name} is damaged: {factory.folder.spec} cannot be read",
        f"factory-cdk demolish --name {factory.name} --stage {factory.stage}, then build it again",
    )


def _spec(factory: Factory) -> RunnerSpec:
    if factory.state == "damaged":
        raise _damaged(factory)
    if factory.spec is None:
        raise FactoryError(f"{factory.folder.name} was never built to the end", "demolish it, or build it again")
    return factory.spec


def _need_runner(factory: Factory) -> None:
    if factory.pid is None:
        if trouble := queues_trouble(factory.folder):
            raise trouble
        raise FactoryError(
            f"the runner of {factory.folder.name} does not run ({factory.state})",
            f"factory-cdk resume --name {factory.name} --stage {factory.stage}",
        )
