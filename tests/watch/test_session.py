"""`build --watch` as a developer lives with it: saved, broken, mended, and interrupted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bot_sources import repository
from local_works import lives, until
from patience import PATIENCE
from shell import Shell, fill

PLAN = """
factory:
  name: journey
  bots:
    cut: {source: {path: code}, bot_path: "bots:cut"}
    paint: {source: {path: paint shop}, bot_path: "bots:paint"}
  stages:
    test:
      here:
        type: local
        bots: {cut: , paint: {processes: 2}}
"""

CUT = """
import os
import time
from pathlib import Path

def cut(gate):
    if gate:
        Path(gate + ".begun").touch()
        while not Path(gate).exists():
            time.sleep(0.001)
    blade = Path(__file__).with_name("blade")
    return ["first", blade.read_text() if blade.exists() else None]
"""


@dataclass
class Watching:
    """A `build --watch` that runs."""

    shell: Shell
    process: subprocess.Popen[str]
    folder: Path

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    @property
    def printed(self) -> str:
        return (self.folder / "printed").read_text()

    def hears(self, *words: str, after: int = 0) -> int:
        """Wait until it has said all of `words` in turn, in what came after the position `after`; the position then."""
        for word in words:
            until(lambda: word in self.said[after:] or self._must_live())  # noqa: B023
            after = self.said.index(word, after) + len(word)
        return after

    def reloads(self, change: Callable[[], Any], *words: str) -> str:
        """Make a change and wait until it is reloaded, or until `words` are said; what was said meanwhile."""
        before = len(self.said)
        change()
        self.hears(*(words or ("reloaded ",)), after=before)
        return self.said[before:]

    def ends(self, code: int) -> str:
        """Wait for its end; all that it said."""
        self.process.wait(timeout=PATIENCE)
        assert self.process.returncode == code, self.said
        assert "Traceback" not in self.said
        return self.said

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def cut(self) -> Any:
        """What `cut` makes of a job."""
        (job,) = self.shell.submit("--bot", "cut", "--payload", "null")
        assert job["attempts"] == 1
        return job["result"]

    def becomes(self, result: Any) -> None:
        """Wait until a job of `cut` has this result."""
        until(lambda: self.cut() == result)

    def pids(self, bot: str) -> list[int]:
        return [row["pid"] for row in self.shell.workers() if row["bot"] == bot]

    def _must_live(self) -> None:
        assert self.process.poll() is None, self.said


@pytest.fixture
def start(shell: Shell) -> Iterator[Callable[..., Watching]]:
    """Starts `build --watch` on a plan of two bots, and returns when it watches."""
    shell.plan.write_text(PLAN)
    (shell.folder / "code" / "bots.py").write_text(CUT)
    (shell.folder / "paint shop").mkdir()
    (shell.folder / "paint shop" / "bots.py").write_text("def paint(part):\n    return part\n")
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> Watching:
        command = ("build", "--plan", str(shell.plan), "--stage", "test", "--watch", *options)
        with (shell.folder / "printed").open("w") as printed, (shell.folder / "said").open("w") as said:
            process = shell.start(*command, stdout=printed, stderr=said, process_group=0)
        started.append(process)
        watching = Watching(shell, process, shell.folder)
        watching.hears("watching the code of cut, paint")
        return watching

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def save(watching: Watching, path: Path, text: str) -> None:
    """Save a file in one step: one that is truncated first and written then may be seen twice, and empty."""
    whole = watching.folder / "not saved yet"  # watched by nobody
    whole.write_text(text)
    whole.replace(path)


def code(watching: Watching, text: str) -> None:
    save(watching, watching.folder / "code" / "bots.py", text)


@pytest.mark.slow
def test_a_save_reloads_its_bot_the_job_in_hand_is_finished_and_other_bots_are_left_alone(
    start: Callable[..., Watching],
) -> None:
    watching = start()
    others, gate = watching.pids("paint"), watching.folder / "gate"
    submitting = watching.shell.start(
        "submit", "--name", "journey", "--bot", "cut", "--payload", json.dumps(str(gate)), "--wait", "180"
    )
    until(gate.with_name("gate.begun").exists)
    said = watching.reloads(lambda: code(watching, CUT.replace("first", "second")))
    assert "code changed (bots.py): packing cut\n" in said
    assert "reloaded cut in " in said
    assert "1 job in hand is finished by the code from before" in said
    watching.becomes(["second", None])
    gate.touch()
    out, _ = submitting.communicate(timeout=PATIENCE)
    assert (json.loads(out)["result"], json.loads(out)["attempts"]) == (["first", None], 1)
    until(lambda: watching.pids("paint") == others)
    assert "paint" not in said
    bundles = watching.shell.home / "bundles"
    until(lambda: len([path for path in bundles.iterdir() if path.is_dir()]) == 2)  # the first code ran to its end
    watching.reloads(lambda: code(watching, "import os\nos._exit(3)\ncut = 1\n"), "the next save")
    watching.reloads(lambda: code(watching, CUT.replace("first", "third")))
    until(lambda: len([path for path in bundles.iterdir() if path.is_dir()]) == 2)
    until(lambda: len(list((watching.shell.home / "cache" / "pack" / "bundles").glob("*.zip"))) == 2)
    watching.becomes(["third", None])
    watching.interrupt()
    said = watching.ends(0)
    assert "the runner has ended, 0 jobs and 0 dead letters are kept" in said
    assert "factory-cdk demolish --name journey --stage test" in said
    assert not any(lives(pid) for pid in others)


@pytest.mark.slow
def test_a_bot_from_git_is_left_alone_by_a_save_of_the_others(start: Callable[..., Watching], shell: Shell) -> None:
    url = repository(shell.folder / "glue.git", {"bots.py": "def glue(part):\n    return part\n"})
    git = f'    glue: {{source: {{url: "{url}", depth: 1}}, bot_path: "bots:glue"}}\n'
    bots = PLAN.replace("  stages:", git + "  stages:").replace("bots: {cut: ,", "bots: {cut: , glue: ,")
    shell.plan.write_text(bots)
    watching = start()
    watching.hears("not watched: glue (git)")
    others = watching.pids("glue")
    said = watching.reloads(lambda: code(watching, CUT.replace("first", "second")))
    assert "packing cut\n" in said
    watching.becomes(["second", None])
    said = watching.reloads(lambda: save(watching, shell.plan, bots.replace("processes: 2", "processes: 1")))
    assert watching.pids("glue") == others
    watching.interrupt()
    watching.ends(0)


@pytest.mark.slow
def test_new_replaced_and_deleted_files_count_and_what_is_ignored_or_an_editors_does_not(
    start: Callable[..., Watching],
) -> None:
    watching = start()
    folder = watching.folder / "code"
    watching.reloads(lambda: save(watching, folder / ".gitignore", "*.log\nbuild/\n"), ".gitignore", "reloaded cut")

    def replace_as_editors_do() -> None:
        (folder / ".bots.py.swp").write_text("swap")
        (folder / "fresh").write_text(CUT.replace("first", "third"))
        (folder / "fresh").replace(folder / "bots.py")

    watching.reloads(lambda: save(watching, folder / "blade", "sharp"), "blade", "reloaded cut")
    watching.becomes(["first", "sharp"])
    watching.reloads(replace_as_editors_do, "bots.py", "reloaded cut")
    watching.becomes(["third", "sharp"])
    watching.reloads((folder / "blade").unlink, "blade", "reloaded cut")
    watching.becomes(["third", None])
    watching.reloads(lambda: (folder / "blade").symlink_to("bots.py"), "blade", "reloaded cut")
    watching.reloads((folder / "blade").unlink, "blade", "reloaded cut")
    (folder / "build").mkdir()
    for ignored in ("a.log", "build/out", ".#bots.py", "bots.py~", "#bots.py#", ".bots.py.swp"):
        (folder / ignored).write_text("noise")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "bots.pyc").write_bytes(b"noise")
    paint = watching.folder / "paint shop" / "colours"
    paint.mkdir()
    for colour in ("RED = 1\n", "RED = 2\n"):
        said = watching.reloads(lambda: save(watching, paint / "red.py", colour))  # noqa: B023
        assert said.startswith("paint shop changed (colours/red.py): packing paint\n")


def test_a_burst_of_saves_is_one_reload_or_few(start: Callable[..., Watching]) -> None:
    watching = start()
    saves = 300
    for number in range(saves):
        (watching.folder / "code" / "bots.py").write_text(CUT.replace("first", f"save {number}"))
    until(lambda: watching.cut()[0] == f"save {saves - 1}")
    assert watching.said.count("code changed") <= saves / 30


@pytest.mark.slow
def test_code_that_cannot_be_loaded_is_shown_with_its_reason_and_log_and_the_mend_is_taken(
    start: Callable[..., Watching],
) -> None:
    watching = start()
    pids = watching.pids("cut")
    said = watching.reloads(
        lambda: code(watching, "print('sharpening')\nimport no_such_thing\ncut = 1\n"), "the next save tries again"
    )
    assert "error: not reloaded: bot cut of here cannot be loaded: ModuleNotFoundError" in said
    assert "the end of its log:\n  | sharpening" in said
    until(lambda: watching.pids("cut") == pids)
    watching.becomes(["first", None])
    said = watching.reloads(lambda: code(watching, "def saw(job):\n    pass\n"), "the next save tries again")
    assert "bot_path bots:cut: bots.py has no 'cut'" in said
    watching.becomes(["first", None])
    watching.reloads(lambda: code(watching, CUT.replace("first", "mended")))
    watching.becomes(["mended", None])
    watching.reloads(lambda: (watching.folder / "code" / "loop").symlink_to("."), "the next save tries again")
    assert "the link 'loop' points at a folder that it lies in" in watching.said
    said = watching.reloads(
        (watching.folder / "code" / "loop").unlink, "nothing to reload: the saved code runs already"
    )
    watching.becomes(["mended", None])


@pytest.mark.slow
def test_what_was_saved_with_broken_code_is_reloaded_once_that_is_mended(start: Callable[..., Watching]) -> None:
    watching = start()
    paint = watching.folder / "paint shop" / "bots.py"

    def painted() -> Any:
        (job,) = watching.shell.submit("--bot", "paint", "--payload", "1")
        return job["result"]

    def save_both() -> None:
        save(watching, paint, "def paint(part):\n    return 'red'\n")
        code(watching, "def saw(job):\n    pass\n")

    watching.reloads(save_both, "bots.py has no 'cut'")
    code(watching, CUT.replace("first", "second"))
    watching.becomes(["second", None])
    until(lambda: painted() == "red")
    watching.reloads(lambda: code(watching, "import os\nos._exit(3)\ncut = 1\n"), "the next save tries again")
    until(lambda: {row["state"] for row in watching.shell.workers()} == {"ready"})
    said = watching.reloads(
        lambda: save(watching, paint, "def paint(part):\n    return 'blue'\n"), "the next save tries again"
    )
    assert "bot cut of here the worker exited with 3 before it was ready" in said
    code(watching, CUT.replace("first", "third"))
    watching.becomes(["third", None])
    assert painted() == "blue"


@pytest.mark.slow
def test_code_that_is_put_back_while_the_other_is_being_loaded_stays(start: Callable[..., Watching]) -> None:
    watching = start()
    loading = watching.folder / "loading"
    code(watching, f"import time\nopen({str(loading)!r}, 'w').close()\ntime.sleep(1000)\ncut = print\n")
    until(loading.exists)
    watching.reloads(lambda: code(watching, CUT))
    watching.becomes(["first", None])
    until(lambda: len(watching.pids("cut")) == 1)


@pytest.mark.slow
def test_a_plan_that_changes_is_taken_as_far_as_a_reload_can(start: Callable[..., Watching]) -> None:
    watching = start()
    plan = watching.shell.plan
    others = watching.pids("cut")
    said = watching.reloads(lambda: save(watching, plan, PLAN.replace("processes: 2", "processes: 3")))
    assert "packing" not in said
    until(lambda: len(watching.pids("paint")) == 3)
    until(lambda: watching.pids("cut") == others)
    more = PLAN + "        more:\n          {type: local, bots: {cut: {queue-name: more}}}\n".replace(
        "        more", "      more"
    )
    said = watching.reloads(lambda: save(watching, plan, more), "the next save tries again")
    assert "an update cannot change this: more/cut is new" in said
    assert "factory-cdk demolish --name journey --stage test, then build it again" in said
    said = watching.reloads(lambda: save(watching, plan, "factory: {name: journey"), "the plan is not applied")
    assert "error[F010]" in said
    (watching.folder / "elsewhere").mkdir()
    (watching.folder / "elsewhere" / "bots.py").write_text(CUT.replace("first", "elsewhere"))
    watching.reloads(lambda: save(watching, plan, PLAN.replace("path: code", "path: elsewhere")))
    watching.becomes(["elsewhere", None])
    elsewhere = watching.folder / "elsewhere" / "bots.py"
    watching.reloads(lambda: save(watching, elsewhere, CUT.replace("first", "there")))
    watching.becomes(["there", None])


def test_a_folder_that_goes_and_comes_back_is_watched_on(start: Callable[..., Watching]) -> None:
    watching = start()
    folder = watching.folder / "code"
    said = watching.reloads(lambda: folder.rename(watching.folder / "away"), "the next save tries again")
    assert "code does not exist" in said
    watching.becomes(["first", None])

    def come_back() -> None:
        folder.mkdir()
        code(watching, CUT.replace("first", "back"))

    watching.reloads(come_back)
    watching.becomes(["back", None])
    watching.reloads(lambda: code(watching, CUT.replace("first", "again")))
    watching.becomes(["again", None])


def test_without_events_files_are_looked_at_every_second(start: Callable[..., Watching], shell: Shell) -> None:
    shell.variables = {"WATCHFILES_FORCE_POLLING": "true"}
    watching = start()
    watching.reloads(lambda: code(watching, CUT.replace("first", "polled")))
    watching.becomes(["polled", None])


def test_a_runner_that_is_killed_ends_the_watch_with_the_way_out(start: Callable[..., Watching]) -> None:
    watching = start()
    watching.reloads(lambda: code(watching, CUT.replace("first", "second")))
    runner = json.loads(watching.shell.run("list", "--format", "json")[0])[0]["runner"]
    os.kill(runner, signal.SIGKILL)
    assert "the runner was killed, 0 jobs and 0 dead letters are kept: factory-cdk resume" in watching.ends(1)
    watching.shell.run("resume", "--name", "journey")
    watching.becomes(["second", None])


def test_a_watch_of_an_ended_stage_goes_on_with_its_jobs_or_leaves_it_as_it_was(start: Callable[..., Watching]) -> None:
    watching = start()
    shell = watching.shell
    shell.run("stop", "--name", "journey")
    run = shell.run("submit", "--name", "journey", "--bot", "cut", "--payload", "null")[0].strip()
    watching.interrupt()
    assert "1 job and 0 dead letters are kept" in watching.ends(0)
    command = ("build", "--plan", str(shell.plan), "--stage", "test", "--watch")
    code(watching, "import os\nos._exit(3)\ncut = 1\n")
    assert "exited with 3 before it was ready" in shell.run(*command, code=1)[1]
    code(watching, CUT.replace("first", "second"))
    shell.plan.write_text(PLAN.replace("cut: ,", "cut: {queue-name: elsewhere},"))
    assert "the queue of here/cut changed" in shell.run(*command, code=1)[1]
    shell.plan.write_text(PLAN)
    assert "does not run" in shell.run(*command[:-1], code=1)[1]
    spec = json.loads((shell.home / "factories" / "journey" / "test" / "runner-spec.json").read_text())
    again = start()
    until(lambda: '"second"' in shell.run("jobs", "list", "--name", "journey", "--run", run, "--format", "json")[0])
    again.becomes(["second", None])
    assert (
        spec["pool_specs"][0]["bundle"]
        not in (shell.home / "factories" / "journey" / "test" / "runner-spec.json").read_text()
    )


def test_a_watch_that_is_killed_takes_its_factory_along_and_the_next_one_goes_on(
    start: Callable[..., Watching],
) -> None:
    watching = start()
    workers = watching.pids("cut") + watching.pids("paint")
    loading = watching.folder / "loading"
    code(watching, f"import time\nopen({str(loading)!r}, 'w').close()\ntime.sleep(1000)\ncut = print\n")
    until(loading.exists)
    watching.process.kill()
    watching.process.wait()
    until(lambda: not any(lives(pid) for pid in workers))
    until(lambda: json.loads(watching.shell.run("list", "--format", "json")[0])[0]["state"] == "ended")
    code(watching, CUT.replace("first", "second"))
    start().becomes(["second", None])


def test_a_stage_that_is_demolished_meanwhile_ends_the_watch(start: Callable[..., Watching]) -> None:
    watching = start()
    watching.shell.run("demolish", "--name", "journey", "--yes")
    assert "journey/test is not built here any more" in watching.ends(0)


def test_ctrl_c_ends_what_is_being_locked_too(start: Callable[..., Watching]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        index = f"--index-url http://127.0.0.1:{mute.getsockname()[1]}/simple\nno-such-package-of-ours==1.0\n"
        watching = start()
        (watching.folder / "code" / "requirements.txt").write_text(index)
        connection, _ = mute.accept()  # uv asks, and nobody answers
        with connection:
            workers = watching.pids("cut") + watching.pids("paint")
            watching.interrupt()
            watching.ends(0)
    assert not any(lives(pid) for pid in workers)


def test_a_second_watch_of_a_stage_is_refused_and_so_is_one_of_nothing(start: Callable[..., Watching]) -> None:
    watching = start()
    shell = watching.shell
    again = ("build", "--plan", str(shell.plan), "--stage", "test", "--watch")
    assert "journey/test is built already and runs" in shell.run(*again, code=1)[1]
    assert "do not go together" in shell.run(*again, "--dry-run", code=2)[1]
    other = shell.folder / "other.yml"
    other.write_text(
        PLAN.replace("journey", "other")
        .replace("{path: code}", "{pypi: a, version: 1.0.0}")
        .replace("{path: paint shop}", "{pypi: b, version: 1.0.0}")
    )
    _, err = shell.run("build", "--plan", str(other), "--stage", "test", "--watch", code=1)
    assert "no bot of other/test has its code in a folder: there is nothing to watch" in err
    watching.becomes(["first", None])


@pytest.mark.slow
def test_a_home_inside_the_code_is_refused_unless_it_is_ignored(start: Callable[..., Watching], shell: Shell) -> None:
    shell.variables["FACTORY_CDK_HOME"] = str(shell.folder / "code" / "state")
    command = ("build", "--plan", str(shell.plan), "--stage", "test", "--watch")
    _, err = shell.run(*command, code=1)
    assert f"{shell.folder / 'code' / 'state'}, lies in code, and would be packed with it" in err
    (shell.folder / "code" / ".gitignore").write_text("state\n")
    watching = start()
    watching.reloads(lambda: code(watching, CUT.replace("first", "second")))
    watching.becomes(["second", None])
    watching.interrupt()
    assert watching.ends(0).count("code changed") == 1


@pytest.mark.slow
def test_on_a_full_disk_the_old_code_goes_on_and_the_next_save_is_taken_once_there_is_room(
    small_disk: Path, start: Callable[..., Watching]
) -> None:
    watching = start()
    filler = fill(small_disk)
    said = watching.reloads(lambda: code(watching, CUT.replace("first", "x" * 100_000)), "the next save tries again")
    assert "error: not reloaded: " in said
    assert "full" in said
    filler.unlink()
    watching.reloads(lambda: code(watching, CUT.replace("first", "second")))
    watching.becomes(["second", None])
