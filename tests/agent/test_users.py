"""Bots with users of their own reach what is theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from agent_works import REGION, Instance
from emulator import ACCOUNT
from metadata_server import role_keys
from own_users import AGENT, own_users

from factory_cdk.agent.users import NUMBERS

PLAN = """
factory:
  name: agents
  bots:
    plain: {source: {path: code/plain}, bot_path: "plain:run"}
    trusted: {source: {path: code/trusted}, bot_path: "trusted:run"}
  stages:
    STAGE:
      here:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {plain: {}, trusted: {aws-credentials: true}}
"""
BOT = """
import json, os, signal, urllib.error, urllib.request
from pathlib import Path

def credentials(token):
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if url is None:
        return None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token})) as answer:
            return sorted(json.load(answer))
    except urllib.error.HTTPError as error:
        return error.code

def attempt(action):
    try:
        action()
        return "done"
    except OSError as error:
        return type(error).__name__

def run(payload):
    Path("own").write_text("own")
    return {
        "user": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()],
        "metadata": os.environ.get("AWS_EC2_METADATA_DISABLED"),
        "credentials": credentials(os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")),
        "with a guess": credentials("0" * 48),
        "become root": attempt(lambda: os.setuid(0)),
        "kill the agent": attempt(lambda: os.kill(os.getppid(), signal.SIGKILL)),
        **{path: attempt(lambda: Path(path).read_bytes()) for path in payload},
    }
"""


@pytest.fixture
def open_folder(instance: Instance) -> Iterator[Instance]:
    with own_users(instance):
        yield instance


@pytest.mark.e2e
def test_a_bot_reaches_what_is_its_own_and_nothing_else(open_folder: Instance) -> None:
    instance = open_folder
    for bot in ("plain", "trusted"):
        instance.write(f"{bot}/{bot}.py", BOT)
    instance.build(PLAN)
    instance.root.chmod(0o711)
    os.chown(instance.root, AGENT, AGENT)
    sts, role = instance.aws.client("sts"), f"arn:aws:iam::{ACCOUNT}:role/agents.{instance.stage}.here.{REGION}"
    instance.metadata.answers["iam/security-credentials/sector-role"] = role_keys(
        sts.assume_role(RoleArn=role, RoleSessionName="i-0")["Credentials"]
    )
    instance.start()
    assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
    home = instance.root / "agent"
    secrets = [str(path) for path in (home / "installed.json", home / "gate.json", home / "users.json")]
    secrets += [str(path) for path in (home / "spool").iterdir()]
    agent = instance.pids() - {instance.process.pid if instance.process else 0}
    secrets += [f"/proc/{pid}/environ" for pid in agent]
    found = {}
    for bot in ("plain", "trusted"):
        instance.submit(f"first-{bot}", bot, [])
        (found[bot],) = instance.results(f"first-{bot}", bot)
    for bot, other in (("plain", "trusted"), ("trusted", "plain")):
        theirs = next((home / "work").glob(f"here.{other}/*")) / "own"
        assert theirs.read_text() == "own"
        instance.submit(f"second-{bot}", bot, [*secrets, str(theirs)])
        (said,) = instance.results(f"second-{bot}", bot)
        assert {path: said[path] for path in [*secrets, str(theirs)] if said[path] != "PermissionError"} == {}
        assert (said["become root"], said["kill the agent"]) == ("PermissionError", "PermissionError")
    users = {bot: said["user"] for bot, said in found.items()}
    for number, *others in users.values():
        assert number in NUMBERS and others == [number, number, []]
    assert users["plain"] != users["trusted"]
    given = ["AccessKeyId", "Expiration", "SecretAccessKey", "Token"]
    assert [found["trusted"][what] for what in ("credentials", "with a guess")] == [given, 403]
    assert [found["plain"][what] for what in ("credentials", "with a guess")] == [None, None]
    assert {path.stat().st_uid for path in home.iterdir()} == {AGENT}
    assert (found["plain"]["metadata"], found["trusted"]["metadata"]) == ("true", "true")
    assert instance.stop() == 0
