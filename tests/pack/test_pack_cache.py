"""Many bots, many packs, failures, full disks, kills and Ctrl-C: the cache stays whole and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pack_sources import (
    BOT,
    Repository,
    at_path,
    bot,
    git_source,
    leftovers,
    pack_all,
    pack_one,
    package,
    plan_of,
    refusal,
    wheel,
    write_files,
)
from patience import PATIENCE, until

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import Progress, pack
from factory_cdk.pack.cache import BundleCache
from factory_cdk.pack.command import Stopped, run
from factory_cdk.plan.model import GitSource

HERE = Path(__file__).parent


def test_one_bots_failure_lets_the_others_finish_and_all_failures_are_told(
    repository: Repository, index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    wheel(index, "lib")
    heard: list[Progress] = []
    report = pack_all(
        tmp_path,
        [
            bot(git_source(repository), name="good"),
            bot(git_source(repository, "no-such"), name="branch"),
            bot(package("gone"), "gone:run", "index"),
            bot(at_path(tmp_path / "nowhere"), name="path"),
            bot(package("lib"), "lib:run", "fine"),
        ],
        env,
        on_progress=heard.append,
    )
    assert [packed.bot for packed in report.bots] == ["good", "branch", "index", "path", "fine"]
    assert sorted(report.bundles) == ["fine", "good"]
    assert [name for name, _ in report.failures] == ["branch", "index", "path"]
    with pytest.raises(FactoryError) as refused:
        report.refuse_failures()
    for said in ("3 of 5 bots", "branch: ", "index: ", "path: ", "help: "):
        assert said in refused.value.message
    last = {progress.bot: progress.step for progress in heard}
    assert last == {"good": "done", "fine": "done", "branch": "failed", "index": "failed", "path": "failed"}
    assert leftovers(tmp_path / "cache") == []


def test_two_packs_at_once_share_one_cache(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    repository.commit(BOT)
    one = bot(git_source(repository))
    with ThreadPoolExecutor(4) as pool:
        packed = [made.result() for made in [pool.submit(pack_one, tmp_path, one, env) for _ in range(4)]]
    assert [made.error for made in packed] == [None] * 4
    assert len({made.bundle for made in packed}) == 1
    assert sum(made.fetched for made in packed) == 1
    assert leftovers(tmp_path / "cache") == []


def test_a_damaged_bundle_in_the_cache_is_made_again(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    one = bot(git_source(repository))
    first = pack_one(tmp_path, one, env)
    assert first.bundle is not None
    archive = Path(first.bundle.archive or "")
    whole = archive.read_bytes()
    for damage in (whole[:-10], b"", whole.replace(b"return", b"retour")):
        archive.write_bytes(damage)
        again = pack_one(tmp_path, one, env)
        assert again.bundle == first.bundle
        assert archive.read_bytes() == whole
    archive.unlink()
    assert pack_one(tmp_path, one, env).bundle == first.bundle


def test_notes_in_the_cache_that_are_no_json_are_found_out_again(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    one = bot(git_source(repository))
    first = pack_one(tmp_path, one, env)
    for note in (tmp_path / "cache" / "records").rglob("*.json"):
        note.write_text("{")
    assert pack_one(tmp_path, one, env).bundle == first.bundle


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(FactoryError, match=r"cache.* is not a folder") as refused:
        pack_one(tmp_path, bot(package("x"), "x:run"), env)
    assert "FACTORY_CDK_HOME" in str(refused.value.remedy)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(cache)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        code = write_files(tmp_path / "code", {**BOT, "big.bin": os.urandom(3 * 1024**2)})
        said = refusal(pack_one(tmp_path, bot(at_path(code)), env))
        assert "is full" in said
        assert leftovers(cache) == []
        assert list((cache / "bundles").iterdir()) == []
    finally:
        subprocess.run(["umount", str(cache)], check=True)


SLOW_GIT = """#!/bin/sh
# A git that hangs in its clone, as one does on a slow network, with a child of its own.
case "$*" in *clone*) echo $$ > {mark}; sleep 600 & echo $! > {mark}.child; wait;; esac
"""

PACKER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from pack_sources import bot, pack_all
from factory_cdk.plan.model import GitSource
try:
    pack_all(Path({folder!r}), [bot(GitSource("https://example.invalid/r")), bot(GitSource("https://example.invalid/q"), name="c")], {env!r})
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""  # noqa: E501


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # before it is opened, or before it is read
        return True


@pytest.fixture
def hanging(tmp_path: Path, env: dict[str, str]):  # type: ignore[no-untyped-def]
    """A pack in a process of its own that hangs in a clone, and the pids of that git and its child."""
    mark = tmp_path / "mark"
    tool = write_files(tmp_path / "bin", {"git": SLOW_GIT.format(mark=mark)}) / "git"
    tool.chmod(0o755)
    slow = {**env, "PATH": f"{tool.parent}:{env['PATH']}"}
    script = PACKER.format(tests=str(HERE), folder=str(tmp_path), env=slow)
    packer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, **env})
    child = Path(f"{mark}.child")
    until(lambda: child.exists() and child.read_text().endswith("\n"))
    yield packer, [int(mark.read_text()), int(child.read_text())]
    packer.kill()
    packer.communicate()


def test_ctrl_c_ends_git_with_its_children_and_leaves_nothing(hanging, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    packer, pids = hanging
    packer.send_signal(signal.SIGINT)
    said, _ = packer.communicate(timeout=PATIENCE)
    assert (packer.returncode, said) == (130, b"interrupted\n")
    for pid in pids:
        until(lambda pid=pid: gone(pid))
    assert leftovers(tmp_path / "cache") == []
    assert list((tmp_path / "cache" / "bundles").iterdir()) == []


def test_a_ctrl_c_is_heard_that_wakes_nobody(tmp_path: Path, env: dict[str, str]) -> None:
    """As one that comes just before the main thread begins to wait: here another thread gets it."""
    tool = write_files(tmp_path / "bin", {"git": "#!/bin/sh\nexec sleep 1000\n"}) / "git"
    tool.chmod(0o755)
    slow = {**env, "PATH": f"{tool.parent}:{env['PATH']}"}

    def interrupt(progress: Progress) -> None:
        if progress.step == "fetching":
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pack_one(tmp_path, bot(GitSource("https://nowhere.invalid/bots")), slow, on_progress=interrupt)
    until(lambda: not leftovers(tmp_path / "cache"))  # the thread may not be known yet of one who had just begun it


def test_what_a_killed_pack_left_is_cleared_by_the_next_one(hanging, tmp_path: Path, env: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    packer, pids = hanging
    code = write_files(tmp_path / "code", BOT)
    assert len(leftovers(tmp_path / "cache")) == 2
    assert pack_one(tmp_path, bot(at_path(code)), env).error is None
    assert len(leftovers(tmp_path / "cache")) == 2, "the workspace of a pack at work was cleared"
    packer.kill()
    packer.wait()
    assert pack_one(tmp_path, bot(at_path(code)), env).error is None
    assert leftovers(tmp_path / "cache") == []
    for pid in pids:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_command_that_ignores_the_end_is_ended_for_certain(tmp_path: Path) -> None:
    stop = threading.Event()
    ready = tmp_path / "ready"
    script = f"trap '' TERM; echo > {ready}; while :; do sleep 0.1; done"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, ["sh", "-c", script], cwd=tmp_path, env=dict(os.environ), stop=stop)
        until(ready.exists)
        stop.set()
        with pytest.raises(Stopped):
            running.result(timeout=PATIENCE)


def test_waiting_for_another_pack_ends_when_told_to(tmp_path: Path) -> None:
    store, stop = BundleCache(tmp_path), threading.Event()
    store.prepare()
    with store.exclusive("key", stop), ThreadPoolExecutor(1) as pool:

        def wait() -> None:
            with store.exclusive("key", stop):
                pass

        waiting = pool.submit(wait)
        stop.set()
        with pytest.raises(Stopped):
            waiting.result(timeout=PATIENCE)


def test_progress_tells_git_in_shares(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    repository.commit({**BOT, **{f"data/{number}": os.urandom(2000) for number in range(50)}})
    heard: list[Progress] = []
    one = bot(git_source(repository))
    pack(plan_of(tmp_path, one), [one], cache=tmp_path / "cache", env=env, on_progress=heard.append)
    steps = list(dict.fromkeys(progress.step for progress in heard))
    assert steps == ["fetching", "reading", "checking", "storing", "done"]
    assert all(progress.share is None or 0 <= progress.share <= 1 for progress in heard)
