"""What happens around a build and a demolition on AWS: disks that are full, homes that are not there, commands that are
killed, suspended, or begun twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from answering import SILENT, SUCCESS
from patience import PATIENCE, until
from test_build_on_aws import AWAY, DONE, HOME, Works, gate_of, works

__all__ = ["works"]

TAKES_ANOTHERS_PLACE = 3.0
"""Seconds of silence after which the builds of these tests count as dead."""

BUILD = """
import sys
from pathlib import Path
from factory_cdk.deploy.record import LifeSigns
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import building
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.plan.load import read_plan

def say(text):
    print(text, file=sys.stderr, flush=True)

options = BuildOptions(Path(sys.argv[1]), "factory-plan.yml")
try:
    building.deploy(
        read_plan("factory-plan.yml"), "prod", options, lambda change: True, say,
        signs=LifeSigns(float(sys.argv[2]), 0.5),
    )
except FactoryError as error:
    sys.exit(f"error: {error.message}")
"""


@pytest.fixture
def tiny_disk(works: Works) -> Iterator[Path]:
    """The home of what is built: a file system of 8 MB."""
    folder = works.folder / "home"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs to mount a small file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.e2e
@pytest.mark.parametrize("kilobytes", [0, 100, 1000], ids="{} kB free".format)
def test_a_full_disk_ends_a_build_in_words_and_the_next_one_works(
    works: Works, tiny_disk: Path, kilobytes: int
) -> None:
    filler = tiny_disk / "filler"
    free = os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_frsize
    filler.write_bytes(b"x" * max(0, free - kilobytes * 1024))
    said = works.build(code=1)
    assert "no space left" in said.lower() or "full" in said
    assert works.remains() == []
    filler.unlink()
    works.build()
    assert works.statuses() == DONE


@pytest.mark.e2e
def test_a_home_that_cannot_be_written_to_ends_a_build_in_words(works: Works, tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    said = works.build(code=1)
    assert "FACTORY_CDK_HOME" in said
    assert works.remains() == []


@pytest.mark.e2e
def test_a_build_needs_no_home_folder_of_a_user(works: Works) -> None:
    works.build(HOME="/proc/nobody")
    assert works.statuses() == DONE


@pytest.mark.e2e
def test_of_two_builds_that_are_begun_together_one_wins_and_the_other_is_told(works: Works) -> None:
    works.instances.says["south"] = SILENT
    both = [works.start(*works.BUILD) for _ in range(2)]
    first = until(lambda: next((one for one in both if one.poll() is not None), None))
    out, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == 1, out + err
    assert "is being deployed already: build of" in err
    works.instances.says["south"] = SUCCESS
    (second,) = [one for one in both if one is not first]
    out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, out + err
    assert works.statuses() == DONE
    assert works.gates() == []


@pytest.mark.e2e
def test_a_demolition_that_is_killed_again_and_again_leaves_nothing_in_the_end(works: Works) -> None:
    works.build()
    moments = (
        "the gate is closed",
        f"{works.factory}-prod-{AWAY} ({AWAY}): deleting",
        f"{works.factory}-prod-{AWAY}: deleted",
        "secret ",
        f"{works.factory}-prod-queues ({HOME}): deleting",
    )
    for moment in moments:
        process = works.start("demolish", "--name", works.factory, "--stage", "prod", "--yes")
        works.until_said(process, moment)
        process.kill()
        process.wait()
        if not works.remains():  # the emulator has ended what it was told to
            break
    if works.remains():
        works.demolish()
    assert works.remains() == []


@pytest.mark.e2e
@pytest.mark.parametrize("first", [True, False], ids=["first build", "update"])
def test_a_build_that_slept_while_another_took_its_place_does_no_harm(works: Works, first: bool) -> None:
    if not first:
        works.build()
        works.write("2")
    works.instances.says["south"] = SILENT
    sleeper = build(works)
    works.until_said(sleeper, f"{works.factory}-prod-{HOME}: ready")
    sleeper.send_signal(signal.SIGSTOP)
    try:
        works.write("3")
        works.instances.says["south"] = SUCCESS
        # One that is suspended is a process that is there: that another machine cannot see, and so silence decides.
        code, err = 1, "is being deployed already"
        while "is being deployed already" in err:  # until it has been silent for long enough
            other = build(works, "unshare", "--pid", "--fork", "--kill-child")
            _, err = other.communicate(timeout=PATIENCE)
            code = other.returncode
        assert code == 0, err
        assert "taking back" in err
        releases = works.releases()
    finally:
        sleeper.send_signal(signal.SIGCONT)
    _, err = sleeper.communicate(timeout=PATIENCE)
    assert sleeper.returncode == 1, err
    assert "has taken the place of this command" in err
    assert works.releases() == releases
    assert works.statuses() == (DONE if first else ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"])
    assert gate_of(works, HOME) == ""
    assert works.gates() == []
    assert [name for name in works.parameters() if "deployment" in name] == []
    assert "nothing was changed" in works.build()


def build(works: Works, *before: str) -> subprocess.Popen[str]:
    """A build that counts as dead soon."""
    environ = {**os.environ, **works.aws.environment, "AWS_REGION": HOME, "TOKEN": "violet-harbour"}
    program = [sys.executable, "-c", BUILD, str(works.folder / "home"), str(TAKES_ANOTHERS_PLACE)]
    return subprocess.Popen(
        [*before, *program], cwd=works.folder, env=environ, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
