"""The wheels of offline sectors: which are fetched for which instance, which are built, and what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from made_projects import built
from pack_sources import (
    BOT,
    Repository,
    at_path,
    bot,
    git_source,
    refusal,
    sdist,
    wheel,
    write_files,
)
from private_index import PASSWORD, USER, private_index

from factory_cdk.bundle import Bundle
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import Lock, PackReport, bundles_at_hand, locked_anew, pack, read_lock, write_lock
from factory_cdk.pack.cache import BundleCache
from factory_cdk.pack.staleness import stale
from factory_cdk.pack.wheels.of_runner import runner_files
from factory_cdk.pack.wheels.pip import environment_for_pip, pip_with
from factory_cdk.plan.checks.offline import LOWEST_PYTHON, NEWEST_PYTHON
from factory_cdk.plan.model import (
    Bot,
    BotArguments,
    InstanceOptions,
    Offline,
    Plan,
    PythonBuild,
    Sector,
    SectorBot,
    SectorType,
    Stage,
)
from factory_cdk.runner_wheel import requirement_lines, runner_wheels
from factory_cdk.wheels import Target, wheels_key

HERE, ARM = Offline("x86_64", "3.12"), Offline("aarch64", "3.12")


def plan_of(folder: Path, one: Bot, *offline: Offline, python: str | None = None) -> Plan:
    """A plan whose one stage runs `one` on a sector for each of `offline`, there perhaps with a `python` of its own."""
    runs = (SectorBot(one.name, BotArguments(python=python)),)
    sectors = tuple(
        Sector(f"box{number}", SectorType.AWS, runs, python=of.python, options=InstanceOptions(offline=of))
        for number, of in enumerate(offline)
    )
    return Plan(str(folder / "plan.yml"), "works", {one.name: one}, {"prod": Stage("prod", sectors)})


def with_runner(cache: Path, plan: Plan) -> Path:
    """`cache` with a file where the runner's wheels for the sectors of `plan` are: these tests are about bots."""
    kept = BundleCache(cache)
    kept.prepare()
    for offline in {sector.options.offline for sector in plan.stages["prod"].sectors}:
        assert offline is not None
        kept.file(wheels_key(runner_wheels(Target(offline.architecture, offline.python)).sha256)).touch()
    return cache


def packed(plan: Plan, env: Mapping[str, str], lock: Lock | None = None, cache: str = "cache") -> PackReport:
    bots = tuple(plan.bots.values())
    return pack(plan, bots, cache=with_runner(plan.folder / cache, plan), env=env, lock=lock)


def bundle_of(report: PackReport) -> Bundle:
    (made,) = report.bots
    assert made.error is None, (made.error.message, made.error.remedy)
    assert made.bundle is not None
    return made.bundle


def requiring(folder: Path, *lines: str) -> Bot:
    """A bot in a folder with these requirements."""
    code = write_files(folder / "code", {**BOT, "requirements.txt": "".join(f"{line}\n" for line in lines)})
    return bot(at_path(code))


def wheels(bundle: Bundle, target: str, which: str = "requirements") -> list[str]:
    """The names of the wheels for a target."""
    archive = getattr(bundle.wheels[target], which)
    return [] if archive is None else list(archive.wheels)


@pytest.fixture
def native(index: Path) -> None:
    """A package with a wheel for each of some platforms, and one that some need."""
    needs = ("helper ; sys_platform == 'linux'", "other ; sys_platform == 'win32'")
    for tag in (
        "cp312-cp312-manylinux_2_17_x86_64",
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp312-cp312-win_amd64",
        "cp310-abi3-macosx_11_0_arm64",
        "cp313-cp313-manylinux_2_17_x86_64",
    ):
        wheel(index, "native", tag=tag, requires=needs)
    wheel(index, "helper")
    wheel(index, "other")


@pytest.mark.usefixtures("native")
def test_an_instance_gets_the_wheels_of_its_architecture_and_its_python(tmp_path: Path, env: dict[str, str]) -> None:
    one = requiring(tmp_path, "native")
    bundle = bundle_of(packed(plan_of(tmp_path, one, HERE, ARM), env))
    assert wheels(bundle, "x86_64-3.12") == [
        "helper-1.0-py3-none-any.whl",
        "native-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
    ]
    assert wheels(bundle, "aarch64-3.12")[1] == "native-1.0-cp312-cp312-manylinux_2_28_aarch64.whl"
    archive = bundle.wheels["x86_64-3.12"].requirements
    assert archive is not None
    file = tmp_path / "cache/files" / wheels_key(archive.sha256)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == archive.sha256 and file.stat().st_size == archive.size
    with zipfile.ZipFile(file) as opened:
        assert opened.namelist() == list(archive.wheels)
    newer = bundle_of(packed(plan_of(tmp_path, one, HERE, python="3.13.1"), env))
    assert wheels(newer, "x86_64-3.13")[1] == "native-1.0-cp313-cp313-manylinux_2_17_x86_64.whl"


@pytest.mark.usefixtures("native")
def test_what_is_fetched_is_told_with_its_size(tmp_path: Path, env: dict[str, str]) -> None:
    report = packed(plan_of(tmp_path, requiring(tmp_path, "native"), HERE), env)
    archive = bundle_of(report).wheels["x86_64-3.12"].requirements
    assert archive is not None and f"{archive.size:,} bytes in 2 wheels for x86_64-3.12" in str(report.bots[0].summary)
    size = runner_wheels(Target("x86_64", "3.12")).size
    assert [str(one) for one in report.files] == [
        f"runner for x86_64-3.12, {len(requirement_lines())} wheels: {size:,} bytes, nothing to fetch"
    ]


@pytest.mark.usefixtures("native")
def test_plan_lock_says_which_wheels_and_then_no_index_is_asked(
    tmp_path: Path, env: dict[str, str], index: Path, repository: Repository
) -> None:
    repository.commit({**BOT, "requirements.txt": "native\n"})
    plan = plan_of(tmp_path, bot(git_source(repository)), HERE)
    report = packed(plan, env)
    lock = locked_anew(plan, report, None)
    write_lock(tmp_path / "plan.lock", lock)
    assert read_lock(tmp_path / "plan.lock") == lock
    assert lock.bots["b"].wheels == bundle_of(report).wheels
    assert stale(lock, plan) == ()

    # On a machine that has packed nothing, a synth knows the same; to deploy, what the lock names is fetched.
    bots = tuple(plan.bots.values())
    at_hand = bundles_at_hand(plan, bots, cache=tmp_path / "empty", lock=lock, env=env)["b"]
    assert (at_hand.packed, at_hand.wheels) == (True, lock.bots["b"].wheels)
    assert bundle_of(packed(plan, env, lock, cache="other")).wheels == lock.bots["b"].wheels
    for file in index.iterdir():
        file.unlink()
    again = packed(plan, env, lock)
    assert bundle_of(again).wheels == lock.bots["b"].wheels and not again.bots[0].fetched

    both = plan_of(tmp_path, bot(git_source(repository)), HERE, ARM)
    assert [change.what for change in stale(lock, both)] == ["its wheels for aarch64-3.12 are not in plan.lock"]
    assert not bundles_at_hand(both, bots, cache=tmp_path / "cache", lock=lock, env=env)["b"].packed


@pytest.mark.usefixtures("native")
def test_other_wheels_than_those_of_plan_lock_are_refused(
    tmp_path: Path, env: dict[str, str], repository: Repository
) -> None:
    repository.commit({**BOT, "requirements.txt": "native\n"})
    plan = plan_of(tmp_path, bot(git_source(repository)), HERE)
    lock = locked_anew(plan, packed(plan, env), None)
    was = lock.bots["b"].wheels["x86_64-3.12"]
    assert was.requirements is not None
    other = replace(was, requirements=replace(was.requirements, sha256="0" * 64))
    forged = replace(lock, bots={"b": replace(lock.bots["b"], wheels={"x86_64-3.12": other})})
    said = refusal(packed(plan, env, forged, cache="other").bots[0])
    assert "are not those of plan.lock" in said and "lock --upgrade b" in said


def test_without_a_wheel_a_pure_package_is_built_from_source(
    tmp_path: Path, env: dict[str, str], index: Path, repository: Repository
) -> None:
    sdist(index, "ours", files={**built("ours"), "VERSION": "1.0"})
    repository.commit({**built("theirs"), "VERSION": "2.0"})
    commit = repository.commit({**built("theirs"), "VERSION": "2.1"})
    one = requiring(tmp_path, "ours", f"theirs @ git+{repository.url}@{commit}")
    bundle = bundle_of(packed(plan_of(tmp_path, one, ARM), env))
    assert wheels(bundle, "aarch64-3.12") == ["ours-1.0-py3-none-any.whl", "theirs-2.1-py3-none-any.whl"]


def test_the_projects_of_a_bot_are_built_and_those_of_a_path_are_not_in_plan_lock(
    tmp_path: Path, env: dict[str, str], index: Path
) -> None:
    wheel(index, "helper")
    code = write_files(tmp_path / "code", {**built("mine", "helper"), "VERSION": "1.0"})
    plan = plan_of(tmp_path, bot(at_path(code), "mine:run"), HERE)
    report = packed(plan, env)
    bundle = bundle_of(report)
    assert wheels(bundle, "x86_64-3.12") == ["helper-1.0-py3-none-any.whl"]
    assert wheels(bundle, "x86_64-3.12", "projects") == ["mine-1.0-py3-none-any.whl"]
    locked = locked_anew(plan, report, None).bots["b"].wheels["x86_64-3.12"]
    assert (locked.requirements, locked.projects) == (bundle.wheels["x86_64-3.12"].requirements, None)
    (code / "VERSION").write_text("1.1")
    assert wheels(bundle_of(packed(plan, env)), "x86_64-3.12", "projects") == ["mine-1.1-py3-none-any.whl"]


NOT_PURE = {"backend.py": built("ours")["backend.py"].replace("py3-none-any", "cp311-cp311-linux_x86_64")}


@pytest.mark.parametrize("how", ["another platform alone", "source that is compiled", "another Python alone"])
def test_what_cannot_be_had_for_the_instance_is_refused_by_its_name(
    how: str, tmp_path: Path, env: dict[str, str], index: Path
) -> None:
    if how == "another platform alone":
        wheel(index, "ours", tag="cp312-cp312-macosx_11_0_arm64")
        wheel(index, "ours", tag="cp311-cp311-manylinux_2_17_x86_64")
    elif how == "another Python alone":
        wheel(index, "ours", tag="cp311-cp311-manylinux_2_17_x86_64")
        wheel(index, "ours", tag="cp312-cp312-manylinux_2_99_x86_64")
    else:
        sdist(index, "ours", files={**built("ours"), **NOT_PURE, "VERSION": "1.0"})
    said = refusal(packed(plan_of(tmp_path, requiring(tmp_path, "ours"), HERE), env).bots[0])
    assert re.search(r"ours(==|-)1\.0", said) and "x86_64-3.12" in said and "find-links" in said


def test_wheels_in_the_source_itself_are_found(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "--find-links vendored\nours\n"})
    wheel(code / "vendored", "ours")
    bundle = bundle_of(packed(plan_of(tmp_path, bot(at_path(code)), HERE), env))
    assert wheels(bundle, "x86_64-3.12") == ["ours-1.0-py3-none-any.whl"]


PRIVATE = f"http://{USER}:{PASSWORD}@127.0.0.1:"
WAYS = {
    "address": lambda port: {"UV_DEFAULT_INDEX": f"{PRIVATE}{port}"},
    "pip": lambda port: {"PIP_INDEX_URL": f"{PRIVATE}{port}"},
    "named": lambda port: {
        "UV_DEFAULT_INDEX": f"corp=http://127.0.0.1:{port}",
        "UV_INDEX_CORP_USERNAME": USER,
        "UV_INDEX_CORP_PASSWORD": PASSWORD,
    },
    "netrc": lambda port: {"UV_DEFAULT_INDEX": f"http://127.0.0.1:{port}"},
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_private_index_has_is_taken_along_and_its_credentials_are_not(
    way: str, tmp_path: Path, env: dict[str, str]
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        del env[name]
    if way == "netrc":
        netrc = Path(env["HOME"], ".netrc")
        netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
        netrc.chmod(0o600)
    wheel(tmp_path / "simple" / "private", "private")
    plan = plan_of(tmp_path, requiring(tmp_path, "private"), HERE)
    with private_index(tmp_path / "simple") as port:
        report = packed(plan, {**env, **WAYS[way](port)})
    assert wheels(bundle_of(report), "x86_64-3.12") == ["private-1.0-py3-none-any.whl"]
    write_lock(tmp_path / "cache" / "plan.lock", locked_anew(plan, report, None))
    said = repr(report)
    written = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    for secret in (PASSWORD, "127.0.0.1"):
        assert secret not in said
        assert not [file for file in written if secret.encode() in file.read_bytes()]


def test_an_index_that_refuses_when_wheels_are_fetched_is_told_without_the_password(
    tmp_path: Path, env: dict[str, str]
) -> None:
    """With requirements that were locked before, it is pip that is refused."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        del env[name]
    wheel(tmp_path / "simple" / "private", "private")
    one = requiring(tmp_path, "private")
    with private_index(tmp_path / "simple") as port:
        first = packed(plan_of(tmp_path, one, HERE), {**env, "UV_DEFAULT_INDEX": f"{PRIVATE}{port}"})
        lock = locked_anew(plan_of(tmp_path, one, HERE), first, None)
        wrong = {**env, "UV_DEFAULT_INDEX": f"http://{USER}:wrongwrong@127.0.0.1:{port}"}
        said = refusal(packed(plan_of(tmp_path, one, HERE), wrong, lock, cache="other").bots[0])
    assert "private==1.0" in said and "wrongwrong" not in said


def test_pip_is_told_of_the_indexes_that_uv_is_told_of() -> None:
    env = environment_for_pip(
        {
            "UV_DEFAULT_INDEX": "https://a.b/simple",
            "UV_INDEX": "corp-x=https://c.d/simple https://e.f/simple",
            "UV_INDEX_CORP_X_USERNAME": "me@x",
            "UV_INDEX_CORP_X_PASSWORD": "p/w",
            "UV_FIND_LINKS": "one,two",
            "PIP_INDEX_URL": "https://not.this",
            "PIP_EXTRA_INDEX_URL": "https://nor.this",
            "VIRTUAL_ENV": "/v",
        }
    )
    assert (env["PIP_INDEX_URL"], env["PIP_FIND_LINKS"]) == ("https://a.b/simple", "one two")
    assert env["PIP_EXTRA_INDEX_URL"] == "https://me%40x:p%2Fw@c.d/simple https://e.f/simple"
    assert "VIRTUAL_ENV" not in env


def archive(file: Path, *names: str) -> str:
    """A .tar.gz of files of these names; its SHA-256."""
    with tarfile.open(file, "w:gz") as opened:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 1
            opened.addfile(entry, io.BytesIO(b"x"))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_python_build_is_taken_along_once_its_hash_is_right(tmp_path: Path, env: dict[str, str]) -> None:
    sha256 = archive(tmp_path / "python.tar.gz", "python/bin/python3.12")
    plan = plan_of(tmp_path, requiring(tmp_path), replace(HERE, build=PythonBuild("python.tar.gz", sha256)))
    _, build = packed(plan, env).files
    assert (tmp_path / "cache/files" / f"{sha256}.tgz").read_bytes() == (tmp_path / "python.tar.gz").read_bytes()
    assert build.fetched and f"{build.size:,} bytes" in str(build)
    (tmp_path / "python.tar.gz").unlink()
    assert not packed(plan, env).files[1].fetched


@pytest.mark.parametrize("wrong", ["hash", "version", "kind", "missing"])
def test_a_python_build_that_is_another_is_refused(wrong: str, tmp_path: Path, env: dict[str, str]) -> None:
    file = tmp_path / "python.tar.gz"
    sha256 = archive(file, "python/bin/python3.11" if wrong == "version" else "python/bin/python3.12")
    if wrong == "kind":
        file.write_bytes(b"no archive")
        sha256 = hashlib.sha256(b"no archive").hexdigest()
    elif wrong == "missing":
        file.unlink()
    elif wrong == "hash":
        sha256 = "0" * 64
    said = {"hash": "has SHA-256 [0-9a-f]{64}, the plan says 0000", "version": "has no python/bin/python3.12"}
    said |= {"kind": "is not a .tar.gz", "missing": "python.tar.gz"}
    plan = plan_of(tmp_path, requiring(tmp_path), replace(HERE, build=PythonBuild("python.tar.gz", sha256)))
    with pytest.raises(FactoryError, match=said[wrong]) as refused:
        packed(plan, env)
    assert refused.value.remedy
    assert not (tmp_path / "cache/files" / f"{sha256}.tgz").exists()


def test_the_runner_has_an_archive_of_wheels_for_every_target() -> None:
    names = {re.split("[= ]", line)[0].replace("-", "_").lower() for line in requirement_lines()}
    for architecture in ("x86_64", "aarch64"):
        for minor in range(LOWEST_PYTHON, NEWEST_PYTHON + 1):
            wheels_ = runner_wheels(Target(architecture, f"3.{minor}")).wheels
            assert {name.partition("-")[0].lower() for name in wheels_} == names, "run tools/lock_runner.py"
            assert [name for name in wheels_ if name.startswith("uv-") and architecture in name]


@pytest.mark.network
@pytest.mark.slow
def test_the_wheels_of_the_runner_are_those_that_this_package_names(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    cache.prepare()
    one = requiring(tmp_path)
    (made,) = runner_files(plan_of(tmp_path, one, ARM), [one], cache, pip_with(os.environ, threading.Event()))
    assert made.fetched
    assert [file.suffix for file in (tmp_path / "files").iterdir()] == [".zip"]
