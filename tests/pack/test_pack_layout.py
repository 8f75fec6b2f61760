"""How a bot's code is run, found when it is packed: import roots, what its requirements were read from, what builds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pack_sources import (
    BOT,
    TARGET,
    Repository,
    at_path,
    bot,
    git_source,
    pack_all,
    pack_one,
    package,
    plan_of,
    wheel,
    write_files,
)

from factory_cdk.bundle import Bundle, Layout
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import Lock, bundles_at_hand, locked_anew, pack, read_lock, write_lock
from factory_cdk.pack.lockfile import text_of
from factory_cdk.plan.model import Bot

LISTED = '[project]\nname = "n"\nversion = "1"\ndependencies = []\n'
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\n' + LISTED


def bundle_of(folder: Path, one: Bot, env: dict[str, str], **options: Any) -> Bundle:
    made = pack_one(folder, one, env, **options)
    assert made.bundle is not None, made.error
    return made.bundle


@pytest.mark.parametrize(
    ("files", "layout"),
    [
        ({}, Layout()),
        ({"requirements.txt": "# none\n"}, Layout(requirements_file="requirements.txt")),
        ({"bots/requirements.txt": ""}, Layout(requirements_file="bots/requirements.txt")),
        ({"pyproject.toml": LISTED}, Layout(requirements_file="pyproject.toml")),
        ({"pyproject.toml": PROJECT}, Layout(("",), "pyproject.toml", "")),
        ({"bots/pyproject.toml": PROJECT}, Layout(("",), "bots/pyproject.toml", "bots")),
    ],
)
def test_the_layout_of_plain_code(files: dict[str, str], layout: Layout, tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {**BOT, **files})
    assert bundle_of(tmp_path, bot(at_path(code)), env).layout == layout


def test_the_root_of_a_module_in_src_comes_first_and_index_options_know_their_folder(
    tmp_path: Path, env: dict[str, str]
) -> None:
    wheel(tmp_path / "code" / "wheels", "lib")
    files = {f"deep/src/{path}": text for path, text in BOT.items()}
    more = {"requirements.txt": "-r more/base.txt\n", "more/base.txt": "--find-links ../wheels  # ours\nlib\n"}
    code = write_files(tmp_path / "code", {**files, **more})
    layout = bundle_of(tmp_path, bot(at_path(code)), env).layout
    assert layout == Layout(("deep/src", ""), "requirements.txt", None, (("--find-links ../wheels", "more"),))


@pytest.fixture
def bots(repository: Repository, index: Path, tmp_path: Path) -> list[Bot]:
    """One bot of each kind: `g` of git, in src and with requirements, `p` of a path, `y` of an index."""
    wheel(index, "lib")
    repository.commit({**{f"src/{path}": text for path, text in BOT.items()}, "requirements.txt": "lib\n"})
    code = write_files(tmp_path / "code", BOT)
    return [bot(git_source(repository), name="g"), bot(at_path(code), name="p"), bot(package("lib"), "lib:run", "y")]


GIT = Layout(("src", ""), "requirements.txt")


@pytest.fixture
def lock(bots: list[Bot], tmp_path: Path, env: dict[str, str]) -> Lock:
    return locked_anew(plan_of(tmp_path, *bots), pack_all(tmp_path, bots, env), None)


def test_the_same_layouts_are_found_in_the_cache_in_the_lock_and_anew(
    bots: list[Bot], lock: Lock, tmp_path: Path, env: dict[str, str]
) -> None:
    plan, file = plan_of(tmp_path, *bots), tmp_path / "plan.lock"
    write_lock(file, lock)
    written = read_lock(file)
    assert written == lock
    expected = {"g": GIT, "p": Layout(), "y": Layout()}
    fetched = bundles_at_hand(plan, bots, cache=tmp_path / "cache", env=env)
    locked = bundles_at_hand(plan, bots, cache=tmp_path / "cache", env=env, lock=written)
    elsewhere = bundles_at_hand(plan, bots, cache=tmp_path / "another cache", env=env, lock=written)
    for bundles in (fetched, locked, elsewhere):
        assert {name: bundle.layout for name, bundle in bundles.items()} == expected
    assert elsewhere["g"] == replace(locked["g"], archive=None)


def test_a_record_of_the_cache_without_a_layout_is_made_again_from_the_cache_alone(
    bots: list[Bot], tmp_path: Path, env: dict[str, str], repository: Repository
) -> None:
    before = {made.bot: made.bundle for made in pack_all(tmp_path, bots, env).bots}
    records = list((tmp_path / "cache" / "records" / "packed").glob("*.json"))
    assert records
    for record in records:
        said = json.loads(record.read_text())
        del said["layout"]
        record.write_text(json.dumps(said))
    repository.folder.rename(tmp_path / "gone.git")
    assert bundles_at_hand(plan_of(tmp_path, *bots), bots, cache=tmp_path / "cache", env=env) == before
    assert any("layout" in json.loads(record.read_text()) for record in records)


def test_a_lock_without_layouts_holds_and_gets_them_from_the_next_lock(
    bots: list[Bot], lock: Lock, tmp_path: Path, env: dict[str, str]
) -> None:
    plan, file = plan_of(tmp_path, *bots), tmp_path / "plan.lock"
    said = json.loads(text_of(lock))
    for entry in said["bots"].values():
        entry.pop("layout", None)
    file.write_text(json.dumps(said))
    old = read_lock(file)
    there = bundles_at_hand(plan, bots, cache=tmp_path / "cache", env=env, lock=old)
    assert there["g"].layout == GIT
    elsewhere = bundles_at_hand(plan, bots, cache=tmp_path / "another cache", env=env, lock=old)
    assert not elsewhere["g"].packed, "how it is run would be a guess"
    report = pack(plan, bots, cache=tmp_path / "another cache", env=env, lock=old)
    assert report.bundles["g"].layout == GIT
    assert locked_anew(plan, report, old) == lock


def test_another_layout_than_that_of_the_lock_is_refused(
    bots: list[Bot], lock: Lock, tmp_path: Path, env: dict[str, str]
) -> None:
    forged = replace(lock, bots={**lock.bots, "g": replace(lock.bots["g"], layout=Layout(("other",)))})
    made = pack_one(tmp_path, bots[0], env, lock=forged)
    assert isinstance(made.error, FactoryError) and "not the one of plan.lock" in made.error.message


@pytest.mark.parametrize(
    "layout",
    [
        [], "src", {}, {"roots": []}, {"roots": "src"}, {"roots": ["/etc"]}, {"roots": ["a/../.."]}, {"roots": [1]},
        {"roots": [""], "project": "../x"}, {"roots": [""], "requirements_file": 5}, {"roots": [""], "more": 1},
        {"roots": [""], "index_options": ["-i x"]}, {"roots": [""], "index_options": [["x", ""]]},
        {"roots": [""], "index_options": [["-i a\n-r /etc/passwd", ""]]},
        {"roots": [""], "index_options": [["-i a", "../.."]]},
    ],
)  # fmt: skip
def test_a_lock_whose_layout_leaves_the_bundle_is_refused(layout: Any, lock: Lock, tmp_path: Path) -> None:
    said = json.loads(text_of(lock))
    said["bots"]["g"]["layout"] = layout
    file = tmp_path / "plan.lock"
    file.write_text(json.dumps(said))
    with pytest.raises(FactoryError, match=r"is not a valid plan\.lock"):
        read_lock(file)


def test_a_layout_of_a_bot_without_a_module_is_that_of_its_root(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {**BOT, "deep/requirements.txt": ""})
    command = replace(
        bot(at_path(code), TARGET), bot_path=None, command=("cat",), requirements_path="deep/requirements.txt"
    )
    assert bundle_of(tmp_path, command, env).layout == Layout(requirements_file="deep/requirements.txt")
