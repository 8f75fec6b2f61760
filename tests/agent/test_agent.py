"""The agent of an instance, for real: a process with the stack of its sector in an emulated AWS, uv and workers."""

from __future__ import annotations

import pytest
from agent_works import Instance
from bot_sources import make_wheel
from patience import PATIENCE

PLAN = """
factory:
  name: agents
  config: {LEVEL: info}
  bots:
    first: {source: {path: code/first}, bot_path: "first:run", requirements_path: requirements.txt}
    second: {source: {path: code/second}, bot_path: "second:run"}
  workflows: {flow: {first: second}}
  stages:
    STAGE:
      workflow: flow
      here:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {first: {}, second: {}}
"""
FIRST = """
import os
from greetings import greet

def run(payload):
    if payload == {"pid": True}:
        return os.getpid()
    print("first gets", payload)
    return greet(payload) + " " + os.environ["LEVEL"]
"""
SECOND = """
import os

def run(payload):
    if payload == {"pid": True}:
        return os.getpid()
    return f"VERSION {payload}"
"""


def built(instance: Instance, plan: str = PLAN) -> Instance:
    """The stack is created, and complete: its agent is at work."""
    instance.write("first/first.py", FIRST)
    instance.write("first/requirements.txt", "greetings\n")
    instance.write("second/second.py", SECOND.replace("VERSION", "one"))
    instance.build(plan)
    instance.start()
    assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
    return instance


@pytest.mark.e2e
def test_an_instance_installs_its_release_and_runs_jobs(instance: Instance) -> None:
    built(instance)
    instance.submit("r1", "first", "you", "all")
    assert sorted(instance.results("r1", "second")) == ["one hello all info", "one hello you info"]
    assert instance.stop() == 0


@pytest.mark.e2e
def test_a_new_release_of_one_bot_restarts_it_alone(instance: Instance) -> None:
    built(instance)
    first, second = instance.pid_of("first"), instance.pid_of("second")
    instance.write("second/second.py", SECOND.replace("VERSION", "two"))
    instance.build(PLAN)
    assert instance.stack_ends() == "UPDATE_COMPLETE", (instance.reasons(), instance.printed())
    assert instance.pid_of("first") == first
    assert instance.pid_of("second") != second
    instance.submit("r2", "first", "you")
    assert instance.results("r2", "second") == ["two hello you info"]


@pytest.mark.e2e
def test_a_bad_release_leaves_the_old_bots_running_and_says_why(instance: Instance) -> None:
    built(instance)
    first, second = instance.pid_of("first"), instance.pid_of("second")
    instance.write("second/second.py", "raise RuntimeError('no such thing')\n\ndef run(payload): ...\n")
    instance.build(PLAN)
    assert instance.stack_ends() == "UPDATE_ROLLBACK_COMPLETE", (instance.reasons(), instance.printed())
    assert "bot second of here" in instance.reasons() and "RuntimeError: no such thing" in instance.reasons()
    assert (instance.pid_of("first"), instance.pid_of("second")) == (first, second)
    instance.submit("r2", "first", "you")
    assert instance.results("r2", "second") == ["one hello you info"]


@pytest.mark.e2e
def test_requirements_that_cannot_be_installed_are_told_with_the_words_of_uv(instance: Instance) -> None:
    built(instance)
    make_wheel(instance.index, "partings", "1.0", "word = 'bye'\n")
    instance.write("first/requirements.txt", "greetings\npartings\n")
    instance.pack(PLAN)
    next(instance.index.glob("partings-*")).unlink()
    instance.build(PLAN)
    assert instance.stack_ends() == "UPDATE_ROLLBACK_COMPLETE", (instance.reasons(), instance.printed())
    assert "partings" in instance.reasons() and "cannot be made" in instance.reasons()
    instance.submit("r2", "first", "you")
    assert instance.results("r2", "second") == ["one hello you info"]


@pytest.mark.e2e
def test_a_route_that_changes_starts_the_bots_anew(instance: Instance) -> None:
    built(instance)
    instance.build(PLAN.replace("{first: second}", "[first, second]"))
    assert instance.stack_ends() == "UPDATE_COMPLETE", (instance.reasons(), instance.printed())
    instance.submit("r2", "first", "you")
    assert [one.result for one in instance.outcomes("r2")] == ["hello you info"]


@pytest.mark.e2e
def test_a_bot_that_is_new_and_cannot_be_loaded_stops_none_of_the_others(instance: Instance) -> None:
    alone = PLAN.replace("bots: {first: {}, second: {}}", "bots: {first: {}}").replace("{first: second}", "[first]")
    built(instance, alone)
    first = instance.pid_of("first")
    instance.write(
        "second/second.py", "import os\nassert 'SECOND' in os.environ, 'not here'\n\ndef run(payload): ...\n"
    )
    instance.build(PLAN)
    assert instance.stack_ends() == "UPDATE_ROLLBACK_COMPLETE", (instance.reasons(), instance.printed())
    assert "bot second of here" in instance.reasons() and "AssertionError: not here" in instance.reasons()
    assert instance.pid_of("first") == first
    instance.write("second/second.py", SECOND.replace("VERSION", "two"))
    instance.build(PLAN)
    assert instance.stack_ends() == "UPDATE_COMPLETE", (instance.reasons(), instance.printed())
    instance.submit("r2", "first", "you")
    assert instance.results("r2", "second") == ["two hello you info"]


@pytest.mark.e2e
def test_a_spot_notice_ends_the_agent_warm(instance: Instance) -> None:
    built(instance)
    instance.metadata.answers["spot/instance-action"] = '{"action": "terminate", "time": "2026-11-29T12:00:00Z"}'
    assert instance.process is not None
    assert instance.process.wait(PATIENCE) == 0
    assert "this instance will be taken away: terminate" in instance.printed()
    assert "ending warm" in instance.printed()


@pytest.mark.e2e
def test_the_gate_stops_and_lets_go_on(instance: Instance) -> None:
    built(instance)
    instance.gate("stop")
    instance.until_logged("the gate is closed")
    instance.submit("r2", "first", "you")
    instance.gate("run")
    assert instance.results("r2", "second") == ["one hello you info"]


@pytest.mark.e2e
def test_an_agent_that_was_killed_goes_on_where_it_was(instance: Instance) -> None:
    """It starts from the release that it had, without asking anybody for it."""
    built(instance)
    instance.kill()
    instance.submit("r2", "first", "you")
    instance.environ["AWS_ENDPOINT_URL"] = "http://localhost:9"
    instance.start()
    assert instance.results("r2", "second") == ["one hello you info"]
