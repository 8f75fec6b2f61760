"""`secrets put` and `secrets check`: values reach Secrets Manager, and nothing else."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aws_proxy import Call, Fault, proxied
from emulator import Emulator
from patience import PATIENCE, until
from stack_templates import packed, synthesized

from factory_cdk.compile import compile_stage
from factory_cdk.deploy.secret_values import LARGEST
from factory_cdk.deploy.stage_secrets import StageSecret, stage_secrets
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.stage import resolve_stage

PLAN = """
factory:
  name: hiding
  bots:
    first: {source: {pypi: first, version: "1"}, bot_path: "bots:first"}
    twin: {source: {pypi: first, version: "1"}, bot_path: "bots:first"}
    second: {source: {pypi: second, version: "1"}, bot_path: "bots:second"}
    third: {source: {pypi: third, version: "1"}, bot_path: "bots:third"}
  stages:
    STAGE:
      here: &box
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots:
          first: {secrets: {TOKEN: {env: FIRST_TOKEN}, KEY: {profile: hiding, key: api_key}}}
          twin: {secrets: {TOKEN: {env: FIRST_TOKEN}, KEY: {profile: hiding, key: api_key}}}
      there:
        <<: *box
        region_name: eu-west-1
        bots:
          second: {secrets: {TOKEN: }}
          third: {secrets: {PASSWORD: {secret: STAGE/shared, key: password}}}
      desk: {type: local, bots: {first: {secrets: [TOKEN]}}}
"""
VALUES = {"FIRST_TOKEN": "tiger-7f31", "TOKEN": "zebra-a902"}
HOSTILE = "{{resolve:ssm:x}}\n$(id) \u202e\"'\\ \U0001f512 --\x1b[31m"
_stages = itertools.count(1)


@dataclass
class Stage:
    """A stage of PLAN and this program beside it; `folder` is the home of whoever runs it."""

    aws: Emulator
    folder: Path
    name: str
    variables: dict[str, str] = field(default_factory=lambda: dict(VALUES))

    @property
    def plan(self) -> Path:
        return self.folder / "factory-plan.yml"

    def design(self) -> StageDesign:
        return compile_stage(read_plan(self.plan), self.name, lock=None)

    def secrets(self) -> dict[str, StageSecret]:
        """The secret that each bot on AWS reads."""
        return {bot: one for one in stage_secrets(self.design()) for bot in one.bots}

    def make_empty(self, *bots: str) -> None:
        """Make the secrets of bots as templates do: without a value."""
        for secret in {id(one): one for bot, one in self.secrets().items() if bot in bots}.values():
            self.aws.client("secretsmanager", secret.region).create_secret(Name=secret.name)

    def value(self, bot: str) -> Any:
        secret = self.secrets()[bot]
        client = self.aws.client("secretsmanager", secret.region)
        return json.loads(client.get_secret_value(SecretId=secret.name)["SecretString"])

    def version(self, bot: str) -> str:
        """The id of the present version of the secret that `bot` reads: that of the call that wrote it."""
        secret = self.secrets()[bot]
        client = self.aws.client("secretsmanager", secret.region)
        return str(client.get_secret_value(SecretId=secret.name)["VersionId"])

    def start(self, verb: str, *arguments: str, **variables: str | None) -> subprocess.Popen[str]:
        environ: Mapping[str, str | None] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "FACTORY_CDK_HOME": str(self.folder / "home"),
            **self.aws.environment,
            **self.variables,
            **variables,
        }
        words = [sys.executable, "-m", "factory_cdk", "secrets", verb, "--plan", str(self.plan), "--stage", self.name]
        return subprocess.Popen(
            [*words, *arguments], env={name: value for name, value in environ.items() if value is not None},
            cwd=self.folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(
        self, verb: str, *arguments: str, code: int = 0, stdin: str = "", hidden: Sequence[str] = (), **variables: Any
    ) -> tuple[str, str]:
        """The output and errors of a command that exits with `code` and shows no value."""
        process = self.start(verb, *arguments, **variables)
        out, err = process.communicate(stdin, timeout=PATIENCE)
        assert process.returncode == code, (out, err)
        self.shows_nothing(out, err, hidden)
        return out, err

    def shows_nothing(self, out: str, err: str, hidden: Sequence[str] = ()) -> None:
        """No value is in the output or in a file that is not the user's own."""
        assert "Traceback" not in err
        files = [one for one in self.folder.rglob("*") if one.is_file() and one.name not in (".qalx", "stdin")]
        texts = [out, err, *(one.read_bytes().decode(errors="replace") for one in files)]
        for value in (*VALUES.values(), "lemur-55c0", *hidden):
            assert not [text for text in texts if value in text]

    def states(self, *arguments: str, code: int = 0, **variables: Any) -> dict[tuple[str, ...], tuple[str, list[str]]]:
        """What `check` says: the state and lacking keys of the secret of each set of bots."""
        out, _ = self.run("check", "--format", "json", *arguments, code=code, **variables)
        return {tuple(row["bots"]): (row["state"], row["lacking"]) for row in json.loads(out)}


@pytest.fixture
def stage(aws: Emulator, tmp_path: Path, worker_id: str) -> Stage:
    name = f"s{worker_id.removeprefix('gw')}x{next(_stages)}"
    (tmp_path / "factory-plan.yml").write_text(PLAN.replace("STAGE", name))
    (tmp_path / ".qalx").write_text("[hiding]\napi_key = lemur-55c0\n")
    return Stage(aws, tmp_path, name)


@pytest.mark.slow
def test_the_secrets_of_stacks_in_two_regions_are_filled_while_their_instances_wait(stage: Stage) -> None:
    plan = resolve_stage(read_plan(stage.plan), stage.name)
    assembly = stage.folder / "cdk.out"
    synthesized(design_stage(plan, packed(plan, stage.folder)), assembly)
    nothing = {
        ("first", "twin"): ("missing", ["KEY", "TOKEN"]),
        ("second",): ("missing", ["TOKEN"]),
        ("third",): ("missing", ["password"]),
    }
    assert stage.states(code=1) == nothing
    out, err = stage.run("put", code=1)
    assert "missing" in err
    assert "deploy its stack" in err

    for region in ("eu-west-1", "eu-west-2"):
        stage.aws.bootstrap(region)
        stack = f"hiding-{stage.name}-{region}"
        stage.aws.publish(assembly, stack)
        stage.aws.create(assembly, stack, region)
    until(lambda: stage.states(code=1)["first", "twin"][0] == stage.states(code=1)["second",][0] == "empty")
    out, err = stage.run("put", "--format", "json")
    assert [(row["region"], row["sector"], row["state"]) for row in json.loads(out)] == [
        ("eu-west-2", "here", "written"),
        ("eu-west-1", "there", "written"),
    ]
    assert stage.value("first") == stage.value("twin") == {"TOKEN": "tiger-7f31", "KEY": "lemur-55c0"}
    assert stage.value("second") == {"TOKEN": "zebra-a902"}

    stage.aws.client("secretsmanager", "eu-west-1").create_secret(
        Name=f"{stage.name}/shared", SecretString='{"password": "zebra-a902"}'
    )
    filled = {("first", "twin"): ("filled", []), ("second",): ("filled", []), ("third",): ("exists", [])}
    assert stage.states() == filled
    before = stage.version("first")
    assert "unchanged" in stage.run("put")[1]
    assert stage.version("first") == before, "what is the same is not written again"


def test_only_what_differs_is_written_and_only_what_is_chosen(stage: Stage) -> None:
    stage.make_empty("first", "second")
    stage.run("put", "--bot", "twin")
    assert stage.states("--sector", "here") == {("first", "twin"): ("filled", [])}
    assert stage.states(code=1)["second",] == ("empty", ["TOKEN"])
    stage.run("put", "--sector", "there")
    before = stage.version("first"), stage.version("second")
    _, err = stage.run("put", FIRST_TOKEN="tiger-new0", hidden=["tiger-new0"])
    assert [line.rpartition(": ")[2] for line in err.splitlines()] == ["written", "unchanged"]
    assert stage.value("first") == {"TOKEN": "tiger-new0", "KEY": "lemur-55c0"}
    assert (stage.version("first") != before[0], stage.version("second") == before[1]) == (True, True)
    assert "did you mean `here`" in stage.run("put", "--sector", "hree", code=1)[1]
    assert "no bot on AWS 'nobody'" in stage.run("check", "--bot", "nobody", code=1)[1]


def test_secrets_that_lack_keys_or_that_are_deleted_are_told_apart(stage: Stage) -> None:
    stage.make_empty("first", "second")
    secrets = stage.secrets()
    stage.aws.client("secretsmanager").put_secret_value(SecretId=secrets["first"].name, SecretString='{"KEY": "k"}')
    client = stage.aws.client("secretsmanager", "eu-west-1")
    client.delete_secret(SecretId=secrets["second"].name)
    client.create_secret(Name=secrets["third"].name, SecretString="no JSON")
    assert stage.states(code=1) == {
        ("first", "twin"): ("incomplete", ["TOKEN"]),
        ("second",): ("deleted", ["TOKEN"]),
        ("third",): ("incomplete", ["password"]),
    }
    assert "deleted" in stage.run("put", code=1)[1]


def test_nothing_is_written_while_a_value_is_missing(stage: Stage) -> None:
    stage.make_empty("first", "second")
    (stage.folder / ".qalx").unlink()
    _, err = stage.run("put", TOKEN=None, code=1)
    assert "bot first: no value for KEY (`api_key` in profile `hiding` of ~/.bots or ~/.qalx)" in err
    assert "bot second: no value for TOKEN (variable TOKEN)" in err
    assert stage.states(code=1)["first", "twin"][0] == "empty"


def test_hostile_values_arrive_as_they_are(stage: Stage) -> None:
    stage.make_empty("first", "second")
    given = {"TOKEN": HOSTILE, "KEY": "=cmd|' /C calc'!A0" + "é" * 5000}
    stage.run("put", "--bot", "first", "--from-stdin", stdin=json.dumps(given), hidden=[HOSTILE])
    assert stage.value("first") == given
    stage.run("put", "--bot", "second", TOKEN=HOSTILE, hidden=[HOSTILE])
    assert stage.value("second") == {"TOKEN": HOSTILE}
    _, err = stage.run("put", "--bot", "second", "--from-stdin", stdin=json.dumps({"TOKEN": "x" * LARGEST}), code=1)
    assert "AWS allows 65,536" in err
    assert stage.value("second") == {"TOKEN": HOSTILE}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gecko-e110", "not one JSON object"),
        ('["gecko-e110"]', "not one JSON object"),
        ('{"TOKEN": "gecko-e110"', "not one JSON object"),
        ('{"TOKEN": "gecko-e110"} x', "not one JSON object"),
        ("[" * 100_000 + "gecko-e110", "not one JSON object"),
        ('{"TOKEN": {"a": "gecko-e110"}}', "not a text"),
        ('{"TOKEN": ["gecko-e110"]}', "not a text"),
        ('{"TOKEN": "gecko-e110\\u0000"}', "not a text"),
        ('{"TOKEN": "gecko-e110", "TOKEN": "b"}', "duplicate key"),
        ('{"TOKEN": "gecko-e110", "gecko-e110": "b"}', "1 key that none"),
        ("{}", "has no TOKEN"),
        (json.dumps({"TOKEN": "gecko-e110" * 200_000}), "longer than 1 MiB"),
    ],
)
def test_what_is_no_object_of_texts_is_refused_without_being_shown(stage: Stage, text: str, said: str) -> None:
    _, err = stage.run("put", "--bot", "second", "--from-stdin", stdin=text, code=1, hidden=["gecko-e110"])
    assert said in err


def test_one_value_is_not_taken_for_two_different_ones(stage: Stage) -> None:
    _, err = stage.run(
        "put", "--from-stdin", stdin='{"TOKEN": "gecko-e110", "KEY": "b"}', code=1, hidden=["gecko-e110"]
    )
    assert "TOKEN comes from different places" in err


@pytest.mark.parametrize("verb", ["put", "check"])
def test_without_credentials_the_way_to_some_is_named(stage: Stage, verb: str) -> None:
    _, err = stage.run(verb, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, code=1)
    assert "AWS_PROFILE" in err
    _, err = stage.run(verb, AWS_PROFILE="nobody", code=1)
    assert "AWS_PROFILE" in err


def test_a_permission_that_is_missing_is_named(stage: Stage) -> None:
    stage.make_empty("first", "second", "third")
    with proxied(stage.aws.url) as proxy:
        for action in ("DescribeSecret", "GetSecretValue", "PutSecretValue"):
            proxy.choose = lambda call, action=action: Fault.DENIED if call.operation.endswith(action) else None
            _, err = stage.run("put", AWS_ENDPOINT_URL=proxy.url, code=1)
            assert f"these credentials need secretsmanager:{action}" in err
        proxy.choose = lambda call: Fault.EXPIRED
        assert "AWS_PROFILE" in stage.run("check", AWS_ENDPOINT_URL=proxy.url, code=1)[1]
        name = stage.secrets()["third"].name.encode()
        proxy.choose = lambda call: (
            Fault.DENIED if call.operation.endswith("GetSecretValue") and name in call.body else None
        )
        out, err = stage.run("check", "--bot", "third", AWS_ENDPOINT_URL=proxy.url)
        assert "exists" in out
        assert "may not read it" in err


def test_what_aws_says_of_an_invalid_value_is_not_passed_on(stage: Stage) -> None:
    stage.make_empty("first", "second")
    with proxied(stage.aws.url) as proxy:
        proxy.choose = lambda call: Fault.INVALID if call.operation.endswith("PutSecretValue") else None
        _, err = stage.run("put", AWS_ENDPOINT_URL=proxy.url, code=1)
        assert "ValidationException" in err


def test_an_interrupted_put_is_gone_on_with_by_the_next_one(stage: Stage) -> None:
    stage.make_empty("first", "second")
    other = stage.secrets()["second"].name.encode()
    reached, go_on = threading.Event(), threading.Event()

    def choose(call: Call) -> Fault | None:
        if call.operation.endswith("PutSecretValue") and other in call.body:
            reached.set()
            assert go_on.wait(PATIENCE)
            return Fault.CUT
        return None

    with proxied(stage.aws.url) as proxy:
        proxy.choose = choose
        process = stage.start("put", AWS_ENDPOINT_URL=proxy.url)
        try:
            assert reached.wait(PATIENCE)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            go_on.set()
            process.kill()
            process.wait()
    assert process.returncode == 130
    stage.shows_nothing(out, err)
    assert f"{stage.secrets()['first'].name} (eu-west-2): written" in err
    assert stage.states("--bot", "second", code=1) == {("second",): ("empty", ["TOKEN"])}
    _, err = stage.run("put")
    assert [line.rpartition(": ")[2] for line in err.splitlines()] == ["unchanged", "written"]


def test_a_put_whose_answer_is_lost_writes_one_version(stage: Stage) -> None:
    stage.make_empty("second")
    with proxied(stage.aws.url) as proxy:
        lost = iter([Fault.ANSWER_LOST])
        proxy.choose = lambda call: next(lost, None) if call.operation.endswith("PutSecretValue") else None
        stage.run("put", "--bot", "second", AWS_ENDPOINT_URL=proxy.url)
        sent = [json.loads(call.body) for call in proxy.calls if call.operation == "secretsmanager.PutSecretValue"]
    assert [one["ClientRequestToken"] for one in sent] == [stage.version("second")] * 2
    assert stage.value("second") == {"TOKEN": "zebra-a902"}


def test_a_stage_without_sectors_on_aws_has_no_secrets_there(stage: Stage) -> None:
    text = stage.plan.read_text()
    stage.plan.write_text(text + "    none:\n      desk: {type: local, bots: {first: {}}}\n")
    stage.name = "none"
    assert "has no aws sector" in stage.run("check", code=1)[1]
