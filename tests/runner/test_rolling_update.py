"""A runner that changes to other code while it works: nothing is lost, nobody else is touched, and it may fail."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from local_works import Works, bot, children, lives, stage, until, with_arguments

from factory_cdk.design.model import BotDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.update import UpdateRequest, decision, request_update
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.plan.model import SecretReference
from factory_cdk.state.status import UpdateStatus, read_status, runner_pid
from factory_cdk.views.stages import worker_rows

OLD = """
import os, time
from pathlib import Path

def work(payload):
    if payload:
        Path(payload + ".begun").touch()
        while not Path(payload).exists():
            time.sleep(0.001)
    return ["old", os.getpid()]
"""

NEW = "import os\ndef work(payload):\n    return ['new', os.getpid()]\n"


def ask(works: Works, *bots: BotDesign) -> UpdateRequest | None:
    """Ask the runner of the stage to change to these bots, as their code stands now."""
    design = stage(*works.packed(*bots))
    return request_update(design, BuildOptions(works.home, timings=works.timings), works.said.append, threading.Event())


def reloaded(works: Works, *bots: BotDesign) -> UpdateStatus:
    """Ask, and wait for what becomes of it."""
    asked = ask(works, *bots)
    assert asked is not None
    return decided(works, asked)


def decided(works: Works, asked: UpdateRequest) -> UpdateStatus:
    found = until(lambda: decision(asked))
    assert isinstance(found, UpdateStatus)
    return found


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def hold(works: Works, name: str, gate: Path) -> str:
    """A job in the hand of bot `name` until `gate` is there; its run."""
    run = works.submit(name, str(gate))
    until(lambda: gate.with_name("gate.begun").exists())
    return run


def test_the_job_in_hand_is_done_by_the_old_code_and_the_next_by_the_new_at_once(works: Works, gate: Path) -> None:
    works.write("maker.py", OLD)
    make = bot("make", "maker:work", to=["count"])
    works.write("other/counter.py", "def count(payload):\n    return len(payload)\n")
    count = replace(bot("count", "counter:count"), subdirectory="other")
    works.write(".factoryignore", "other\n")
    state = works.build(make, count)
    others = {works.worker("count").pid, works.runner()}
    held = hold(works, "make", gate)
    waiting = works.submit("make", None)
    works.write("maker.py", NEW)
    done = reloaded(works, make, count)
    assert (done.outcome, done.in_hand) == ("done", 1)
    (first, *_) = works.wait(waiting)
    assert (first.result[0], first.attempts) == ("new", 1)

    def makers() -> list[tuple[str, int]]:
        rows = worker_rows([factory.find(works.home, "works")])
        return [(row.state, row.in_hand) for row in rows if row.bot == "make"]

    until(lambda: makers() == [("ready", 0), ("stopping", 1)])
    gate.touch()
    records = works.wait(held)
    assert [(record.job.bot, record.outcome, record.attempts) for record in records] == [
        ("make", "success", 1), ("count", "success", 1)
    ]  # fmt: skip
    assert records[0].result[0] == "old"
    until(lambda: not lives(records[0].result[1]))
    until(lambda: len(read_status(state).workers) == 2)  # type: ignore[union-attr]
    assert {works.worker("count").pid, works.runner()} == others
    until(lambda: works.worker("make").done == 2)
    assert read_status(state).lost_leases == 0  # type: ignore[union-attr]


def test_every_worker_of_a_bot_is_replaced_while_jobs_pour_in_and_none_is_lost_or_done_twice(works: Works) -> None:
    code = "def work(number):\n    return [number, {}]\n"
    works.write("maker.py", code.format(0))
    make = bot("make", "maker:work", processes=2, batch=5)
    works.build(make)
    runs = []
    for version in range(1, 5):
        runs.append(works.submit("make", *range(200)))
        works.write("maker.py", code.format(version))
        assert reloaded(works, make).outcome == "done"
    records = [record for run in runs for record in works.wait(run)]
    assert sorted(record.result[0] for record in records) == sorted([*range(200)] * 4)
    assert {record.attempts for record in records} == {1}
    assert works.run("make", 7)[0].result == [7, 4]
    assert factory.left(works.home, "works") == factory.Left(0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_while_workers_and_the_runner_are_killed_in_the_middle_of_reloads(
    works: Works, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed, so that it can be told again
    code = "def work(number):\n    return [number, {}]\ndef take(made):\n    return made\n"
    works.write("maker.py", code.format(0))
    make = bot("make", "maker:work", to=["take"], processes=2, batch=3, max_attempts=100)
    take = bot("take", "maker:take", max_attempts=100)
    state = works.build(make, take)
    runs = []
    for version in range(1, 13):
        runs.append(works.submit("make", *range(50)))
        broken = version % 4 == 0
        works.write("maker.py", ("import no_such_thing\n" if broken else "") + code.format(version))
        asked = ask(works, with_arguments(make, processes=chance.choice([1, 2, 3])), take)
        assert asked is not None
        status = read_status(state)
        for worker in chance.sample(status.workers, 2) if status else ():
            with contextlib.suppress(ProcessLookupError):
                if worker.pid:
                    os.kill(worker.pid, signal.SIGKILL)
        if version % 3 == 0:
            os.kill(works.runner(), signal.SIGKILL)
            until(lambda: runner_pid(state) is None)
            factory.resume(works.home, "works", None, works.said.append)
        elif version % 3 == 1:
            assert decided(works, asked).outcome == ("failed" if broken else "done")
    for run in runs:
        records = works.wait(run)
        assert {str(record.outcome) for record in records} == {"success"}
        for name in ("make", "take"):
            done = [record.result[0] for record in records if record.job.bot == name]
            assert sorted(done) == list(range(50))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('so far')\ndef work(:\n", "SyntaxError"),
        ("print('so far')\nimport no_such_thing\nwork = 1\n", "No module named 'no_such_thing'"),
        ("print('so far', flush=True)\nimport os; os._exit(9)\nwork = 1\n", "exited with 9 before it was ready"),
    ],
)
def test_code_that_cannot_be_loaded_leaves_the_old_workers_at_work_and_its_mend_takes_over(
    works: Works, gate: Path, code: str, reason: str
) -> None:
    works.write("maker.py", OLD)
    make = bot("make", "maker:work")
    state = works.build(make)
    before = works.worker("make").pid
    held = hold(works, "make", gate)
    works.write("maker.py", code)
    failed = reloaded(works, make)
    assert failed.outcome == "failed"
    assert reason in failed.reason
    assert failed.reason.startswith("bot make of here ")
    assert ("so far" in failed.log) == (reason != "SyntaxError")
    gate.touch()
    assert (works.wait(held)[0].result, works.wait(held)[0].attempts) == (["old", before], 1)
    assert works.run("make", None)[0].result == ["old", before]
    until(lambda: len(read_status(state).workers) == 1)  # type: ignore[union-attr]
    works.write("maker.py", NEW)
    assert reloaded(works, make).outcome == "done"
    assert works.run("make", None)[0].result[0] == "new"


def test_other_arguments_are_taken_over_and_what_moves_jobs_elsewhere_is_refused(works: Works) -> None:
    works.write("maker.py", NEW)
    make, take = bot("make", "maker:work"), bot("take", "maker:work")
    works.build(make, take)
    before = works.worker("take").pid
    assert ask(works, make, take) is None
    assert reloaded(works, with_arguments(make, processes=3, stop=False), take).outcome == "done"
    until(lambda: works.worker("make", 3).state == "ready")
    assert reloaded(works, make, take).outcome == "done"
    until(lambda: len(read_status(works.folder()).workers) == 2)  # type: ignore[union-attr]
    assert works.worker("take").pid == before
    for bots, reason in (
        ((make,), "here/take is gone"),
        ((make, take, bot("more", "maker:work")), "here/more is new"),
        ((make, replace(take, queue="elsewhere")), "the queue of here/take changed"),
        ((bot("make", "maker:work", to=["take"]), take), "the successors of here/make changed"),
    ):
        with pytest.raises(FactoryError, match=reason):
            ask(works, *bots)
    assert works.run("make", None)[0].result[0] == "new"


def test_new_workers_get_the_secrets_that_the_runner_was_given_and_no_file_does(works: Works) -> None:
    works.write("maker.py", "import os\ndef work(payload):\n    return len(os.environ['TOKEN'])\n")
    make = replace(bot("make", "maker:work"), secrets={"TOKEN": SecretReference()})
    works.build_stage(make, environ={**os.environ, "TOKEN": "hidden-word"})
    works.write("maker.py", "import os\ndef work(payload):\n    return ['new', len(os.environ['TOKEN'])]\n")
    assert reloaded(works, make).outcome == "done"
    assert works.run("make", None)[0].result == ["new", len("hidden-word")]
    written = [path for path in works.folder().path.rglob("*") if path.is_file()]
    assert not any(b"hidden-word" in path.read_bytes() for path in written)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_runner_that_is_killed_in_the_middle_goes_on_with_the_code_that_was_at_work(
    works: Works, gate: Path, moment: str
) -> None:
    works.write("maker.py", OLD)
    make = bot("make", "maker:work")
    state = works.build(make)
    held = hold(works, "make", gate)
    if moment == "before":
        slow = f"import time\nopen({str(gate.with_name('loading'))!r}, 'w').close()\ntime.sleep(1000)\nwork = print\n"
        works.write("maker.py", slow)
        ask(works, make)
        until(gate.with_name("loading").exists)
    else:
        works.write("maker.py", NEW)
        assert reloaded(works, make).in_hand == 1
    workers = children(works.runner())
    os.kill(works.runner(), signal.SIGKILL)
    until(lambda: runner_pid(state) is None and not any(lives(pid) for pid in workers))
    gate.touch()
    factory.resume(works.home, "works", None, works.said.append)
    (record,) = works.wait(held)
    expected = "old" if moment == "before" else "new"
    assert (record.outcome, record.result[0], record.attempts) == ("success", expected, 2)
    assert works.run("make", None)[0].result[0] == expected
    assert not list(state.path.glob("next-runner-spec*"))


def test_a_demolition_in_the_middle_ends_both_the_old_and_the_new(works: Works, gate: Path) -> None:
    works.write("maker.py", OLD)
    make = bot("make", "maker:work")
    works.build(make)
    works.write("maker.py", f"import time\nopen({str(gate)!r}, 'w').close()\ntime.sleep(1000)\nwork = print\n")
    ask(works, make)
    until(gate.exists)
    workers = children(works.runner())
    works.demolish()
    until(lambda: not any(lives(pid) for pid in workers))
    assert factory.list_factories(works.home) == []


def test_other_requirements_get_an_environment_of_their_own_and_wrong_ones_change_nothing(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot_sources import make_wheel, offline

    index = works.code.parent / "index"
    for version in ("1.0", "2.0"):
        make_wheel(index, "alloy", version, f"VERSION = {version!r}\n")
    for name, value in offline(index).items():
        monkeypatch.setenv(name, value)
    works.write("maker.py", "import alloy\ndef work(payload):\n    return alloy.VERSION\n")
    works.write("requirements.txt", "alloy==1.0\n")
    make = bot("make", "maker:work")
    works.build(make)
    works.write("requirements.txt", "alloy==3.0\n")
    with pytest.raises(FactoryError, match="alloy"):
        ask(works, make)
    assert works.run("make", None)[0].result == "1.0"
    works.write("requirements.txt", "alloy==2.0\n")
    assert reloaded(works, make).outcome == "done"
    assert works.run("make", None)[0].result == "2.0"
