"""What a callable gets, and what becomes of what it returns and raises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BOTS = """
import asyncio, json, math, sys

def plus_one(number):
    return number + 1

def by_name(job):
    return [job.payload, job.id, job.attempt, job.tags, job.parent, job.run, job.bot]

def by_annotation(work: "Job"):
    return work.payload

from factory_cdk import Job

def by_class(work: Job):
    return work.payload

from typing import List, Optional

def by_optional(work: Optional[Job] = None):
    return work.payload

def by_optional_text(work: "typing.Optional[factory_cdk.Job]"):
    return work.payload

def by_union_text(work: "Job | None"):
    return work.payload

def list_of_jobs(work: List[Job]):
    return work

def list_of_jobs_text(work: "list[Job]"):
    return work

def union_with_text(work: "Job | str"):
    return work

async def waits(payload):
    await asyncio.sleep(0)
    return {"waited": payload}

class Nested:
    class Deep:
        @staticmethod
        def call(payload, scale=2):
            return payload * scale

def awaits_by_hand(payload):
    return waits(payload)

def divides(payload):
    return 1 / payload

def leaves(payload):
    sys.exit("enough")

def not_json(payload):
    return {1, 2}

def nan(payload):
    return math.nan

def circular(payload):
    found = []
    found.append(found)
    return found

def huge(payload):
    return "x" * (8 << 20)

class Shy(Exception):
    def __str__(self):
        raise RuntimeError("no")

def shy(payload):
    raise Shy

def chatty(payload):
    print("hello", payload)
    print("grüße", file=sys.stderr)
    return None

def two(first, second):
    return None

number = 7
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code with späces"
    folder.mkdir()
    (folder / "bots.py").write_text(BOTS, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("target", "payload", "result"),
    [
        ("bots:plus_one", 41, 42),
        ("bots:by_name", "x", ["x", "j1", 1, {}, None, "r1", "tested"]),
        ("bots:by_annotation", [1], [1]),
        ("bots:by_class", "p", "p"),
        ("bots:by_optional", "p", "p"),
        ("bots:by_optional_text", "p", "p"),
        ("bots:by_union_text", "p", "p"),
        ("bots:list_of_jobs", ["no job"], ["no job"]),
        ("bots:list_of_jobs_text", ["no job"], ["no job"]),
        ("bots:union_with_text", "no job", "no job"),
        ("bots:waits", 3, {"waited": 3}),
        ("bots:awaits_by_hand", 3, {"waited": 3}),
        ("bots:Nested.Deep.call", 3, 6),
        ("bots:chatty", "ü", None),
        ("math:floor", 2.5, 2),
        ("builtins:len", "four", 4),
    ],
)
def test_a_callable_gets_the_payload_or_the_job(
    start: Callable[..., Any], code: Path, target: str, payload: Any, result: Any
) -> None:
    shim = start()
    assert shim.start(code, target) == {"kind": "ready"}
    assert shim.do(payload) == {"kind": "done", "id": "j1", "result": result}


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("bots:divides", "ZeroDivisionError", "division by zero"),
        ("bots:leaves", "SystemExit", "enough"),
        ("bots:not_json", "ResultNotJson", "what tested returned, a set, is not JSON"),
        ("bots:nan", "ResultNotJson", "a float, is not JSON"),
        ("bots:circular", "ResultNotJson", "a list, is not JSON"),
        ("bots:huge", "ResultTooLarge", "what tested returned is not passed on: it has more than 8 MiB as JSON"),
        ("bots:shy", "bots.Shy", "cannot be printed"),
    ],
)
def test_a_job_that_fails_says_why_and_its_worker_goes_on(
    start: Callable[..., Any], code: Path, target: str, kind: str, message: str
) -> None:
    shim = start()
    shim.start(code, target)
    for attempt in (1, 2):
        answer = shim.do(0, attempt=attempt)
        assert (answer["kind"], answer["id"]) == ("failed", "j1")
        assert answer["error"]["type"] == kind
        assert message in answer["error"]["message"]
        assert answer["error"]["attempt"] == attempt


def test_a_traceback_shows_the_bots_lines_and_not_the_shims(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "bots:divides")
    traceback = shim.do(0)["error"]["traceback"]
    assert "return 1 / payload" in traceback
    assert "shim.py" not in traceback
    assert "target.py" not in traceback


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("missing:bot", "ModuleNotFoundError", "No module named 'missing'"),
        ("bots:absent", "BotNotFound", "bots has no 'absent'"),
        ("bots:number", "BotNotCallable", "is a int, neither a Bot nor a callable"),
        ("bots:two", "BotNotCallable", "cannot be called with one argument"),
    ],
)
def test_a_bot_that_cannot_be_loaded_is_reported_and_the_worker_ends(
    start: Callable[..., Any], code: Path, target: str, kind: str, message: str
) -> None:
    shim = start()
    answer = shim.start(code, target)
    assert answer["kind"] == "broken"
    assert answer["error"]["type"] == kind
    assert message in answer["error"]["message"]
    assert shim.ends() == 1


def test_stdout_and_stderr_are_the_bots_log_as_utf_8(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "bots:chatty")
    shim.do("ü")
    assert shim.printed().splitlines() == ["hello ü", "grüße"]


def test_several_jobs_in_one_frame_are_done_in_order(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "bots:plus_one")
    shim.say("jobs", jobs=[{**_job(number), "id": f"j{number}"} for number in range(5)])
    assert [shim.hear()["result"] for _ in range(5)] == [1, 2, 3, 4, 5]


def test_told_to_stop_it_finishes_the_job_in_hand_and_gives_back_the_rest(
    start: Callable[..., Any], code: Path, tmp_path: Path
) -> None:
    (code / "slow.py").write_text(
        "import time\nfrom pathlib import Path\n"
        "def wait(gate):\n    Path(gate + '.begun').touch()\n"
        "    while not Path(gate).exists(): time.sleep(0.001)\n    return 'done'\n"
    )
    shim = start()
    shim.start(code, "slow:wait")
    gate = tmp_path / "gate"
    shim.say("jobs", jobs=[{**_job(str(gate)), "id": f"j{number}"} for number in range(3)])
    while not gate.with_name("gate.begun").exists():
        assert shim.process.poll() is None
    shim.say("stop")
    gate.touch()
    assert shim.hear() == {"kind": "done", "id": "j0", "result": "done"}
    assert shim.hear() == {"kind": "returned", "ids": ["j1", "j2"]}
    assert shim.ends() == 0


def _job(payload: Any) -> dict[str, Any]:
    return {"payload": payload, "bot": "tested", "attempt": 1, "tags": {}, "parent": None, "run": "r1"}


def test_code_is_compiled_below_the_folder_that_was_named_and_the_bots_folder_is_only_read(
    start: Callable[..., Any], code: Path, tmp_path: Path
) -> None:
    (code / "package").mkdir()
    (code / "package" / "__init__.py").write_text("from package.inner import add\n")
    (code / "package" / "inner.py").write_text("import colorsys\ndef add(number):\n    return number + 1\n")
    before = sorted(code.rglob("*"))
    for _ in range(2):
        shim = start()
        assert shim.start(code, "package:add", bytecode=str(tmp_path / "compiled")) == {"kind": "ready"}
        assert shim.do(1)["result"] == 2
    assert sorted(code.rglob("*")) == before
    compiled = [path.name.partition(".")[0] for path in (tmp_path / "compiled").rglob("*.pyc")]
    assert sorted(compiled) == ["__init__", "inner"], "and nothing of the standard library"


CHILDREN = """
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from factory_cdk import Bot, Job

class Part:
    made_by = Bot("parts")
    def __init__(self, number):
        self.number = number

def square(part):
    assert isinstance(part.made_by, Bot) and Job.__name__ == "Job"
    return part.number * part.number

def pool(job: Job):
    with mp.get_context(job.payload).Pool(2) as workers:
        return workers.map(square, map(Part, [1, 2, 3]))

def executor(job: Job):
    with ProcessPoolExecutor(2, mp_context=mp.get_context(job.payload)) as workers:
        return list(workers.map(square, map(Part, [1, 2, 3])))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("target", ["children:pool", "children:executor"])
def test_processes_that_a_bot_starts_can_import_factory_cdk(
    start: Callable[..., Any], code: Path, target: str, method: str
) -> None:
    (code / "children.py").write_text(CHILDREN)
    shim = start()
    assert shim.start(code, target) == {"kind": "ready"}
    assert shim.do(method)["result"] == [1, 4, 9]


def test_a_factory_cdk_of_the_bots_own_goes_before_ours(start: Callable[..., Any], code: Path) -> None:
    (code / "factory_cdk.py").write_text("Job = 'mine'\n")
    (code / "own.py").write_text("import factory_cdk\ndef tell(payload):\n    return factory_cdk.Job\n")
    shim = start()
    assert shim.start(code, "own:tell") == {"kind": "ready"}
    assert shim.do(None)["result"] == "mine"


@pytest.mark.parametrize("name", ["signal", "types", "sys"])
def test_a_file_that_is_hidden_by_a_module_of_python_is_named(start: Callable[..., Any], code: Path, name: str) -> None:
    (code / f"{name}.py").write_text("def weld(payload):\n    return payload\n")
    shim = start()
    answer = shim.start(code, f"{name}:weld")
    assert (answer["kind"], answer["error"]["type"]) == ("broken", "BotHidden")
    assert answer["error"]["message"].startswith(f"{name}.py has the name of a module of Python itself")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_bot_may_use_processes_of_its_own(start: Callable[..., Any], code: Path, method: str) -> None:
    (code / "pooling.py").write_text(
        "import multiprocessing\n"
        "def square(number):\n    return number * number\n"
        "def work(numbers):\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        return pool.map(square, numbers)\n"
    )
    shim = start()
    shim.start(code, "pooling:work")
    assert shim.do([1, 2, 3])["result"] == [1, 4, 9]
