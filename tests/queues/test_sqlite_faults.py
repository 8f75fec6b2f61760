"""What disks, users and other programs do to a queue database is said clearly, with what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from queue_calls import claim, run_jobs, settle_and_claim

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import Finished, Forward, Job, Wanted
from factory_cdk.queues.sqlite.bodies import FILE_BYTES
from factory_cdk.queues.sqlite.check import check
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.queues.sqlite.rescue import rescue
from factory_cdk.queues.sqlite.schema import refuse_other_versions
from factory_cdk.queues.sqlite.write_lock import WriteLock

HERE = Path(__file__).parent
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount() -> bool:
    if not shutil.which("unshare"):
        return False
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not can_mount(), reason="this user may not mount in a namespace of its own")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queues.db"


def filled(path: Path, jobs: int = 300) -> None:
    with SqliteQueues(path) as queues:
        queues.send("a", [Job(f"job-{number}", "bot", "p" * 200, "run") for number in range(jobs)])
        leases = claim(queues, "a", jobs // 3, lease=60)
        settle_and_claim(queues, [Finished(lease, [], number) for number, lease in enumerate(leases)], [])


@needs_mounts
@pytest.mark.parametrize("size", [300, 60_000, FILE_BYTES // 2, FILE_BYTES + 1])
def test_a_full_disk_is_said_and_no_acknowledged_job_is_lost(tmp_path: Path, size: int) -> None:
    command = [*NAMESPACE, sys.executable, str(HERE / "full_disk.py"), str(tmp_path), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    message, remedy = said["refused"]
    assert "the disk is full" in message
    assert "queues.db" in message
    assert "free some space" in remedy
    assert set(said["acknowledged"]) <= set(said["there"])
    assert said["acknowledged"] or size > FILE_BYTES
    assert said["left"] == []


@needs_mounts
def test_a_read_only_file_system_is_said(path: Path) -> None:
    filled(path)
    script = f"""
import subprocess, sys
from pathlib import Path
from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.sqlite.engine import SqliteQueues
subprocess.run(["mount", "--bind", "-o", "ro", {str(path.parent)!r}, {str(path.parent)!r}], check=True)
try:
    SqliteQueues(Path({str(path)!r}))
except FactoryError as error:
    print(error.message, "|", error.remedy)
"""
    done = subprocess.run([*NAMESPACE, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    message, _, remedy = done.stdout.partition("|")
    assert "read-only" in message
    assert "queues.db" in message
    assert "FACTORY_CDK_HOME" in remedy


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FactoryError, match=r"queues\.db") as raised:
        SqliteQueues(tmp_path / "file" / "queues.db")
    assert raised.value.remedy


def test_a_newer_database_is_refused_with_a_remedy(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(FactoryError, match="version 7") as raised:
        SqliteQueues(path)
    assert "newer factory-cdk" in str(raised.value.remedy)
    with pytest.raises(FactoryError, match="version 7"):
        check(path)


def test_an_older_database_is_refused_with_what_to_do(path: Path) -> None:
    with pytest.raises(FactoryError, match=f"queue database {path} is of version 0, which is no longer") as raised:
        refuse_other_versions(path, 0)
    remedy = str(raised.value.remedy)
    assert "demolish the factory with the factory-cdk that built it" in remedy
    assert "bot-start" in remedy


def test_somebody_else_s_database_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(FactoryError, match="database of something else"):
        SqliteQueues(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    connection.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but longer than nothing" * 100, b"SQLite format 3\0" + b"?" * 5000]
)
def test_what_is_no_database_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(FactoryError, match=r"queues\.db") as raised:
        SqliteQueues(path)
    assert "factory_cdk.queues.sqlite.check" in str(raised.value.remedy)
    assert path.read_bytes() == content
    assert check(path)


def damage(path: Path, pages: range) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)


def test_a_damaged_database_is_named_and_what_can_be_read_is_saved(path: Path) -> None:
    filled(path)
    assert check(path) == ()
    size = path.stat().st_size // 4096
    damage(path, range(size - 6, size - 4))
    problems = check(path)
    assert problems
    assert all(str(path) in problem for problem in problems)
    with pytest.raises(FactoryError, match="damaged") as raised, SqliteQueues(path) as queues:
        run_jobs(queues, "run")
    assert "factory_cdk.queues.sqlite.check" in str(raised.value.remedy)
    into = path.with_name("saved.db")
    done = rescue(path, into)
    assert 100 < done.saved < 300
    assert done.saved + done.lost == 300
    assert check(into) == ()
    with SqliteQueues(into) as queues:
        records = run_jobs(queues, "run")
        assert len(records) == done.saved
        live = [record.job.id for record in records if record.outcome is None]
        assert [lease.job.id for lease in claim(queues, "a", 1000, lease=60)] == live


@pytest.mark.parametrize("size", [100, 4096])
def test_a_database_without_its_first_page_is_saved_with_another_and_stays_as_it_is(path: Path, size: int) -> None:
    filled(path)
    with path.open("r+b") as file:
        file.write(b"\xa5" * size)
    damaged = path.read_bytes()
    done = rescue(path, path.with_name("saved.db"))
    assert (done.saved, done.lost) == (300, 0)
    assert check(path.with_name("saved.db")) == ()
    assert path.read_bytes() == damaged
    assert [found.name for found in path.parent.iterdir() if "rescue" in found.name] == []


def test_of_a_truncated_database_what_is_before_the_cut_is_saved(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size * 2 // 3)
    done = rescue(path, path.with_name("saved.db"))
    assert 50 < done.saved < 300
    assert done.saved + done.lost >= 300


def test_where_nothing_can_be_read_nothing_is_left_of_a_rescue(path: Path) -> None:
    path.write_bytes(b"no queue database, but a text\n" * 1000)
    with pytest.raises(FactoryError, match=r"nothing of .* can be read"):
        rescue(path, path.with_name("saved.db"))
    assert list(path.parent.glob("saved*")) == []


def test_a_check_changes_nothing(path: Path) -> None:
    with SqliteQueues(path) as queues:
        queues.send("a", [Job("one", "bot", 1, "run")])
        copy = path.with_name("copy")
        copy.mkdir()
        for name in (path.name, path.name + "-wal"):
            (copy / name).write_bytes(path.with_name(name).read_bytes())
    before = {found.name: found.read_bytes() for found in copy.iterdir()}
    assert check(copy / path.name) == ()
    assert {name: (copy / name).read_bytes() for name in before} == before


def test_a_rescue_overwrites_nothing(path: Path) -> None:
    filled(path, 3)
    with pytest.raises(FactoryError, match="exists already"):
        rescue(path, path)


def test_the_check_is_a_command(path: Path) -> None:
    filled(path, 3)
    command = [sys.executable, "-m", "factory_cdk.queues.sqlite.check"]
    sound = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert (sound.returncode, sound.stdout) == (0, f"{path}: nothing wrong\n")
    missing = subprocess.run([*command, str(path) + "x"], capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "there is no queue database" in missing.stderr
    saved = subprocess.run(
        [*command, str(path), "--rescue", str(path) + ".new"], capture_output=True, text=True, check=False
    )
    assert (saved.returncode, saved.stdout) == (0, f"3 jobs saved to {path}.new, 0 could not be read\n")


def test_a_payload_whose_file_is_gone_makes_a_dead_letter_and_holds_nothing_up(path: Path) -> None:
    with SqliteQueues(path) as queues:
        queues.send("a", [Job("large", "bot", "x" * (FILE_BYTES + 1), "run"), Job("small", "bot", 1, "run")])
        (file,) = [found for found in path.with_name("queues.db.bodies").rglob("*") if found.is_file()]
        file.rename(path.with_name("elsewhere"))
        assert any(file.name in problem for problem in check(path))
        assert [lease.job.id for lease in claim(queues, "a", 10, lease=60)] == ["small"]
        path.with_name("elsewhere").rename(file)
        (dead,) = queues.history.dead_letters("a", 10)
        assert dead.failures[0].type == "PayloadLost"
        assert file.name in dead.failures[0].message
        assert queues.history.retry(["large"]) == [True]
        (lease,) = claim(queues, "a", 10, lease=60)
        assert lease.job.payload == "x" * (FILE_BYTES + 1)


def test_what_is_sent_on_does_not_overtake_jobs_behind_one_whose_payload_is_gone(path: Path) -> None:
    with SqliteQueues(path) as queues:
        queues.send("a", [Job("parent", "bot", 1, "run")])
        (parent,) = claim(queues, "a", 1, lease=60)
        large = Job("large", "bot", "x" * (FILE_BYTES + 1), "run")
        queues.send("b", [large, Job("older", "bot", 1, "run"), Job("old", "bot", 1, "run")])
        (file,) = [found for found in path.with_name("queues.db.bodies").rglob("*") if found.is_file()]
        file.unlink()
        done = Finished(parent, [Forward("b", Job("child", "bot", 1, "run"))])
        leases = settle_and_claim(queues, [done], [Wanted("b", 2, 60)])[1]
        assert [lease.job.id for lease in leases] == ["older", "old"]
        assert [lease.job.id for lease in claim(queues, "b", 2, lease=60)] == ["child"]


def test_a_stopped_process_that_holds_the_write_lock_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = """
import sys
from pathlib import Path
from factory_cdk.queues.sqlite.write_lock import WriteLock
WriteLock(Path(sys.argv[1]), 1).acquire()
print("held", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        os.kill(holder.pid, signal.SIGSTOP)
        ours = WriteLock(lock, 0.2)
        with pytest.raises(FactoryError) as raised:
            ours.acquire()
        if Path("/proc/locks").exists():
            assert f"process {holder.pid}" in raised.value.message
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        ours.acquire()
        ours.release()
        ours.close()
