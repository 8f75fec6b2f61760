"""A plan.lock that was edited by hand, merged badly or forged: refused in words, or what it says and nothing else is
packed. Reviewers read the lock instead of the code that it names.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pack_sources import BOT, Repository, at_path, bot, git_source, pack_all, package, plan_of, wheel, write_files

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import Lock, PackReport, locked_anew, pack, read_lock, refuse_stale, write_lock
from factory_cdk.pack.lockfile import text_of
from factory_cdk.plan.model import Bot

ODD: tuple[Any, ...] = (None, True, 1, -1, 1.5, "", "x", "*", "0" * 40, "0" * 64, [], ["x"], {}, {"kind": "git"}, [[]])


@pytest.fixture
def bots(repository: Repository, index: Path, tmp_path: Path) -> list[Bot]:
    """One bot of each kind, `g`, `p` and `y`, and `h`, of another commit than `g`."""
    wheel(index, "lib")
    repository.commit({**BOT, "requirements.txt": "lib\n"}, branch="other")
    repository.commit({**BOT, "more.txt": "", "requirements.txt": "lib\n"}, branch="main")
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "lib\n"})
    return [
        bot(git_source(repository, "main"), name="g"),
        bot(git_source(repository, "other"), name="h"),
        bot(at_path(code), name="p"),
        bot(package("lib"), "lib:run", "y"),
    ]


@pytest.fixture
def lock(bots: list[Bot], tmp_path: Path, env: dict[str, str]) -> Lock:
    return locked_anew(plan_of(tmp_path, *bots), pack_all(tmp_path, bots, env), None)


def forgeries(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`said` with one key less, one value that is another's or does not belong there, or one key more."""
    places = [(), *((part,) for part in said)]
    places += [("bots", name, *more) for name in said["bots"] for more in ((), ("source",))]
    for place in places:
        for change in _changes(_at(said, place), said):
            forged = copy.deepcopy(said)
            if place:
                _at(forged, place[:-1])[place[-1]] = change
                yield forged
            elif isinstance(change, dict):
                yield change


def _at(said: Any, place: tuple[str, ...]) -> Any:
    for part in place:
        said = said[part]
    return said


def _changes(value: Any, said: dict[str, Any]) -> Iterator[Any]:
    yield from ODD
    if not isinstance(value, dict):
        return
    for key in value:
        yield {name: item for name, item in value.items() if name != key}
        for other in (*ODD, *(entry[key] for entry in said["bots"].values() if key in entry)):
            yield {**value, key: other}
    yield {**value, "archive-sha256": "0" * 64}


@pytest.mark.slow
def test_whatever_a_lock_holds_it_is_packed_as_it_says_or_refused(
    lock: Lock, bots: list[Bot], tmp_path: Path, env: dict[str, str]
) -> None:
    plan = plan_of(tmp_path, *bots)
    file = tmp_path / "plan.lock"
    sound = refused = 0
    for forged in forgeries(json.loads(text_of(lock))):
        file.write_text(json.dumps(forged))
        try:
            said = refuse_stale(read_lock(file), plan)
        except FactoryError as error:
            assert error.remedy
            assert str(file) in error.message
            refused += 1
            continue
        hold_to(said, pack(plan, bots, cache=tmp_path / "cache", lock=said, env=env))
        sound += 1
    assert refused > 500
    assert sound > 20  # those that differ in what no pack looks at, or in what only packing shows


def hold_to(lock: Lock, report: PackReport) -> None:
    """Every bot that was packed is what `lock` says."""
    for made in report.bots:
        locked = lock.bots[made.bot]
        if made.error is not None:
            assert made.error.remedy
            continue
        assert made.bundle is not None
        assert locked.digest in (made.bundle.digest, None)
        assert locked.archive_sha256 in (made.bundle.archive_sha256, None)
        assert locked.commit == made.bundle.commit
        assert locked.requirements == made.bundle.requirements


@pytest.mark.parametrize(
    "forged",
    [
        {"digest": "another's", "archive_sha256": "another's"},
        {"archive_sha256": "another's"},
        {"archive_sha256": "0" * 64},
        {"commit": "another's"},
        {"manifest": "0" * 64},
        {"manifest": None},
        {"requirements": ()},
        {"requirements": ("lib==1.0 --hash=sha256:" + "0" * 64,)},
    ],
    ids=str,
)
def test_a_lock_that_does_not_say_one_thing_is_refused_for_its_bot_and_resolves_nothing_anew(
    forged: dict[str, Any], lock: Lock, bots: list[Bot], tmp_path: Path, env: dict[str, str]
) -> None:
    forged = {key: getattr(lock.bots["h"], key) if value == "another's" else value for key, value in forged.items()}
    wrong = replace(lock, bots={**lock.bots, "g": replace(lock.bots["g"], **forged)})
    plan = plan_of(tmp_path, *bots)
    for cache in ("cache", "another-machine"):
        report = pack(plan, bots, cache=tmp_path / cache, lock=wrong, env=env)
        ((name, error),) = report.failures
        assert name == "g"
        assert "plan.lock" in error.message
        assert "`factory-cdk lock --upgrade g` and review the change" in (error.remedy or "")


@pytest.mark.parametrize(
    "line",
    [
        "lib",
        "lib==1.0",
        "lib @ https://host/lib-1.0-py3-none-any.whl",
        "lib @ git+https://host/lib@main",
        "lib==1.0 --hash=md5:00",
        "lib==1.0 --hash=sha256:00\u2028--index-url=https://evil/",
        "lib==1.0 --hash=sha256:00\x0b-r /etc/passwd",
        "lib==1.0 --hash=sha256:00\r-e .",
        "--index-url=https://evil/ --hash=sha256:00",
        "./lib --hash=sha256:00",
        "",
    ],
)
def test_a_requirement_without_hash_or_commit_or_with_more_than_one_line_is_refused(
    line: str, lock: Lock, tmp_path: Path
) -> None:
    file = tmp_path / "plan.lock"
    write_lock(file, replace(lock, bots={"y": replace(lock.bots["y"], requirements=(line,))}))
    with pytest.raises(FactoryError, match=r"not a valid plan\.lock") as refused:
        read_lock(file)
    assert "\n" not in refused.value.message


def test_a_key_that_stands_twice_is_refused_wherever_it_stands(lock: Lock, tmp_path: Path) -> None:
    file = tmp_path / "plan.lock"
    commit = lock.bots["g"].commit
    text = text_of(lock)
    twice = [
        text.replace(f'"commit": "{commit}"', f'"commit": "{"0" * 40}",\n      "commit": "{commit}"'),
        text.replace('"format": 1', '"format": 1,\n  "format": 1'),
        text.replace('"g": {', '"y": {}, "g": {', 1),
    ]
    for forged in twice:
        assert forged != text
        file.write_text(forged)
        with pytest.raises(FactoryError, match="duplicate key"):
            read_lock(file)
