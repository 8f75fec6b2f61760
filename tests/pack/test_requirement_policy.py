"""Requirements that reach into the machine of whoever packs: no variable, file, folder or setting of it gets out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from pack_sources import BOT, at_path, bot, pack_one, refusal, wheel, write_files

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.requirements.policy import check_requirement

SECRET = "value-of-a-secret"
PROJECT = '[project]\nname = "b"\nversion = "1"\n'
FLAT = '[project]\nname = "b"\nversion = "1"\ndependencies = ["lib"]\n'
URL = "http://127.0.0.1:9/${MY_SECRET}/lib-1.0-py3-none-any.whl"


def refused(files: Mapping[str, str], tmp_path: Path, env: dict[str, str]) -> str:
    """The message with which a bot with these files beside its code is refused; nothing of this machine is in it."""
    code = write_files(tmp_path / "code", {**BOT, **files})
    said = refusal(pack_one(tmp_path, bot(at_path(code)), {**env, "MY_SECRET": SECRET}))
    assert SECRET not in said
    assert "root:" not in said
    return said


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "--index-url http://127.0.0.1:9/${MY_SECRET}/simple\nlib\n"},
        {"requirements.txt": "--extra-index-url \\\n  http://127.0.0.1:9/${MY_SECRET}\nlib\n"},
        {"requirements.txt": f"lib @ {URL}\n"},
        {"requirements.txt": "-r more.txt\n", "more.txt": f"lib @ {URL}\n"},
        {"pyproject.toml": f'{PROJECT}dependencies = ["lib @ {URL}"]\n'},
        {"pyproject.toml": f'{PROJECT}[project.optional-dependencies]\nx = ["lib @ {URL}"]\n'},
        {"pyproject.toml": f'{PROJECT}dynamic = ["dependencies"]\n[build-system]\nrequires = ["lib @ {URL}"]\n'},
        {"pyproject.toml": f'{FLAT}[tool.uv]\nconstraint-dependencies = ["lib @ {URL}"]\n'},
        {"pyproject.toml": f'{FLAT}[[tool.uv.index]]\nurl = "{URL}"\n'},
        {"pyproject.toml": f'{FLAT}[dependency-groups]\ndev = ["lib @ {URL}"]\n'},
        {"requirements.txt": "lib\n", "uv.toml": f'constraint-dependencies = ["lib @ {URL}"]\n'},
    ],
)
def test_no_variable_of_this_machine_is_filled_into_an_address(
    files: dict[str, str], tmp_path: Path, env: dict[str, str]
) -> None:
    assert "${MY_SECRET} in it would be filled in" in refused(files, tmp_path, env)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-r file:///etc/passwd", "includes the url"),
        ("-c https://127.0.0.1:9/constraints.txt", "includes the url"),
        ("--requirement \\\n  ../../../../etc/passwd", "leaves the source"),
        ("-e /etc", "leaves the source"),
        ("--editable=../other", "leaves the source"),
        ("../other", "leaves the source"),
        ("./bots/../../other", "leaves the source"),
        ("~/other", "leaves the source"),
        ("file:///etc", "leaves the source"),
        ("lib @ file:///etc/lib-1.0-py3-none-any.whl", "leaves the source"),
        ("lib[fast] @ file://localhost/etc/x.whl", "leaves the source"),
        ("-e file://${PROJECT_ROOT}/../other", "leaves the source"),
    ],
)
def test_no_file_or_folder_of_this_machine_is_read_or_built(
    line: str, why: str, tmp_path: Path, env: dict[str, str]
) -> None:
    write_files(tmp_path / "other", {"setup.py": f"open({str(tmp_path / 'ran')!r}, 'w')"})
    assert why in refused({"requirements.txt": f"{line}\n"}, tmp_path, env)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "line",
    [
        "lib", "lib==1.0", "-e .", ".", "./bots", "-e file://${PROJECT_ROOT}", "lib @ https://host/lib.whl", "# ../x",
        "--find-links ../wheels", "lib; python_version < '3.9'", "--hash=sha256:00", "",
    ],
)  # fmt: skip
def test_what_stays_in_the_source_is_let_through(line: str) -> None:
    check_requirement("requirements.txt", line)


def test_a_file_below_cannot_climb_further_than_one_at_the_top() -> None:
    with pytest.raises(FactoryError, match="leaves the source"):
        check_requirement("a/b/c/requirements.txt", "-e ../../..")


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"requirements.txt": "lib\n", "uv.toml": 'cache-dir = "{tmp}/theirs"\n'}, "cache-dir is"),
        ({"pyproject.toml": f'{FLAT}[tool.uv]\ncache-dir = "{{tmp}}/theirs"\n'}, "cache-dir is"),
        ({"pyproject.toml": f'{FLAT}[tool.uv]\nkeyring-provider = "subprocess"\n'}, "keyring-provider is"),
        ({"requirements.txt": "lib\n", "uv.toml": '[pip]\ntarget = "{tmp}/theirs"\n'}, "pip.target is"),
        ({"requirements.txt": "lib\n", "uv.toml": "[pip]\nsystem = true\nno-verify-hashes = true\n"}, "are for"),
        ({"bots/requirements.txt": "lib\n", "uv.toml": 'https-proxy = "http://127.0.0.1:9"\n'}, "https-proxy is"),
    ],
)
def test_a_source_does_not_set_where_uv_writes_or_whom_it_asks_on_its_way(
    files: dict[str, str], what: str, index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    wheel(index, "lib")
    files = {name: text.replace("{tmp}", str(tmp_path)) for name, text in files.items()}
    without = {name: value for name, value in env.items() if name not in ("UV_NO_CONFIG", "UV_CACHE_DIR")}
    assert what in refused(files, tmp_path, {**without, "XDG_CACHE_HOME": str(tmp_path / "ours")})
    assert not (tmp_path / "theirs").exists()


def test_indexes_and_rules_of_resolution_in_a_source_still_count(
    index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    wheel(index, "lib")
    wheel(index, "lib", "2.0")
    code = write_files(
        tmp_path / "code", {**BOT, "requirements.txt": "lib\n", "uv.toml": '[pip]\nresolution = "lowest"\n'}
    )
    packed = pack_one(
        tmp_path, bot(at_path(code)), {name: value for name, value in env.items() if name != "UV_NO_CONFIG"}
    )
    assert packed.bundle is not None
    assert packed.bundle.requirements[0].startswith("lib==1.0 ")


@pytest.mark.slow
def test_files_that_include_each_other_without_end_are_refused(tmp_path: Path, env: dict[str, str]) -> None:
    files = {f"r{number}.txt": f"-r r{number + 1}.txt\n" for number in range(3000)}
    said = refused({"requirements.txt": "-r r0.txt\n", **files}, tmp_path, env)
    assert "more than 100 files" in said
    assert os.path.lexists(tmp_path / "code" / "r2999.txt")
