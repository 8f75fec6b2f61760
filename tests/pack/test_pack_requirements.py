"""Requirements and packages: where they are found, how they are locked, and what is never written down of indexes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv
from pack_sources import (
    BOT,
    Repository,
    at_path,
    bot,
    git_source,
    names,
    pack_one,
    package,
    plan_of,
    refusal,
    sdist,
    wheel,
    write_files,
)
from private_index import private_index

from factory_cdk.pack import Lock, PackedBot, pack, stale
from factory_cdk.pack.requirements.indexes import environment_for_uv, flags_for_uv
from factory_cdk.plan.load import read_plan

LOCKED = ".factory_cdk/requirements.txt"


def lines(packed: PackedBot) -> tuple[str, ...]:
    assert packed.error is None, (packed.error.message, packed.error.remedy)
    assert packed.bundle is not None
    return packed.bundle.requirements


def required(packed: PackedBot) -> list[str]:
    """The locked requirements without their hashes."""
    return [line.partition(" --hash")[0] for line in lines(packed)]


def project(*dependencies: str, requires_python: str = ">=3.11") -> str:
    listed = ", ".join(f'"{dependency}"' for dependency in dependencies)
    return f'[project]\nname = "b"\nversion = "1"\nrequires-python = "{requires_python}"\ndependencies = [{listed}]\n'


@pytest.fixture(autouse=True)
def libraries(index: Path) -> None:
    """Libraries one to five, of which `two` needs `one`."""
    for name in ("one", "three", "four", "five"):
        wheel(index, name)
        wheel(index, name, "2.0")
    wheel(index, "two", requires=["one<2"])


@pytest.mark.parametrize(
    ("files", "requirements_path", "expected"),
    [
        ({}, None, []),
        ({"requirements.txt": "one\n"}, None, ["one==2.0"]),
        ({"requirements.txt": "one\n", "req/b.txt": "three\n"}, "req/b.txt", ["three==2.0"]),
        ({"pyproject.toml": project("two"), "requirements.txt": "three\n"}, None, ["one==1.0", "two==1.0"]),
        ({"pyproject.toml": project("one"), "r.txt": "three\n"}, "r.txt", ["three==2.0"]),
        ({"pyproject.toml": project("one"), "bots/pyproject.toml": project("three")}, None, ["three==2.0"]),
        ({"pyproject.toml": "[tool.ruff]\n", "requirements.txt": "one\n"}, None, ["one==2.0"]),
        ({"requirements.txt": "one\n", "bots/requirements.txt": "four\n"}, None, ["four==2.0"]),
        ({"requirements.txt": "-r a.txt\n-c b.txt\n", "a.txt": "one\n", "b.txt": "one<2"}, None, ["one==1.0"]),
        ({"requirements.txt": "one ; sys_platform == 'win32'\n"}, None, ["one==2.0 ; sys_platform == 'win32'"]),
        ({"requirements.txt": "# nothing\n"}, None, []),
        ({"pyproject.toml": project()}, None, []),
    ],
)  # fmt: skip
def test_requirements_are_found_in_the_order_of_the_reference(
    files: dict[str, str], requirements_path: str | None, expected: list[str], tmp_path: Path, env: dict[str, str]
) -> None:
    code = write_files(tmp_path / "code", {**BOT, **files})
    rest = {"requirements_path": requirements_path} if requirements_path else {}
    packed = pack_one(tmp_path, bot(at_path(code), **rest), env)
    assert required(packed) == expected
    assert packed.bundle is not None
    assert (packed.bundle.lock_digest is None) == (expected == [])
    assert (LOCKED in names(packed)) == (expected != [])
    assert {path.relative_to(code).as_posix() for path in code.rglob("*") if path.is_file()} == {*BOT, *files}


def test_a_lock_holds_on_every_platform(index: Path, tmp_path: Path, env: dict[str, str]) -> None:
    platforms = ["manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "macosx_11_0_arm64", "win_amd64"]
    for platform in platforms:
        wheel(index, "native", requires=["one ; sys_platform == 'win32'", "three ; sys_platform == 'darwin'"],
              tag=f"cp311-cp311-{platform}")  # fmt: skip
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "native\n"})
    packed = pack_one(tmp_path, bot(at_path(code)), env)
    native, one, three = lines(packed)
    assert native.startswith("native==1.0 --hash")
    assert native.count("--hash=sha256:") == len(platforms)
    assert one.startswith("one==2.0 ; sys_platform == 'win32' --hash=sha256:")
    assert three.startswith("three==2.0 ; sys_platform == 'darwin' --hash=sha256:")


def test_the_file_in_the_bundle_installs_with_hashes(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "two\n"})
    assert pack_one(tmp_path, bot(at_path(code)), env, keep=tmp_path / "kept").error is None
    done = subprocess.run(
        [uv.find_uv_bin(), "pip", "install", "--no-index", "--require-hashes", "--target", str(tmp_path / "site"),
         "-r", str(tmp_path / "kept" / "b" / LOCKED)],
        env=environment_for_uv(env), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert {"one.py", "two.py"} <= {path.name for path in (tmp_path / "site").iterdir()}


def test_the_lowest_python_of_the_plan_or_the_project_decides_not_the_one_that_packs(
    index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    code = write_files(tmp_path / "code", {**BOT, "pyproject.toml": project("six>=1", requires_python=">=3.12")})
    wheel(index, "six", requires=["one ; python_version < '3.12'", "three ; python_version < '3.14'"])
    assert required(pack_one(tmp_path, bot(at_path(code)), env)) == [
        "six==1.0",
        "three==2.0 ; python_full_version < '3.14'",
    ]
    one = bot(at_path(code))
    newer = pack(plan_of(tmp_path, one, python="3.14"), [one], cache=tmp_path / "cache", env=env).bots[0]
    assert required(newer) == ["six==1.0"]
    assert newer.locked is not None
    assert newer.locked.python == "3.14"


def test_requirements_are_resolved_once_and_again_when_they_change_or_are_asked_anew(
    index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "one\n"})
    one = bot(at_path(code))
    assert pack_one(tmp_path, one, env).fetched
    wheel(index, "one", "3.0")
    (code / "bots" / "more.py").write_text("")
    later = pack_one(tmp_path, one, env)
    assert (later.fetched, required(later)) == (False, ["one==2.0"])
    anew = pack_one(tmp_path, one, env, fresh=["b"])
    assert (anew.fetched, required(anew)) == (True, ["one==3.0"])
    (code / "requirements.txt").write_text("one\nthree\n")
    assert required(pack_one(tmp_path, one, env)) == ["one==3.0", "three==2.0"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no-such-package-anywhere", "no-such-package-anywhere"),
        ("one==99", "one==99"),
        ("one @@ nonsense", "cannot be locked"),
        ("https://user:hunter2@127.0.0.1:1/x-1.0-py3-none-any.whl", "a url with credentials"),
        ("-i https://user:hunter2@127.0.0.1:1/simple", "a url with credentials"),
        ("https://127.0.0.1:1/one-1.0-py3-none-any.whl", "cannot be locked"),
        ("./libs/other", "'./libs/other' is not in the source"),
        ("-r gone.txt", "gone.txt"),
    ],
)
def test_requirements_that_cannot_be_locked_are_told_in_uvs_words(
    line: str, said: str, tmp_path: Path, env: dict[str, str]
) -> None:
    inner = {"libs/inner/pyproject.toml": '[project]\nname = "inner"\nversion = "1"\n'}
    code = write_files(tmp_path / "code", {**BOT, **inner, "requirements.txt": f"{line}\n"})
    refused = refusal(pack_one(tmp_path, bot(at_path(code)), env))
    assert said in refused
    assert "hunter2" not in refused


@pytest.mark.parametrize("path", ["../outside.txt", "/etc/hostname", "gone.txt"])
def test_a_requirements_path_outside_of_the_source_or_gone_is_refused(
    path: str, tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "outside.txt").write_text("one\n")
    code = write_files(tmp_path / "code", BOT)
    assert path in refusal(pack_one(tmp_path, bot(at_path(code), requirements_path=path), env))


def test_a_project_that_does_not_parse_is_told(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {**BOT, "pyproject.toml": "[project\n"})
    assert "pyproject.toml is not valid TOML" in refusal(pack_one(tmp_path, bot(at_path(code)), env))


def test_a_module_that_a_requirement_brings_is_noted_not_refused(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {"requirements.txt": "one\n"})
    packed = pack_one(tmp_path, bot(at_path(code), "one:run"), env)
    assert any("come from the bot's requirements" in note for note in packed.notes)


def test_a_package_is_its_own_first_requirement_and_its_bundle_holds_nothing_else(
    tmp_path: Path, env: dict[str, str]
) -> None:
    packed = pack_one(tmp_path, bot(package("two"), "two:run"), env)
    assert required(packed) == ["one==1.0", "two==1.0"]
    assert names(packed) == [LOCKED]
    assert packed.bundle is not None
    assert (packed.bundle.kind, packed.bundle.origin) == ("pypi", "two")


@pytest.mark.parametrize(("version", "expected"), [("1.0", "one==1.0"), ("<2", "one==1.0"), (None, "one==2.0")])
def test_a_version_of_a_package_is_one_version_or_specifiers(
    version: str | None, expected: str, tmp_path: Path, env: dict[str, str]
) -> None:
    assert required(pack_one(tmp_path, bot(package("one", version), "one:run"), env)) == [expected]


def test_an_extra_of_a_package_is_locked_too(index: Path, tmp_path: Path, env: dict[str, str]) -> None:
    made = wheel(index, "tool", requires=["three ; extra == 'fast'"])
    assert made.exists()
    assert required(pack_one(tmp_path, bot(package("tool[fast]"), "tool:run"), env)) == ["three==2.0", "tool==1.0"]


def test_a_package_without_the_bot_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    assert "did you mean one:run" in refusal(pack_one(tmp_path, bot(package("one"), "one:rum"), env))
    assert "no-such" in refusal(pack_one(tmp_path, bot(package("no-such"), "one:run"), env))


def test_a_package_for_another_platform_is_packed_with_a_note(index: Path, tmp_path: Path, env: dict[str, str]) -> None:
    wheel(index, "winonly", tag="cp311-cp311-win_amd64")
    packed = pack_one(tmp_path, bot(package("winonly"), "winonly:run"), env)
    assert required(packed) == ["winonly==1.0"]
    assert any("not checked" in note for note in packed.notes)


def test_a_plan_adds_what_a_package_forgot_to_declare(tmp_path: Path, env: dict[str, str]) -> None:
    write_files(tmp_path, {"more/forgotten.txt": "-c limits.txt\nthree\n", "more/limits.txt": "three<2\n"})
    one = bot(package("two"), "two:run", requirements_path="more/forgotten.txt")
    packed = pack_one(tmp_path, one, env)
    assert required(packed) == ["one==1.0", "three==1.0", "two==1.0"]
    assert (names(packed), packed.read) == ([LOCKED], ("more/forgotten.txt",))
    assert packed.locked is not None
    lock, plan = Lock("works", {"b": packed.locked}), plan_of(tmp_path, one)
    assert stale(lock, plan) == ()
    assert pack_one(tmp_path, one, env, lock).bundle == packed.bundle
    write_files(tmp_path, {"more/limits.txt": "three>1\n"})
    assert [change.what for change in stale(lock, plan)] == ["more/forgotten.txt changed"]
    assert required(pack_one(tmp_path, one, env, lock)) == ["one==1.0", "three==2.0", "two==1.0"]


@pytest.mark.parametrize(
    ("file", "said"),
    [(None, "relative to the plan's file"), ("-r ../x.txt\n", "leaves"), ("a @ https://u:p@h/a", "credentials")],
)
def test_what_a_plan_adds_to_a_package_has_to_be_beside_the_plan(
    file: str | None, said: str, tmp_path: Path, env: dict[str, str]
) -> None:
    write_files(tmp_path, {"forgotten.txt": file} if file else {})
    one = bot(package("two"), "two:run", requirements_path="forgotten.txt")
    assert said in refusal(pack_one(tmp_path, one, env))


def test_a_second_pack_of_a_package_asks_nobody(index: Path, tmp_path: Path, env: dict[str, str]) -> None:
    one = bot(package("one"), "one:run")
    first = pack_one(tmp_path, one, env)
    wheel(index, "one", "3.0")
    second = pack_one(tmp_path, one, env)
    assert (first.fetched, second.fetched, second.bundle) == (True, False, first.bundle)


def test_a_source_distribution_that_says_its_metadata_is_locked_without_being_built(
    index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    sdist(index, "pure")
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "pure\n"})
    assert required(pack_one(tmp_path, bot(at_path(code)), env)) == ["pure==1.0"]


def test_pips_configuration_is_uvs_where_uv_has_none(tmp_path: Path) -> None:
    settings = "[global]\nindex-url = https://a/simple\nextra-index-url =\n https://b\n https://c\n"
    write_files(tmp_path, {".config/pip/pip.conf": settings})
    home = {"HOME": str(tmp_path)}
    its = environment_for_uv(home)
    assert (its["UV_DEFAULT_INDEX"], its["UV_INDEX"]) == ("https://a/simple", "https://b https://c")
    own = environment_for_uv({**home, "UV_DEFAULT_INDEX": "https://u", "PIP_EXTRA_INDEX_URL": "https://d"})
    assert (own["UV_DEFAULT_INDEX"], own["UV_INDEX"]) == ("https://u", "https://d")
    assert environment_for_uv({**home, "UV_INDEX_URL": "https://u"}).get("UV_DEFAULT_INDEX") is None
    assert flags_for_uv({**home, "PIP_NO_INDEX": "true"}) == ("--no-index",)
    off = environment_for_uv({**home, "PIP_CONFIG_FILE": os.devnull})
    assert "UV_INDEX" not in off


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[int]:
    """The port of a private index that has the package `private`."""
    wheel(tmp_path / "simple" / "private", "private")
    with private_index(tmp_path / "simple") as port:
        yield port


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "PIP_INDEX_URL", "netrc"])
def test_a_private_index_is_used_and_written_down_nowhere(
    variable: str, guarded: int, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        del env[name]
    repository.commit({**BOT, "requirements.txt": "private\n"})
    if variable == "netrc":
        env["UV_DEFAULT_INDEX"] = f"http://127.0.0.1:{guarded}"
        netrc = Path(env["HOME"], ".netrc")
        netrc.write_text("machine 127.0.0.1 login reader password hunter2hunter2\n")
        netrc.chmod(0o600)
    else:
        env[variable] = f"http://reader:hunter2hunter2@127.0.0.1:{guarded}"
    packed = pack_one(tmp_path, bot(git_source(repository)), env, keep=tmp_path / "kept")
    assert required(packed) == ["private==1.0"]
    assert required(pack_one(tmp_path, bot(package("private"), "private:run"), env)) == ["private==1.0"]
    said = repr(packed)
    written = [file for folder in ("cache", "kept") for file in (tmp_path / folder).rglob("*") if file.is_file()]
    for secret in ("hunter2", "127.0.0.1"):
        assert secret not in said
        assert not [file for file in written if secret.encode() in file.read_bytes()]


def test_a_private_index_that_refuses_is_told_without_the_password(
    guarded: int, tmp_path: Path, env: dict[str, str]
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        del env[name]
    env["UV_DEFAULT_INDEX"] = f"http://reader:wrongwrong@127.0.0.1:{guarded}"
    said = refusal(pack_one(tmp_path, bot(package("private"), "private:run"), env))
    assert "wrongwrong" not in said
    assert "credentials" in said


def test_a_plan_may_add_requirements_to_a_package(tmp_path: Path) -> None:
    """Validation accepts what packing can do."""
    file = tmp_path / "factory-plan.yml"
    file.write_text(
        "factory:\n  name: f\n  bots:\n"
        "    one: {source: {pypi: tool, version: '1'}, bot_path: 'tool:run', requirements_path: more.txt}\n"
        "  stages: {dev: {here: {type: local, bots: {one: }}}}\n"
    )
    assert read_plan(file).bots["one"].requirements_path == "more.txt"
