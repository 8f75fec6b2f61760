"""`factory-cdk synth` as a process: the same bytes everywhere, and nothing half-written whatever happens."""

from __future__ import annotations

import filecmp
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENCE

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "plans" / "reference" / "factory-plan.yml"
Done = subprocess.CompletedProcess[str]


def command(output: str | Path, stage: str = "prod", plan: str | Path = REFERENCE) -> list[str]:
    arguments = ["synth", "--plan", str(plan), "--stage", stage, "--region", "eu-west-2", "-o", str(output)]
    return [sys.executable, "-m", "factory_cdk", *arguments]


def synth(output: str | Path, stage: str = "prod", plan: str | Path = REFERENCE, **options: object) -> Done:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command(output, stage, plan), capture_output=True, text=True, timeout=300, check=False, **options
    )


def files(folder: Path) -> dict[str, bytes]:
    """The content of every file below `folder`."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assembly of the reference's `prod`."""
    folder = tmp_path_factory.mktemp("fresh") / "cdk.out"
    done = synth(folder)
    assert done.returncode == 0, done.stderr
    assert "my-factory-name-prod-queues" in done.stdout
    return folder


@pytest.mark.slow
def test_another_folder_home_locale_time_zone_umask_and_hash_seed_give_the_same_bytes(
    fresh: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "söme where"
    home = tmp_path / "another home"
    elsewhere.mkdir()
    home.mkdir()
    shutil.copy(REFERENCE, elsewhere / "factory-plan.yml")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONHASHSEED": "12345",
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "TZ": "Pacific/Kiritimati",
        "USER": "somebody-else",
        "SOURCE_DATE_EPOCH": "1",
        "CDK_OUTDIR": str(tmp_path / "not here"),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    done = synth("ausgabe größe", plan="factory-plan.yml", cwd=elsewhere, env=environment, umask=0o077)
    assert done.returncode == 0, done.stderr
    written = elsewhere / "ausgabe größe"
    compared = filecmp.dircmp(fresh, written)
    assert (compared.left_only, compared.right_only, compared.diff_files) == ([], [], [])
    assert files(fresh) == files(written)
    assert not (tmp_path / "not here").exists()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["ausgabe größe", "factory-plan.yml"]


def test_an_assembly_says_nothing_of_the_machine_that_made_it(fresh: Path) -> None:
    words = {str(ROOT), str(fresh.parent), sys.prefix, str(Path.home()), socket.gethostname(), "site-packages"}
    words |= {getpass.getuser()} - {"root"}
    for name, content in files(fresh).items():
        if name.endswith(".whl"):
            continue  # the package itself, the same bytes wherever it is (tests/test_runner_wheel.py)
        found = [word for word in words if len(word) > 2 and word.encode() in content]
        assert not found, name


@pytest.mark.slow
def test_a_second_stage_into_the_same_folder_leaves_nothing_of_the_first(fresh: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "parents" / "out"
    assert synth(output, stage="dev").returncode == 0
    assert (output / "my-factory-name-dev-eu-west-1.template.json").is_file()
    assert synth(output).returncode == 0
    assert files(output) == files(fresh)
    assert [path.name for path in output.parent.iterdir()] == ["out"]


@pytest.mark.slow
def test_a_stage_without_an_aws_sector_says_so_and_writes_nothing(tmp_path: Path) -> None:
    done = synth(tmp_path / "out", stage="test")
    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])
    assert "stage test has no aws sector: there is nothing to synthesize" in done.stdout


def refusal(done: Done) -> str:
    """What a refused run said; it is one error with its remedy and no traceback."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "  help: " in done.stderr
    return line


@pytest.mark.slow
def test_what_is_no_assembly_is_refused_and_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    assert "not a cloud assembly" in refusal(synth(theirs))
    assert "is a file" in refusal(synth(theirs / "thesis.txt"))
    assert "current folder or one of its parents" in refusal(synth(".", cwd=tmp_path))
    assert "current folder or one of its parents" in refusal(synth("/"))
    assert "cannot write" in refusal(synth(theirs / "thesis.txt" / "below"))
    assert files(tmp_path) == {"theirs/thesis.txt": b"years of work"}


@pytest.mark.slow
def test_the_assembly_that_one_stands_in_is_not_pulled_away(fresh: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(fresh, tmp_path / "out"))
    assert "current folder" in refusal(synth(copy, cwd=copy))
    assert files(copy) == files(fresh)


@pytest.mark.slow
def test_a_link_is_followed_and_stays_one(fresh: Path, tmp_path: Path) -> None:
    real = Path(shutil.copytree(fresh, tmp_path / "real"))
    (real / "stale.template.json").write_text("{}")
    link = tmp_path / "link"
    link.symlink_to("real")
    assert synth(link).returncode == 0
    assert link.is_symlink()
    assert files(real) == files(fresh)


def mounted(folder: Path, options: str) -> Iterator[Path]:
    """`folder` as a small file system of its own while the generator is held."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs to mount a small file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing can be made; root may write everywhere but to a read-only file system."""
    if os.geteuid() == 0:
        yield from mounted(tmp_path / "locked", "ro")
        return
    (tmp_path / "locked").mkdir(mode=0o555)
    yield tmp_path / "locked"


@pytest.mark.slow
def test_a_parent_that_cannot_be_written_is_refused(locked: Path) -> None:
    assert "cannot write the cloud assembly" in refusal(synth(locked / "out"))
    assert "cannot write the cloud assembly" in refusal(synth(locked / "parents" / "out"))
    assert not list(locked.iterdir())


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MB, too small for two assemblies: each has the runner's wheel."""
    yield from mounted(tmp_path / "disk", "size=5m")


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_assembly_as_it_was(fresh: Path, tiny_disk: Path) -> None:
    out = Path(shutil.copytree(fresh, tiny_disk / "out"))
    (tiny_disk / "ballast").write_bytes(b"x" * (os.statvfs(tiny_disk).f_bavail * 4096 - 40_000))
    assert "no space left" in refusal(synth(out)).lower()
    assert files(out) == files(fresh)
    assert sorted(path.name for path in tiny_disk.iterdir()) == ["ballast", "out"]


@pytest.mark.slow
def test_a_node_that_does_not_run_is_named_without_a_traceback(tmp_path: Path) -> None:
    for node in ("/nonexistent/node", "/bin/false"):
        said = refusal(synth(tmp_path / "out", env={**os.environ, "JSII_NODE": node}))
        assert f"`{node}` does not run" in said
    assert not list(tmp_path.iterdir())


LARGE = {
    "factory": {
        "name": "large",
        "bots": {f"b{n}": {"source": {"pypi": "p", "version": "1"}, "bot_path": "b:b"} for n in range(400)},
        "stages": {
            "prod": {
                f"s{n}": {
                    "type": "aws",
                    "parameters": {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"},
                    "bots": {f"b{n}": None},
                }
                for n in range(400)
            }
        },
    }
}


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True], ids=["to the process", "as a terminal's Ctrl-C"])
def test_ctrl_c_in_the_middle_leaves_the_old_assembly_and_no_folder_of_its_own(
    whole_group: bool, fresh: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "large.yml"
    plan.write_text(json.dumps(LARGE))
    place = tmp_path / "place"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    out = Path(shutil.copytree(fresh, place / "out"))
    with (tmp_path / "said").open("w") as said:
        environment = {**os.environ, "TMPDIR": str(temporary)}
        options = {"stdout": said, "stderr": said, "env": environment, "start_new_session": True}
        process = subprocess.Popen([*command(out, plan=plan), "--quiet"], **options)
    deadline = time.monotonic() + 120
    while len(list(place.glob(".out.*/new/asset.*"))) < 10:
        assert process.poll() is None, (tmp_path / "said").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if whole_group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 130, (tmp_path / "said").read_text()
    assert (tmp_path / "said").read_text().strip() == "interrupted"
    assert files(out) == files(fresh)
    assert [path.name for path in place.iterdir()] == ["out"]
    assert list(temporary.iterdir()) == []
