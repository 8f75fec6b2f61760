"""Config and secrets reach the bots, and secrets nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from local_works import Works, bot, stage

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local import factory
from factory_cdk.local.building import Order, build
from factory_cdk.local.dryrun import dry_run
from factory_cdk.local.secrets import resolve_secrets
from factory_cdk.plan.model import SecretReference

PEEK = """
import os

def peek(payload):
    begun_with = open("/proc/self/environ").read()
    return {"TOKEN": os.environ["TOKEN"], "LEVEL": os.environ["LEVEL"], "leaked": os.environ["TOKEN"] in begun_with}
"""


def test_secrets_come_from_a_variable_of_the_builder_and_stand_in_no_file_but_their_own(works: Works) -> None:
    works.write("peek.py", PEEK)
    peek = replace(bot("peek", "peek:peek", config={"LEVEL": {"a": 1}}), secrets={"TOKEN": SecretReference(env="MINE")})
    order = Order({"peek": works.code}, works.home, environ={"MINE": "very-secret-word"}, tempo=works.tempo)
    build(stage(peek), order, works.said.append)
    (record,) = works.run("peek", None)
    assert record.result == {"TOKEN": "very-secret-word", "LEVEL": '{"a": 1}', "leaked": False}
    state = works.state()
    holders = [
        path.name
        for path in state.folder.rglob("*")
        if path.is_file() and "queues" not in path.parts and b"very-secret-word" in path.read_bytes()
    ]
    assert holders == ["secrets.json"]
    assert state.secrets.stat().st_mode & 0o777 == 0o600
    assert "very-secret-word" not in "\n".join(works.said)


def test_a_dry_run_masks_secrets(works: Works) -> None:
    peek = replace(bot("peek", "peek:peek"), secrets={"TOKEN": SecretReference(env="MINE")})
    found = dry_run(stage(peek), {"peek": works.code}, works.home)
    assert found["variables"][0]["variables"]["TOKEN"] == "***"


def test_a_secret_without_a_value_is_named_with_where_it_was_looked_for(works: Works) -> None:
    references = {
        "A": SecretReference(),
        "B": SecretReference(env="OTHER"),
        "C": SecretReference(profile="prod", key="TOKEN"),
        "D": SecretReference(secret="name"),
    }
    peek = replace(bot("peek", "peek:peek"), secrets=references)
    with pytest.raises(FactoryError) as refused:
        build(stage(peek), Order({"peek": works.code}, works.home, environ={}), works.said.append)
    for word in ("A (variable A)", "B (variable OTHER)", "`TOKEN` in profile `prod`", "D (Secrets Manager"):
        assert word in refused.value.message
    assert factory.list_factories(works.home) == []


def test_secrets_come_from_qalx_profiles_the_bots_file_first(tmp_path: Path) -> None:
    (tmp_path / ".qalx").write_text("[default]\nTOKEN = users\nONLY = %(here)s\n")
    (tmp_path / ".bots").write_text("[default]\nTOKEN = bots\n")
    references = {
        "TOKEN": SecretReference(profile="default"),
        "RENAMED": SecretReference(profile="default", key="ONLY"),
    }
    found = resolve_secrets(replace(bot("b", "b:b"), secrets=references), {}, tmp_path)
    assert found == {"TOKEN": "bots", "RENAMED": "%(here)s"}
