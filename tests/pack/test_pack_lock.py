"""plan.lock: what it holds, how it is read and written, and what of a plan makes it stale."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pack_sources import BOT, Repository, at_path, bot, git_source, pack_all, package, plan_of, wheel, write_files

from factory_cdk.bundle import unpacked
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import (
    Lock,
    bundles_at_hand,
    lock_path,
    locked_anew,
    pack,
    read_lock,
    refuse_stale,
    stale,
    write_lock,
)
from factory_cdk.pack.lockfile import text_of
from factory_cdk.plan.model import Bot, GitSource, PypiSource


@pytest.fixture
def bots(repository: Repository, index: Path, tmp_path: Path) -> list[Bot]:
    """One bot of each kind: `g`, `p` and `y`."""
    wheel(index, "lib")
    repository.commit({**BOT, "requirements.txt": "lib\n"})
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "lib\n"})
    return [
        bot(git_source(repository, "main"), name="g"),
        bot(at_path(code), name="p"),
        bot(package("lib"), "lib:run", "y"),
    ]


@pytest.fixture
def lock(bots: list[Bot], tmp_path: Path, env: dict[str, str]) -> Lock:
    return locked_anew(plan_of(tmp_path, *bots), pack_all(tmp_path, bots, env), None)


def changes(lock: Lock | None, tmp_path: Path, bots: Sequence[Bot]) -> list[str]:
    return [f"{change.bot}: {change.what}" for change in stale(lock, plan_of(tmp_path, *bots))]


def test_a_lock_is_sorted_json_that_reads_back_as_it_was_written(lock: Lock, tmp_path: Path) -> None:
    whole = replace(
        lock,
        home_regions={"dev": "eu-west-2"},
        default_region="eu-west-1",
        stacks={"dev": {"box": "works-dev-eu-west-2"}},
        queue_stacks={"dev": {"q": "works-dev-queues", "p": "works-dev-queues-2"}},
    )
    file = tmp_path / "plan.lock"
    assert write_lock(file, whole) is True
    assert write_lock(file, whole) is False
    assert read_lock(file) == whole
    said = json.loads(file.read_text())
    assert file.read_text() == json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert sorted(said["bots"]) == ["g", "p", "y"]
    assert sorted(path.name for path in tmp_path.glob(".plan.lock*")) == []


def test_a_lock_names_no_path_of_this_machine_and_no_time(lock: Lock, tmp_path: Path, repository: Repository) -> None:
    assert str(tmp_path) not in text_of(lock).replace(repository.url, "")
    assert lock.bots["p"].digest is None
    assert lock.bots["g"].commit
    assert lock.bots["y"].requirements[0].startswith("lib==1.0 --hash=sha256:")


def test_the_same_pack_makes_the_same_lock(lock: Lock, bots: list[Bot], tmp_path: Path, env: dict[str, str]) -> None:
    plan = plan_of(tmp_path, *bots)
    elsewhere = pack(plan, list(reversed(bots)), cache=tmp_path / "elsewhere", env=env)
    assert text_of(locked_anew(plan, elsewhere, None)) == text_of(lock)


def test_a_lock_holds_for_its_plan(lock: Lock, bots: list[Bot], tmp_path: Path) -> None:
    assert changes(lock, tmp_path, bots) == []
    assert refuse_stale(lock, plan_of(tmp_path, *bots)) is lock


def test_edited_code_of_a_path_source_leaves_the_lock_alone(lock: Lock, bots: list[Bot], tmp_path: Path) -> None:
    (tmp_path / "code" / "bots" / "more.py").write_text("x = 1\n")
    assert changes(lock, tmp_path, bots) == []


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (0, lambda one: replace(one, source=replace(one.source, branch="develop")), "branch was main and is develop"),
        (0, lambda one: replace(one, source=replace(one.source, subdirectory="x")), "subdirectory was not set"),
        (0, lambda one: replace(one, source=GitSource("https://u:word@h/r")), "url was file://"),
        (0, lambda one: replace(one, source=PypiSource("lib")), "its source was git and is pypi"),
        (1, lambda one: replace(one, requirements_path="r.txt"), "requirements_path was not set and is r.txt"),
        (1, lambda one: replace(one, bot_path="bots.other:run"), "module of bot_path was bots.first and is bots.other"),
        (2, lambda one: replace(one, source=PypiSource("lib", "1.0")), "version was not set and is 1.0"),
    ],
)  # fmt: skip
def test_what_changed_in_the_plan_is_told_bot_by_bot(
    number: int, change: Callable[[Bot], Bot], said: str, lock: Lock, bots: list[Bot], tmp_path: Path
) -> None:
    edited = [change(one) if at == number else one for at, one in enumerate(bots)]
    found = changes(lock, tmp_path, edited)
    assert any(line.startswith(f"{bots[number].name}: ") and said in line for line in found)
    assert "word" not in "".join(found)
    with pytest.raises(FactoryError, match="does not match this plan") as refused:
        refuse_stale(lock, plan_of(tmp_path, *edited))
    assert f"{bots[number].name}: " in refused.value.message
    assert "factory-cdk lock" in str(refused.value.remedy)


def test_the_transfer_options_and_the_name_of_the_attribute_change_nothing(
    lock: Lock, bots: list[Bot], tmp_path: Path, repository: Repository
) -> None:
    quiet = replace(bots[0], source=git_source(repository, "main", options={"quiet": True, "depth": 5}))
    assert changes(lock, tmp_path, [quiet, replace(bots[1], bot_path="bots.first:other"), bots[2]]) == []


def test_a_python_a_manifest_a_new_and_a_lost_bot_are_changes(lock: Lock, bots: list[Bot], tmp_path: Path) -> None:
    newer = [change.what for change in stale(lock, plan_of(tmp_path, *bots, python="3.13"))]
    assert newer == ["python was 3.11 and is 3.13"] * 3
    (tmp_path / "code" / "requirements.txt").write_text("lib\nmore\n")
    assert changes(lock, tmp_path, bots) == ["p: requirements.txt changed"]
    (tmp_path / "code" / "requirements.txt").unlink()
    assert changes(lock, tmp_path, bots) == ["p: its requirements file is no longer there"]
    new = bot(package("lib"), "lib:run", "new")
    assert changes(lock, tmp_path, [bots[0], new]) == [
        "new: it is not in plan.lock",
        "p: it is no longer in the plan",
        "y: it is no longer in the plan",
    ]
    assert stale(lock, plan_of(tmp_path, bots[0]), [bots[0]]) == ()


def test_a_missing_lock_and_that_of_another_factory_are_told(lock: Lock, bots: list[Bot], tmp_path: Path) -> None:
    assert changes(None, tmp_path, bots) == ["None: there is no plan.lock"]
    assert "other" in changes(replace(lock, factory="other"), tmp_path, bots)[0]
    with pytest.raises(FactoryError, match="there is no plan"):
        refuse_stale(None, plan_of(tmp_path, *bots))


def test_relocking_keeps_what_still_holds_and_the_versions_that_still_fit(
    lock: Lock, bots: list[Bot], index: Path, tmp_path: Path, env: dict[str, str], repository: Repository
) -> None:
    wheel(index, "lib", "2.0")
    wheel(index, "more")
    repository.commit({**BOT, "gone.txt": ""})
    (tmp_path / "code" / "requirements.txt").write_text("lib\nmore\n")
    plan = plan_of(tmp_path, *bots)
    again = locked_anew(plan, pack(plan, bots, cache=tmp_path / "new", env=env, lock=lock), lock)
    assert (again.bots["g"], again.bots["y"]) == (lock.bots["g"], lock.bots["y"])
    assert [line.partition(" ")[0] for line in again.bots["p"].requirements] == ["lib==1.0", "more==1.0"]
    upgraded = locked_anew(plan, pack(plan, bots, cache=tmp_path / "new", env=env, lock=again, fresh=["y"]), again)
    assert upgraded.bots["g"] == lock.bots["g"]
    assert upgraded.bots["p"] == again.bots["p"]
    assert upgraded.bots["y"].requirements[0].startswith("lib==2.0")


def test_one_stage_of_a_plan_can_be_relocked_alone(
    lock: Lock, bots: list[Bot], tmp_path: Path, env: dict[str, str]
) -> None:
    plan = plan_of(tmp_path, *bots)
    whole = replace(lock, queue_stacks={"dev": {"a": "works-dev-queues"}})
    again = locked_anew(plan, pack(plan, bots[:1], cache=tmp_path / "cache", env=env, lock=whole), whole)
    assert again == whole


def test_a_failure_makes_no_lock(bots: list[Bot], tmp_path: Path, env: dict[str, str]) -> None:
    broken = [bots[0], bot(package("gone"), "gone:run", "x")]
    with pytest.raises(FactoryError, match="1 of 2 bots could not be packed") as refused:
        locked_anew(plan_of(tmp_path, *broken), pack_all(tmp_path, broken, env), None)
    assert "x: " in refused.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not valid JSON"),
        ("[]", "is not a plan.lock file"),
        ('{"format": 99, "factory": "f"}', "newer factory-cdk"),
        ('{"format": 1}', "not a valid plan.lock"),
        ('<<<<<<< ours\n{"format": 1}\n', "unresolved merge conflict"),
        ('{"format": 1, "factory": "f", "bots": {"b": {}}}', "not a valid plan.lock"),
        ('{"format": 1, "factory": "f", "bots": []}', "not a valid plan.lock"),
        ('{"format": 1, "factory": "f", "bots": {"b": {"source": {}, "digest": "../../x"}}}', "not a valid plan.lock"),
        ('{"format": 1, "factory": "f", "bots": {"b": {"source": {}, "commit": "--x"}}}', "not a valid plan.lock"),
        (
            '{"format": 1, "factory": "f", "bots": {"b": {"source": {}, "requirements": ["--index-url http://x"]}}}',
            "not a valid plan.lock",
        ),
        ('{"format": 1, "factory": "f", "home_regions": {"dev": 1}}', "not a valid plan.lock"),
        ('{"format": 1, "factory": "f", "queue_stacks": {"dev": []}}', "not a valid plan.lock"),
        ('{"format": 1, "factory": "f", "queue_stacks": {"dev": {"q": "a b"}}}', "not a valid plan.lock"),
    ],
)
def test_a_lock_that_was_tampered_with_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.lock"
    file.write_text(text)
    with pytest.raises(FactoryError, match=said) as refused:
        read_lock(file)
    assert refused.value.remedy


def test_no_lock_is_none_and_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "plan.lock") is None
    (tmp_path / "plan.lock").mkdir()
    with pytest.raises(FactoryError):
        read_lock(tmp_path / "plan.lock")
    with pytest.raises(FactoryError):
        write_lock(tmp_path / "plan.lock", Lock("f"))
    assert [path.name for path in tmp_path.iterdir()] == ["plan.lock"]


def test_the_lock_lies_beside_the_plan(tmp_path: Path) -> None:
    assert lock_path(plan_of(tmp_path)) == tmp_path / "plan.lock"


def test_with_a_lock_every_machine_embeds_the_same_without_cache_or_network(
    lock: Lock, bots: list[Bot], repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    plan = plan_of(tmp_path, *bots)
    packed = pack(plan, bots, cache=tmp_path / "cache", env=env, lock=lock).bundles
    repository.folder.rename(tmp_path / "unreachable")
    here = bundles_at_hand(plan, bots, cache=tmp_path / "cache", lock=lock, env=env)
    there = bundles_at_hand(plan, bots, cache=tmp_path / "another-machine", lock=lock, env=env)
    assert here == packed
    assert {name: replace(bundle, archive=None) for name, bundle in here.items()} == {
        name: replace(bundle, archive=None) for name, bundle in there.items()
    }
    assert (there["g"].archive, there["y"].archive) == (None, None)
    assert there["p"].archive is not None


def test_without_a_lock_what_was_packed_here_last_is_at_hand_and_all_else_is_unpacked(
    bots: list[Bot], repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    plan = plan_of(tmp_path, *bots)
    before = bundles_at_hand(plan, bots, cache=tmp_path / "cache", env=env)
    assert before == {one.name: unpacked(one) for one in bots}
    packed = pack(plan, bots, cache=tmp_path / "cache", env=env).bundles
    repository.folder.rename(tmp_path / "unreachable")
    assert bundles_at_hand(plan, bots, cache=tmp_path / "cache", env=env) == packed


def test_a_path_without_requirements_is_at_hand_at_once(tmp_path: Path, env: dict[str, str]) -> None:
    one = bot(at_path(write_files(tmp_path / "plain", BOT)))
    gone = bot(at_path(tmp_path / "gone"), name="gone")
    found = bundles_at_hand(plan_of(tmp_path, one, gone), [one, gone], cache=tmp_path / "cache", env=env)
    assert found["b"].packed
    assert found["gone"] == unpacked(gone)


def test_a_cache_that_cannot_be_written_leaves_what_the_lock_says(
    lock: Lock, bots: list[Bot], tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "file").write_text("")
    found = bundles_at_hand(plan_of(tmp_path, *bots), bots, cache=tmp_path / "file" / "cache", lock=lock, env=env)
    assert found["g"].digest == lock.bots["g"].digest


@pytest.mark.parametrize(
    "harm",
    [
        {"home_regions": {"c": "../../x"}},
        {"default_region": "eu west"},
        {"stacks": {"c": {"box": "../../evil"}}},
        {"stacks": {"c": {"box": "x" * 5000}}},
        {"format": True},
        {"format": -1},
        {"bots": {"b": {"source": {}, "python": 5}}},
        {"bots": {"b": {"source": {}, "size": "x"}}},
        {"bots": {"b": {"source": {}, "module": [1]}}},
    ],
)
def test_a_lock_that_somebody_tampered_with_is_refused_in_one_line(tmp_path: Path, harm: dict[str, object]) -> None:
    path = tmp_path / "plan.lock"
    path.write_text(json.dumps({"format": 1, "factory": "f", "bots": {}, **harm}))
    with pytest.raises(FactoryError, match=re.escape(str(path))):
        read_lock(path)


def test_a_lock_that_is_too_deep_too_large_or_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.lock"
    path.write_text("[" * 200_000)
    with pytest.raises(FactoryError, match="is not valid JSON"):
        read_lock(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(FactoryError, match="is not a file"):
        read_lock(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FactoryError, match="is not a file"):
        read_lock(path)
