"""The shim in the Pythons that bots may have, as far as this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shims import Shim

BOTS = """
import asyncio
from typing import Any, Dict
from factory_cdk import Bot, Job

steps = Bot("steps")

@steps.begin
async def begin(job: Job) -> None:
    await asyncio.sleep(0)
    job.context["seen"] = ["begin"]

@steps.preprocess
def before(job: Job) -> None:
    job.context["seen"].append("preprocess")

@steps.process
async def process(job: Job) -> Dict[str, Any]:
    await asyncio.sleep(0)
    job.publish_status("at it")
    job.log.info("at it")
    job.add_step_result(job.payload != "bad")
    return {"payload": job.payload, "seen": job.context["seen"], "last": job.last_step_result}

def plain(payload: Any) -> Any:
    return {"plain": payload}

async def asynchronous(job: Job) -> Any:
    await asyncio.sleep(0)
    if job.payload is None:
        raise ValueError("nothing")
    return job.attempt
"""


def pythons(version: str) -> Iterator[str]:
    """Where a Python of that version may be: on PATH, or among those of pyenv."""
    if found := shutil.which(f"python{version}"):
        yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(root.glob(f"versions/{version}.*/bin/python")))


@pytest.fixture(params=["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def python(request: pytest.FixtureRequest) -> str:
    for candidate in pythons(request.param):
        if subprocess.run([candidate, "-V"], capture_output=True, check=False).returncode == 0:
            return candidate
    pytest.skip(f"there is no Python {request.param} here")


def test_bots_run_in_every_python(start: Callable[..., Shim], tmp_path: Path, python: str) -> None:
    (tmp_path / "bots.py").write_text(BOTS)
    shim = start(python)
    assert shim.start(tmp_path, "bots:steps") == {"kind": "ready"}
    assert shim.do("good")["kind"] == "status"
    assert shim.hear()["result"] == {"payload": "good", "seen": ["begin", "preprocess"], "last": True}
    assert shim.do("bad")["kind"] == "status"
    assert shim.hear()["error"]["type"] == "StepFailed"
    assert "INFO at it\n" in shim.log.read_text()

    plain = start(python)
    plain.start(tmp_path, "bots:plain")
    assert plain.do(1)["result"] == {"plain": 1}

    asynchronous = start(python)
    asynchronous.start(tmp_path, "bots:asynchronous")
    assert asynchronous.do("x")["result"] == 1
    failed = asynchronous.do(None)
    assert (failed["kind"], failed["error"]["type"]) == ("failed", "ValueError")
    assert 'raise ValueError("nothing")' in failed["error"]["traceback"]

    command = start(python)
    command.start(tmp_path, command=["cat"])
    assert command.do([1])["result"] == [1]
