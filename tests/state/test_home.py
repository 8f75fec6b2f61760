"""Where the state lives: odd paths, no home, a home that cannot be written, a disk that is full."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_works import Works, bot, take_down, until
from shell import fill

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.preconditions import refuse_built
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.locks import lock_holder
from factory_cdk.state.stage_folder import stage_folder, stage_folders
from factory_cdk.state.status import read_status, runner_pid

ECHO = "def echo(payload):\n    return payload\n"


def test_everything_works_in_folders_with_spaces_and_other_letters(tmp_path: Path) -> None:
    odd = Works(tmp_path / "höme of 'ours' \"$x\"", tmp_path / "çode – ß 日本")
    odd.code.mkdir()
    odd.write("echo.py", ECHO)
    odd.build(bot("echo", "echo:echo"), bot("program", command=["sh", "-c", "cat; pwd >&2"]))
    try:
        assert odd.run("echo", "ä")[0].result == "ä"
        assert odd.run("program", {"b": "ü"})[0].result == {"b": "ü"}
        lines = list(factory.logs(odd.home, "works", None, "program"))
        assert any(str(odd.folder().work) in line for line in lines)
    finally:
        odd.demolish()


def test_a_home_of_another_user_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "factories" / "works").mkdir(parents=True, mode=0o700)
    (tmp_path / "factories" / "works" / "test.lock").touch()
    (tmp_path / "factories").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        for look in (
            lambda: stage_folders(tmp_path),
            lambda: stage_folders(tmp_path, "works"),
            lambda: lock_holder(tmp_path / "factories" / "works" / "test.lock"),
        ):
            with pytest.raises(FactoryError, match=r"factories.* cannot be used: Permission denied"):
                look()
    finally:
        os.seteuid(user)
        (tmp_path / "factories").chmod(0o700)


def test_a_factory_s_folder_that_may_not_be_looked_into_is_refused_in_words(works: Works) -> None:
    state = stage_folder(works.home, "works", "test")
    state.path.mkdir(parents=True)
    state.path.parent.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may look into everything
        with pytest.raises(FactoryError, match="cannot be used: Permission denied") as refused:
            refuse_built(state)
    finally:
        os.seteuid(user)
        state.path.parent.chmod(0o700)
    assert refused.value.remedy


def test_the_home_is_this_users_alone(works: Works) -> None:
    works.write("echo.py", ECHO)
    state = works.build(bot("echo", "echo:echo"))
    assert stat.S_IMODE(works.home.stat().st_mode) == 0o700
    for file in state.path.iterdir():
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_the_variable_says_where_the_home_is() -> None:
    assert find_home({"FACTORY_CDK_HOME": "/some/where", "HOME": "/root"}) == Path("/some/where")


@pytest.mark.skipif(sys.platform != "linux", reason="where the data of a user is, is Linux's rule here")
def test_without_a_home_the_user_database_tells_or_the_error_says_what_to_set() -> None:
    script = "from factory_cdk.home import find_home; print(find_home())"
    environ = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_DATA_HOME")}
    environ.pop("FACTORY_CDK_HOME", None)
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("/.local/share/factory-cdk")
    if os.geteuid() != 0:
        pytest.skip("only root can become a user that is in no database")
    nobody = f"import os, platformdirs, factory_cdk.home; os.setuid(54321); {script}"
    done = subprocess.run([sys.executable, "-c", nobody], env=environ, capture_output=True, text=True, check=False)
    assert "FactoryError: there is no home directory" in done.stderr


@pytest.fixture
def tiny_disk(works: Works, tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB; what is built on it is taken down before it goes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root on Linux")
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    take_down(works.home)
    take_down(folder / "home")
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_build_on_a_full_disk_says_so_and_leaves_nothing(tiny_disk: Path, tmp_path: Path) -> None:
    works = Works(tiny_disk / "home", tmp_path)
    works.write("echo.py", ECHO)
    (tiny_disk / "home").mkdir()
    filler = fill(tiny_disk)
    with pytest.raises(FactoryError, match=r"(?i)(full|no space)"):
        works.build(bot("echo", "echo:echo"))
    filler.unlink()
    assert factory.list_factories(works.home) == []


def test_a_disk_that_fills_up_loses_no_acknowledged_job(works: Works, tiny_disk: Path, tmp_path: Path) -> None:
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    works.write(
        "slow.py",
        f"""
        import time
        from pathlib import Path

        def work(payload):
            Path({str(begun)!r}).touch()
            while not Path({str(gate)!r}).exists():
                time.sleep(0.001)
            print("x" * 10_000)
            return payload
        """,
    )
    works.home.mkdir(mode=0o700)
    (works.home / "factories").symlink_to(tiny_disk)
    state = works.build(bot("slow", "slow:work"))
    run = works.submit("slow", *range(20))
    until(begun.exists)
    filler = fill(tiny_disk)
    with pytest.raises(FactoryError, match="full"):
        for _ in range(1000):
            works.submit("slow", "x" * 10_000)
    gate.touch()
    until(lambda: _is_troubled(works))
    pid = runner_pid(state)
    assert pid, "the runner lives on"
    filler.unlink()
    records = works.wait(run)
    assert sorted(record.result for record in records) == list(range(20))
    assert runner_pid(state) == pid


def _is_troubled(works: Works) -> bool:
    """Whether the runner has said, in its log or its status, that it cannot write."""
    status = read_status(works.folder())
    return bool(status and status.trouble) or "is full" in (works.folder().logs / "runner.log").read_text()


def test_a_read_only_home_is_refused_in_words(works: Works, tiny_disk: Path) -> None:
    works.write("echo.py", ECHO)
    works.home = tiny_disk / "home"
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(FactoryError, match=r"cannot be used|read-only|Read-only") as refused:
        works.build(bot("echo", "echo:echo"))
    assert "FACTORY_CDK_HOME" in (refused.value.remedy or "")


def test_a_home_that_is_a_file_is_refused_in_words(works: Works) -> None:
    works.write("echo.py", ECHO)
    works.home.touch()
    with pytest.raises(FactoryError, match=r"exists|not a folder"):
        works.build(bot("echo", "echo:echo"))


def test_a_source_folder_that_does_not_exist_is_named(works: Works) -> None:
    works.code = works.code / "gone"
    with pytest.raises(FactoryError, match=r"looked for .*gone"):
        works.build(bot("echo", "echo:echo"))
    assert factory.list_factories(works.home) == []


def test_a_file_is_replaced_whole_while_others_read_it(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_json(path, [0] * 1000)
    done = threading.Event()
    seen: list[bool] = []

    def read() -> None:
        while not done.is_set():
            seen.append(len(set(read_json(path))) == 1)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        write_json(path, [number] * 1000, durable=False)
    done.set()
    reader.join()
    assert seen
    assert all(seen)
