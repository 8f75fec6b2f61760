"""What `pack` and `build` say of a bot in one line: what it holds, what was read, installed and left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_projects import below, built
from pack_sources import at_path, bot, pack_one, package, wheel, write_files

PLAIN = {"b.py": "def run(payload): return payload\n"}
LIB = {**below("libs/lib", built("lib", "one")), "libs/lib/VERSION": "2"}
APP = {**built("app", "one", "two"), "VERSION": "1"}
EMPTY = "[project]\nname = 'b'\nversion = '1'\n"

SAID = [
    ("nothing", PLAIN, {}, "33 bytes in 1 file; nothing that lists requirements;"),
    ("none", {**PLAIN, "pyproject.toml": EMPTY}, {}, "; no requirements from pyproject.toml;"),
    ("one", {**PLAIN, "requirements.txt": "one\n"}, {}, "; 1 locked requirement from requirements.txt;"),
    (
        "included",
        {**PLAIN, "requirements.txt": "-r more/a.txt\n", "more/a.txt": "one\ntwo\n"},
        {},
        "; 2 locked requirements from requirements.txt, more/a.txt;",
    ),
    ("itself", APP, {}, "; 2 locked requirements from pyproject.toml; installs itself;"),
    (
        "a folder",
        {**PLAIN, **LIB, "requirements.txt": "./libs/lib\n"},
        {},
        "; 1 locked requirement from requirements.txt; installs libs/lib;",
    ),
    (
        "around the subdirectory",
        {"app/b.py": PLAIN["b.py"], "app/requirements.txt": "-r ../base.txt\n", "base.txt": "./../libs/lib\n", **LIB},
        {"subdirectory": "app"},
        "; 1 locked requirement from app/requirements.txt, base.txt; installs libs/lib;",
    ),
    (
        "left out",
        {**PLAIN, ".gitignore": "data/\n", "data/a": "", "data/b": ""},
        {},
        "; nothing that lists requirements; ignore files left out 2 files: data/ (2);",
    ),
]


@pytest.fixture(autouse=True)
def libraries(index: Path) -> None:
    for name in ("one", "two"):
        wheel(index, name)


@pytest.mark.parametrize(("case", "files", "where", "said"), SAID, ids=[case[0] for case in SAID])
def test_a_line_says_what_a_bundle_holds(
    case: str, files: dict[str, str], where: dict[str, str], said: str, tmp_path: Path, env: dict[str, str]
) -> None:
    code = at_path(write_files(tmp_path / "code", files), **where)
    target = "app:run" if "app.py" in files else "b:run"
    for end in ("packed in" if "locked" in said or "pyproject" in said else "", "nothing to fetch"):
        packed = pack_one(tmp_path, bot(code, target), env)
        assert packed.error is None, packed.error
        line = str(packed.summary)
        assert said in line
        assert end in line
        assert re.search(r"[0-9]+\.[0-9] s", line)


def test_a_line_of_a_package_says_what_the_plan_adds(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "more.txt").write_text("two\n")
    packed = pack_one(tmp_path, bot(package("one"), "one:run", requirements_path="more.txt"), env)
    assert "; 2 locked requirements of the package, more.txt; packed in" in str(packed.summary)
