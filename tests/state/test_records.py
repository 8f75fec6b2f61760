"""Specs, statuses and requests as JSON: what was written is read, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from factory_cdk.diagnostics import FactoryError
from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments, SecretReference, Successor
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.folder_ports import ports_of
from factory_cdk.state.records import from_json
from factory_cdk.state.requests import RunnerRequest, read_request
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, spec_as_json, spec_from_json
from factory_cdk.state.stage_folder import StageFolder, stage_folder
from factory_cdk.state.status import PoolStatus, Status, UpdateStatus, WorkerStatus, read_status, write_status

POOL = PoolSpec(
    sector="here",
    bot="weld",
    queue="weld",
    successors=(Successor("paint", "paint", "here"),),
    arguments=BotArguments(timeout=1.5, meta={"owner": ["me", None]}, workflow=("paint",)),
    start=Start("target", ("weld:run",)),
    transport=FACTORY_QUEUES,
    processes=2,
    bundle="/bundle",
    folder="/code",
    roots=("/code", "/code/src"),
    python="/env/bin/python",
    bins=("/env/bin",),
    bytecode=None,
    variables={"KEY": "wört"},
    secrets={"TOKEN": SecretReference(profile="dev", key="TOKEN")},
)
SPEC = RunnerSpec(
    "works",
    "test",
    (
        POOL,
        replace(
            POOL, bot="paint", start=Start("command", ("run", "it")), arguments=BotArguments(timeout=5), secrets={}
        ),
    ),
    ("weld", "paint"),
    plan="/plan.yml",
    built_at=7.5,
)
STATUS = Status(
    pid=1,
    started_at=2.0,
    gate="open",
    request="r",
    workers=(WorkerStatus("here", "weld", 1, None, "ready", 3.0, 0, 1, 2, 0, "half done"),),
    pools=(PoolStatus("here", "weld", "weld", True, None),),
    trouble="the disk is full",
    update=UpdateStatus("u", "failed", "why", "its log"),
)


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    state = stage_folder(tmp_path, "works", "test")
    state.path.mkdir(parents=True)
    return state


def test_what_is_written_is_read(folder: StageFolder) -> None:
    write_json(folder.spec, spec_as_json(SPEC))
    assert ports_of(folder).specs.read() == SPEC
    for status in (STATUS, Status(1, 2.0, "closed", "")):
        write_status(folder, status)
        assert read_status(folder) == status
    for request in (RunnerRequest(), RunnerRequest("open", keep_stopped=False, end="cold", request="r")):
        write_json(folder.request, asdict(request))
        assert read_request(folder) == request


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("factory",), 7, "`factory` is not of the type str"),
        (("built_at",), True, "`built_at` is not of the type float"),
        (("timings", "loop_deaths"), 5.0, "`timings.loop_deaths` is not of the type int"),
        (("timings", "poll"), None, "`timings.poll` is not of the type float"),
        (("timings",), [], "`timings` is not of the type dict"),
        (("pool_specs",), {}, "`pool_specs` is not of the type list"),
        (("pool_specs", 1, "roots", 0), 1, "`pool_specs[1].roots[0]` is not of the type str"),
        (("pool_specs", 0, "arguments", "stop"), 1, "`pool_specs[0].arguments.stop` is not of the type bool"),
        (("pool_specs", 0, "processes"), True, "`pool_specs[0].processes` is not of the type int"),
        (("pool_specs", 0, "secrets", "TOKEN"), "value", "`pool_specs[0].secrets.TOKEN` is not of the type dict"),
        (("pool_specs", 0, "crew"), 1, "`pool_specs[0]` has unknown keys: crew"),
        (("crew",), 1, "it has unknown keys: crew"),
    ],
)
def test_a_spec_of_wrong_types_is_refused_by_its_place(
    folder: StageFolder, path: tuple[Any, ...], value: Any, message: str
) -> None:
    content = json.loads(json.dumps(spec_as_json(SPEC)))
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    write_json(folder.spec, content)
    with pytest.raises(FactoryError) as refused:
        ports_of(folder).specs.read()
    assert refused.value.message == f"{folder.spec} is damaged: {message}"
    assert refused.value.remedy == "factory-cdk demolish --name works --stage test, then build it again"


def test_a_key_that_has_no_default_must_be_there() -> None:
    content = spec_as_json(SPEC)
    del content["end_order"], content["timings"]
    with pytest.raises(ValueError, match="it has no end_order"):
        spec_from_json(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"gate": "ajar"}, "`gate` is not one of open, closed"),
        ({"gate": []}, "`gate` is not one of open, closed"),
        ({"end": "lukewarm"}, "`end` is not one of warm, cold"),
        ({"keep_stopped": 1}, "`keep_stopped` is not of the type bool"),
        ([], "it is not of the type dict"),
    ],
)
def test_a_request_that_says_nothing_known_is_refused_with_what_to_do(
    folder: StageFolder, content: Any, message: str
) -> None:
    write_json(folder.request, content)
    with pytest.raises(FactoryError) as refused:
        read_request(folder)
    assert refused.value.message == f"{folder.request} holds no request: {message}"
    assert refused.value.remedy == "ask again: factory-cdk stop, resume or demolish"


def test_keys_of_a_later_version_are_ignored_in_a_request_alone(folder: StageFolder) -> None:
    assert from_json(RunnerRequest, {"gate": "open", "later": 1}, later_keys=True) == RunnerRequest("open")
    write_json(folder.status, {**asdict(STATUS), "later": 1})
    assert read_json(folder.status)["later"] == 1
    assert read_status(folder) is None
