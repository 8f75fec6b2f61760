"""Bots made of step functions: their order, what a job carries, and what a bot can ask for through it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shims import job

STEPS = """
from factory_cdk import Bot, Job

bot = Bot("tested")
seen = []

@bot.initialisation
def initialise():
    seen.append("initialisation")

@bot.begin
def begin(job):
    seen.append("begin")
    job.context["seen"] = seen

def step(name):
    def function(job):
        job.context["seen"].append(name)
    return function

for name in ("preload", "onload", "preprocess", "precompletion", "postprocess"):
    setattr(bot, name + "_function", step(name))

@bot.process
def process(job: Job):
    job.context["seen"].append("process")
    job.payload = {"given": job.payload, "seen": seen}
"""

ASKING = """
import os, sys, threading
from pathlib import Path
from factory_cdk import Bot

bot = Bot()

@bot.onwait
def rest(job):
    print("resting", job.payload, file=sys.stderr)
    if Path("resume").exists():
        job.resume()

@bot.preprocess
def choose(job):
    if job.payload == "bad":
        job.add_step_result(success=False)
    elif job.payload == "good":
        job.add_step_result()
    elif job.payload == "cold":
        job.terminate(warm=False, requeue_job=True)
    elif job.payload == "buried":
        job.terminate(warm=False)

@bot.process
async def work(job):
    if job.payload == "status":
        job.publish_status("half\\nway " + "x" * 500)
    elif job.payload == "log":
        job.log.info("told %s", 7)
        job.log.debug("whispered")
    elif job.payload == "alone":
        job.do_workflow = False
    elif job.payload == "stop":
        job.stop_processing()
    elif job.payload == "warm":
        job.terminate()
    elif job.payload == "leaves":
        job.terminate(warm=False, requeue_job=True)
        sys.exit()
    return [job.payload, job.last_step_result]

@bot.ontermination
def end(job):
    print("ended after", job.payload, file=sys.stderr)
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "asking.py").write_text(ASKING)
    return tmp_path


def write_bot(code: Path, body: str) -> None:
    (code / "given.py").write_text("from factory_cdk import Bot\nbot = Bot()\n" + body)


@pytest.mark.parametrize("python", [None, sys.executable], ids=["without factory_cdk", "with factory_cdk"])
def test_steps_run_in_order_in_every_environment(start: Callable[..., Any], code: Path, python: str | None) -> None:
    shim = start(python) if python else start()
    assert shim.start(code, "steps:bot") == {"kind": "ready"}
    steps = ["preload", "onload", "preprocess", "process", "precompletion", "postprocess"]
    expected = ["initialisation", "begin", *steps]
    assert shim.do("p")["result"] == {"given": "p", "seen": expected}
    assert shim.do("q")["result"] == {"given": "q", "seen": expected + steps}


def test_what_process_returns_replaces_the_payload_and_none_leaves_it(start: Callable[..., Any], code: Path) -> None:
    write_bot(
        code,
        "bot.process_function = lambda job: job.payload.get('new')\n"
        "@bot.postprocess\ndef after(job):\n    job.payload['after'] = True\n",
    )
    shim = start()
    shim.start(code, "given:bot")
    assert shim.do({"a": 1})["result"] == {"a": 1, "after": True}
    assert shim.do({"new": {"b": 2}})["result"] == {"b": 2, "after": True}


def test_initialisation_may_take_the_plan_s_config_and_secrets(start: Callable[..., Any], code: Path) -> None:
    write_bot(
        code,
        "@bot.initialisation\ndef prepare(variables):\n    bot.shade = variables['SHADE']\n    return True\n"
        "@bot.process\ndef work(job):\n    return bot.shade\n",
    )
    shim = start()
    shim.start(code, "given:bot", variables={"SHADE": "dark"})
    assert shim.do(None)["result"] == "dark"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("", "BotWithoutProcess", "given:bot has no `process`"),
        (
            "bot.process_function = print\nbot.initialisation_function = lambda: False\n",
            "InitialisationFailed",
            "returned False",
        ),
        ("bot.process_function = print\nbot.initialisation_function = lambda: 1 / 0\n", "ZeroDivisionError", "zero"),
        ("bot.process_function = print\nbot.begin_function = lambda job: 1 / 0\n", "ZeroDivisionError", "zero"),
        ("bot = Bot\n", "BotNotCallable", "name an instance"),
    ],
)
def test_a_bot_that_cannot_begin_is_never_ready(
    start: Callable[..., Any], code: Path, body: str, kind: str, message: str
) -> None:
    write_bot(code, body)
    shim = start()
    answer = shim.start(code, "given:bot")
    assert (answer["kind"], answer["error"]["type"]) == ("broken", kind)
    assert message in answer["error"]["message"]
    assert shim.ends() == 1


def test_a_step_that_did_not_succeed_leaves_out_the_rest_and_fails_the_attempt(
    start: Callable[..., Any], code: Path
) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    answer = shim.do("bad", attempt=2)
    assert answer["kind"] == "failed"
    assert answer["error"] == {
        "type": "StepFailed",
        "message": "its step `preprocess` said that it did not succeed",
        "traceback": "",
        "attempt": 2,
    }
    assert shim.do("good")["result"] == ["good", True]
    assert shim.do("neither")["result"] == ["neither", None]


def test_a_job_can_keep_its_result_from_the_bots_that_follow(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    assert shim.do("alone") == {"kind": "done", "id": "j1", "result": ["alone", None], "onward": False}


def test_a_status_is_one_short_line(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    told = shim.do("status")
    assert told["kind"] == "status"
    assert told["status"].startswith("half way xxx")
    assert len(told["status"]) == 200
    assert shim.hear()["kind"] == "done"


def test_the_log_of_a_job_has_levels(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    shim.do("log")
    assert "INFO told 7\n" in shim.printed()
    assert "whispered" not in shim.printed()
    loud = start()
    loud.start(code, "asking:bot", variables={"LOGGING_LEVEL": "debug"})
    loud.do("log")
    assert "DEBUG whispered\n" in loud.printed()


def test_a_stopped_worker_gives_jobs_back_until_it_is_resumed(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    shim.say("jobs", jobs=[job("stop", id="j1"), job("x", id="j2")])
    assert shim.hear() == {"kind": "held"}
    assert shim.hear()["id"] == "j1"
    assert shim.hear() == {"kind": "returned", "ids": ["j2"]}
    assert shim.do("x", id="j3") == {"kind": "returned", "ids": ["j3"]}
    shim.say("resume")
    assert shim.do("x", id="j4")["result"] == ["x", None]


def test_a_stopped_bot_can_resume_itself_while_it_waits(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    assert shim.do("stop") == {"kind": "held"}
    assert shim.hear()["kind"] == "done"
    (code / "resume").touch()
    assert shim.hear() == {"kind": "resumed"}
    assert shim.do("x")["kind"] == "done"
    assert "resting None" in shim.printed()


def test_a_worker_that_leaves_warm_finishes_its_job_and_gives_back_what_follows(
    start: Callable[..., Any], code: Path
) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    shim.say("jobs", jobs=[job("warm", id="j1"), job("x", id="j2")])
    assert shim.hear() == {"kind": "leaving"}
    assert shim.hear() == {"kind": "done", "id": "j1", "result": ["warm", None]}
    assert shim.hear() == {"kind": "returned", "ids": ["j2"]}
    assert shim.do("x", id="j3") == {"kind": "returned", "ids": ["j3"]}
    shim.say("stop")
    assert shim.ends() == 0
    assert "ended after ['warm', None]" in shim.printed()


@pytest.mark.parametrize("payload", ["cold", "leaves"])
def test_a_worker_that_leaves_cold_can_put_its_job_back(start: Callable[..., Any], code: Path, payload: str) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    assert shim.do(payload) == {"kind": "leaving"}
    assert shim.hear() == {"kind": "returned", "ids": ["j1"]}
    shim.say("stop")
    assert shim.ends() == 0


def test_a_worker_that_leaves_cold_otherwise_gives_its_job_up(start: Callable[..., Any], code: Path) -> None:
    shim = start()
    shim.start(code, "asking:bot")
    assert shim.do("buried") == {"kind": "leaving"}
    answer = shim.hear()
    assert (answer["kind"], answer["final"], answer["error"]["type"]) == ("failed", True, "Terminated")


def test_what_onwait_and_ontermination_raise_is_logged(start: Callable[..., Any], code: Path) -> None:
    write_bot(
        code,
        "from pathlib import Path\nbot.process_function = lambda job: None\n"
        "@bot.onwait\ndef wait(job):\n    Path('waited').touch()\n    raise ValueError('dull')\n"
        "bot.ontermination_function = lambda job: 1 / 0\n",
    )
    shim = start()
    shim.start(code, "given:bot")
    while not (code / "waited").exists():
        assert shim.process.poll() is None
    assert shim.do(1)["kind"] == "done"
    shim.say("stop")
    assert shim.ends() == 0
    log = shim.printed()
    assert "onwait raised:" in log
    assert "ValueError: dull" in log
    assert "ontermination raised:" in log


def test_a_callable_gets_the_same_job(start: Callable[..., Any], code: Path) -> None:
    (code / "plain.py").write_text(
        "def work(job):\n    job.do_workflow = False\n    job.add_step_result(job.payload)\n    return 1\n"
    )
    shim = start()
    shim.start(code, "plain:work")
    assert shim.do(True) == {"kind": "done", "id": "j1", "result": 1, "onward": False}
    assert shim.do(False)["error"]["type"] == "StepFailed"


def test_a_bot_can_be_tested_without_a_factory() -> None:
    from factory_cdk import Bot, Job

    bot = Bot("alone")

    @bot.process
    def work(job: Job) -> int:
        job.publish_status("at it")
        job.log.info("at it")
        job.terminate()
        return int(job.payload) + 1

    assert work(Job(1)) == 2
    assert bot.process_function is work
