"""Tables fit the terminal that they are on, lose nothing that is to be copied, and are whole where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from patience import PATIENCE
from queue_calls import claim, fail, settle_and_claim
from terminal import on_terminal

from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments, Successor
from factory_cdk.queues.port import Failure, Finished, Forward, Job
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.state.files import write_json
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, spec_as_json
from factory_cdk.state.stage_folder import StageFolder, stage_folder
from factory_cdk.state.status import PoolStatus, Status, WorkerStatus, status_as_json

RUN = "1f25d619e998c532"
CHILD = f"{RUN}-1.ba1755b628120e17e3b8"
NAME = ["--name", "image-pipeline"]
TABLES = {
    "ps": ["ps"],
    "list": ["list"],
    "info": ["info", *NAME],
    "jobs list": ["jobs", "list", *NAME],
    "jobs dead": ["jobs", "dead", *NAME],
    "jobs stats": ["jobs", "stats", *NAME],
    "top": ["top", "--once"],
}
HEADERS = ("factory         ", "sector ", "bot ", "id ")


def pool_spec(bot: str, *successors: str) -> PoolSpec:
    to = tuple(Successor("workshop_sector", one, f"{one}-images") for one in successors)
    return PoolSpec(
        *("workshop_sector", bot, f"{bot}-images", to, BotArguments(processes=2)),
        *(Start("target", (f"bots:{bot}",)), FACTORY_QUEUES, 2, "/", "/", (), "/bin/python", (), None, {}, {}),
    )


def worker(bot: str, number: int) -> WorkerStatus:
    return WorkerStatus("workshop_sector", bot, number, 1234567, "busy", 0.0, 0, 123456, 1234, 1, "heating the oven")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A stage with names of usual length, and a job that followed from another and is dead."""
    state: StageFolder = stage_folder(tmp_path, "image-pipeline", "production")
    state.path.mkdir(parents=True)
    pool_specs = (pool_spec("thumbnailer", "publisher"), pool_spec("publisher"))
    spec = RunnerSpec("image-pipeline", "production", pool_specs, ())
    write_json(state.spec, spec_as_json(replace(spec, plan="/srv/plans/image-pipeline/factory-plan.yml")))
    workers = tuple(worker(bot, number) for bot in ("thumbnailer", "publisher") for number in (1, 2))
    pools = tuple(PoolStatus("workshop_sector", one.bot, one.queue, True, None) for one in pool_specs)
    write_json(state.status, status_as_json(Status(1, 0.0, "open", "", workers, pools)))
    ask(state, gate="open")
    with SqliteQueues(state.database / "queues.sqlite3") as queues:
        queues.send("thumbnailer-images", [Job(f"{RUN}-1", "thumbnailer", None, RUN)])
        (lease,) = claim(queues, "thumbnailer-images", 1, lease=1000)
        child = Forward("publisher-images", Job(CHILD, "publisher", None, RUN, f"{RUN}-1"))
        settle_and_claim(queues, [Finished(lease, [child], None)], [])
        (lease,) = claim(queues, "publisher-images", 1, lease=1000)
        error = "the picture has an unexpected colour space: CMYK where sRGB was wanted"
        fail(queues, lease, Failure("ValueError", error, "", 1), delay=None)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "FACTORY_CDK_HOME": str(home), "NO_COLOR": "1", "TERM": "xterm"}


def shown(home: Path, arguments: list[str], columns: int) -> str:
    return on_terminal([sys.executable, "-m", "factory_cdk", *arguments], columns=columns, env=environment(home))


def piped(home: Path, arguments: list[str]) -> str:
    command = [sys.executable, "-m", "factory_cdk", *arguments]
    done = subprocess.run(
        command,
        env={**environment(home), "COLUMNS": "40"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("columns", [80, 100])
def test_tables_fit_the_terminal(home: Path, name: str, columns: int) -> None:
    assert max(map(len, piped(home, TABLES[name]).splitlines())) > 80, "else there is nothing to fit"
    lines = shown(home, TABLES[name], columns).splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(HEADERS))
    # What is said of the stage, and failures in `top`, are lines that a terminal folds.
    table = [line for line in lines[begin:] if not line.startswith(("a wider", "image-pipeline/", "  publisher"))]
    assert len(table) > 1
    assert max(map(len, table)) <= columns, "\n".join(table)


def test_ids_are_never_cut_and_errors_go_on_in_further_lines(home: Path) -> None:
    text = shown(home, TABLES["jobs list"], 80)
    assert any(line.startswith(f"{CHILD}  publisher    dead  ") for line in text.splitlines())
    words = " ".join(text.replace("publisher", "").replace("dead", "").split())
    assert "unexpected" in words and "sRGB" in words


@pytest.mark.slow
def test_what_is_left_out_is_said(home: Path) -> None:
    header, *_ = text = shown(home, ["ps"], 80).splitlines()
    assert header.split() == ["factory", "stage", "sector", "bot", "worker", "pid", "state"]
    assert "a wider terminal also shows: uptime, restarts, done, failed, in hand" in text
    assert "in hand" in shown(home, ["ps"], 200).splitlines()[0]


@pytest.mark.slow
def test_depths_of_queues_and_times_of_jobs_become_tables_of_their_own(home: Path) -> None:
    text = shown(home, TABLES["info"], 80)
    assert text.count("thumbnailer") == 3, "once a bot, once a bot with its queue"
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("sector")] == [
        ["sector", "bot", "takes"],
        ["sector", "bot", "queue"],
    ]
    stats = shown(home, TABLES["jobs stats"], 80)
    assert stats.count("thumbnailer") == 2
    assert "wider" not in stats, "nothing had to be left out"


@pytest.mark.slow
def test_names_are_folded_only_where_all_else_is_of_no_use(home: Path) -> None:
    lines = shown(home, ["ps"], 60).splitlines()
    assert [line[:12].strip() for line in lines[1:3]] == ["image-pipeli", "ne"]
    assert "image-pipeline  " in shown(home, ["ps"], 100).splitlines()[1]


def test_without_a_terminal_tables_are_whole(home: Path) -> None:
    header, row, *_ = piped(home, ["ps"]).splitlines()
    assert header.endswith("done  failed  in hand")
    assert row.startswith("image-pipeline  production  workshop_sector  thumbnailer       1")
