"""The agent of an instance, for real: a process with the stack of its sector in an emulated AWS, uv and workers."""

from __future__ import annotations

import pytest
from agent_works import Instance

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


@pytest.mark.slow
def test_an_instance_installs_its_release_and_runs_jobs(instance: Instance) -> None:
    built(instance)
    instance.submit("r1", "first", "you", "all")
    assert sorted(instance.results("r1", "second")) == ["one hello all info", "one hello you info"]
    assert instance.stop() == 0
