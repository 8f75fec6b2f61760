"""The verbs for stages that are built, once for the command line and for Python: stop, resume, demolish, list, find.

A verb finds out where the sectors of the stage run, and lets the backend of that place do it (backend.py); building.py
has those that need a plan. A stage with sectors here and on AWS is one. `say` gets lines of progress, `agree` answers a
question; every verb raises FactoryError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import Submission
from factory_cdk.jobs.submit import submit as submit_jobs
from factory_cdk.jobs.submit import wait as wait_for_run
from factory_cdk.lifecycle.aws.preconditions import whole_spec_of_built
from factory_cdk.lifecycle.backend import BACKENDS, Backend, Backends, operator_of
from factory_cdk.lifecycle.instance_logs import InstanceLog, followed, merged
from factory_cdk.lifecycle.instances import liveness
from factory_cdk.lifecycle.progress import Say, silent
from factory_cdk.lifecycle.results import Demolished, Left, Resumed, Stopped
from factory_cdk.plan.model import Json, SectorType
from factory_cdk.queues.port import JobRecord
from factory_cdk.state.log_folder import follow_stream, read_stream
from factory_cdk.state.outdated import outdated
from factory_cdk.state.runner_spec import refuse_unknown_bot
from factory_cdk.state.stages import Factory, only
from factory_cdk.state.status import runner_pid

__all__ = [
    "Demolished",
    "Factory",
    "Left",
    "Resumed",
    "Stopped",
    "Submission",
    "demolish",
    "find",
    "find_any",
    "left",
    "list_factories",
    "logs",
    "matches",
    "resume",
    "stop",
    "submit",
    "wait",
]


def stop(
    home: Path,
    name: str,
    stage: str | None,
    say: Say = silent,
    *,
    timeout: float | None = None,
    cold: bool = False,
    backends: Backends = BACKENDS,
) -> Stopped:
    """Take no more jobs, bot after bot along the workflow; returns when the jobs in hand are finished. `cold`: put them
    back instead, and end the runner.

    FactoryError with exit code 3 when that takes longer than `timeout` seconds; the stage goes on stopping.
    """
    backend, factory = _find(home, name, stage, backends)
    return operator_of(backend, factory, say).stop(factory, say, timeout=timeout, cold=cold)


def resume(
    home: Path,
    name: str,
    stage: str | None,
    say: Say = silent,
    *,
    environ: Mapping[str, str] = os.environ,
    backends: Backends = BACKENDS,
) -> Resumed:
    """Take jobs again, bots with `stop: true` included; start the runner first when it does not run.

    A runner that is started gets the values of its secrets anew, from `environ` as the plan says. FactoryError,
    which names the secrets that have no value.
    """
    backend, factory = _find(home, name, stage, backends)
    return operator_of(backend, factory, say).resume(factory, say, environ)


def demolish(
    home: Path,
    name: str,
    stage: str | None,
    say: Say,
    agree: Callable[[Left], bool],
    *,
    drain: bool = False,
    timeout: float | None = None,
    cold: bool = False,
    local_sectors: bool = False,
    backends: Backends = BACKENDS,
) -> Demolished:
    """Finish the jobs in hand, bot after bot along the workflow, end the stage and delete its state.

    `drain` lets the bots work first until their queues are empty; `cold` puts the jobs in hand back. When jobs or
    dead letters are left, `agree` is asked whether they may be deleted; if not, the stage goes on. FactoryError, with
    exit code 3, when it takes longer than `timeout` seconds: the stage goes on then, too. A stage that another version
    of factory-cdk has built can be demolished `cold` only. Of a stage with aws sectors all is deleted, or with
    `local_sectors` what is on this machine; then the jobs in its queues on AWS stay.
    """
    backend, factory = _find_any(home, name, stage, backends)
    if local_sectors and not factory.local:
        raise FactoryError(f"{factory.folder.name} has no sectors on this machine", "demolish all of it")
    operator = backend if local_sectors else operator_of(backend, factory, say)
    return operator.demolish(factory, say, agree, drain=drain, timeout=timeout, cold=cold)


def list_factories(home: Path, *, backends: Backends = BACKENDS) -> list[Factory]:
    """Every stage that is built, or half built."""
    return [factory for _, factory in _built(home, None, backends)]


def matches(home: Path, name: str, stage: str | None = None, *, backends: Backends = BACKENDS) -> list[Factory]:
    """The stages of the factory `name` that are built, or its `stage` alone."""
    return [factory for _, factory in _matches(home, name, stage, backends)]


def find(home: Path, name: str, stage: str | None = None, *, backends: Backends = BACKENDS) -> Factory:
    """The one stage of that name that is built. FactoryError when there is none, or several and no `stage`, or when
    another version of factory-cdk has built it.
    """
    return _find(home, name, stage, backends)[1]


def find_any(home: Path, name: str, stage: str | None = None, *, backends: Backends = BACKENDS) -> Factory:
    """The one stage of that name that is built, by whatever version. FactoryError when there is none, or several and no
    `stage`.
    """
    return _find_any(home, name, stage, backends)[1]


def left(home: Path, name: str, stage: str | None = None, *, backends: Backends = BACKENDS) -> Left:
    """What would be deleted with the stage: the jobs in its queues."""
    backend, factory = _find_any(home, name, stage, backends)
    return backend.left(factory)


def submit(
    home: Path,
    name: str,
    stage: str | None,
    bot: str,
    payloads: Iterable[Json],
    tags: Mapping[str, str] | None = None,
    *,
    backends: Backends = BACKENDS,
) -> Submission:
    """One job for `bot` per payload; returns when they are on disk, whether the runner runs or not. FactoryError."""
    factory = find(home, name, stage, backends=backends)
    return submit_jobs(factory.folder, whole_spec_of_built(factory), bot, payloads, tags)


def wait(
    home: Path,
    name: str,
    stage: str | None,
    run: str,
    timeout: float | None = None,
    *,
    backends: Backends = BACKENDS,
) -> Iterator[JobRecord]:
    """The jobs of `run` as they become final; FactoryError with exit code 3 (time-out) or 4 (runner gone)."""
    factory = find(home, name, stage, backends=backends)
    return wait_for_run(factory.folder, run, timeout, lives=liveness(factory))


def logs(
    home: Path,
    name: str,
    stage: str | None = None,
    bot: str | None = None,
    *,
    follow: bool = False,
    since: float | None = None,
    say: Say = silent,
    backends: Backends = BACKENDS,
) -> Iterator[str]:
    """The lines of the stage's labelled stream, of `bot` alone if given; with `follow`, those to come too, until
    the runner here, if there is one, is gone. Lines of instances are among them, from `since` on (seconds since the
    epoch); `say` gets why some cannot be read. FactoryError.
    """
    factory = find(home, name, stage, backends=backends)
    if bot is not None and factory.whole_spec:
        refuse_unknown_bot(factory.whole_spec, bot)
    if factory.instances is not None:
        log = InstanceLog(factory.instances, bot, say)
        yield from (followed if follow else merged)(factory, log, bot, since)
        return
    if not follow:
        yield from read_stream(factory.folder.logs, bot)
        return
    for line in follow_stream(factory.folder.logs, bot, whole=True):
        if line is not None:
            yield line
        elif runner_pid(factory.folder) is None:
            return


def _matches(home: Path, name: str, stage: str | None, backends: Backends) -> list[tuple[Backend, Factory]]:
    return [(backend, one) for backend, one in _built(home, name, backends) if stage in (None, one.stage)]


def _built(home: Path, name: str | None, backends: Backends) -> list[tuple[Backend, Factory]]:
    """What is built at all places; a stage with sectors at several is one, as the first of them has it, with what the
    others know of its instances.
    """
    found: dict[tuple[str, str], tuple[Backend, Factory]] = {}
    for backend in backends.values():
        for one in backend.built(home, name) if name is not None else backend.built(home):
            key = one.name, one.stage
            if key not in found:
                found[key] = backend, one
                continue
            first, known = found[key]
            instances = one.instances or known.instances
            found[key] = first, replace(known, instances=instances, stacks=one.stacks, trouble=one.trouble)
    return list(found.values())


def _find(home: Path, name: str, stage: str | None, backends: Backends) -> tuple[Backend, Factory]:
    backend, factory = _find_any(home, name, stage, backends)
    if factory.state == "outdated":
        raise outdated(factory.folder)
    return backend, factory


def _find_any(home: Path, name: str, stage: str | None, backends: Backends) -> tuple[Backend, Factory]:
    found = _matches(home, name, stage, backends)
    where = "is not built here, nor found on AWS" if SectorType.AWS in backends else "is not built here"
    factory = only([one for _, one in found], name, stage, lambda: list_factories(home), where)
    return found[0][0], factory
