"""Bots from folders: which files belong to a bundle, and which folders are refused."""

from __future__ import annotations

import gc
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pack_sources import BOT, TARGET, at_path, bot, git, leftovers, names, pack_one, refusal, write_files

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.sources.folder import inside, tree_of_folder
from factory_cdk.pack.target import Found, find_target


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_files(tmp_path / "code", BOT)


def test_a_folder_is_packed_without_what_its_ignore_files_leave_out(
    code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    write_files(
        code,
        {
            ".gitignore": "*.log\n!keep.log\n/top.txt\ndata/\nsecrets/*\n!secrets/public\n",
            ".factoryignore": "docs\n!data.log\n",
            "sub/.gitignore": "local.txt\n!very.log\n",
            "a.log": "", "keep.log": "", "data.log": "", "top.txt": "", "sub/top.txt": "", "data/x": "", "docs/x": "",
            "sub/local.txt": "", "local.txt": "", "sub/very.log": "", "secrets/key": "", "secrets/public": "",
        },
    )  # fmt: skip
    kept = {"keep.log", "data.log", "sub/top.txt", "local.txt", "sub/very.log", "secrets/public"}
    ignore_files = {".gitignore", ".factoryignore", "sub/.gitignore"}
    assert set(names(pack_one(tmp_path, bot(at_path(code)), env))) == {*BOT, *kept, *ignore_files}


def test_version_control_byte_code_and_virtual_environments_are_never_packed(
    code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    git(code, "init", "--quiet")
    write_files(code, {"bots/__pycache__/first.cpython-311.pyc": b"x", "old.pyc": b"x", ".DS_Store": b"x"})
    write_files(code, {"venv/pyvenv.cfg": "", "venv/bin/activate": "", ".hg/store": ""})
    (code / "venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    assert names(pack_one(tmp_path, bot(at_path(code)), env)) == sorted(BOT)


def test_what_editors_keep_beside_open_files_is_not_packed(code: Path, tmp_path: Path, env: dict[str, str]) -> None:
    write_files(
        code,
        dict.fromkeys(
            [".bots.py.swp", ".x.swo", "bots.py~", ".#bots.py", "#bots.py#", "a___jb_tmp___"], "being edited"
        ),
    )
    assert names(pack_one(tmp_path, bot(at_path(code)), env)) == sorted(BOT)


def test_the_gitignore_of_the_work_tree_around_the_folder_counts(tmp_path: Path, env: dict[str, str]) -> None:
    work_tree = write_files(tmp_path / "repo", {".gitignore": ".env\n/bots/a/cache\n", "bots/.gitignore": "*.tmp\n"})
    git(work_tree, "init", "--quiet")
    code = write_files(
        work_tree / "bots" / "a", {**BOT, ".env": "SECRET=1", "cache/x": "", "x.tmp": "", "b/cache/y": ""}
    )
    assert names(pack_one(tmp_path, bot(at_path(code)), env)) == sorted([*BOT, "b/cache/y"])


def test_a_folder_that_the_work_tree_ignores_is_packed_all_the_same_when_a_plan_names_it(
    tmp_path: Path, env: dict[str, str]
) -> None:
    work_tree = write_files(tmp_path / "repo", {".gitignore": "build/\n"})
    git(work_tree, "init", "--quiet")
    code = write_files(work_tree / "build" / "bot", BOT)
    assert names(pack_one(tmp_path, bot(at_path(code)), env)) == sorted(BOT)


def test_links_inside_the_folder_are_packed_as_what_they_point_at(
    code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    (code / "again.py").symlink_to("bots/first.py")
    (code / "folder").symlink_to(code / "bots")
    packed = pack_one(tmp_path, bot(at_path(code), "folder.first:run"), env)
    assert names(packed) == sorted([*BOT, "again.py", *(f"folder/{path[5:]}" for path in BOT)])


@pytest.mark.parametrize("target", ["/etc/hosts", "../outside", "nowhere"])
def test_a_link_that_leaves_the_folder_is_refused_unless_it_is_ignored(
    target: str, code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "outside").write_text("x")
    (code / "out").symlink_to(target)
    said = refusal(pack_one(tmp_path, bot(at_path(code)), env))
    assert "link 'out'" in said
    assert ".factoryignore" in said
    (code / ".factoryignore").write_text("out\n")
    assert "out" not in names(pack_one(tmp_path, bot(at_path(code)), env))


def test_a_folder_of_links_to_itself_is_refused(code: Path, tmp_path: Path, env: dict[str, str]) -> None:
    (code / "self").symlink_to(".")
    assert "points at a folder that it lies in" in refusal(pack_one(tmp_path, bot(at_path(code)), env))


def test_sockets_and_pipes_are_refused(code: Path, tmp_path: Path, env: dict[str, str]) -> None:
    os.mkfifo(code / "pipe")
    assert "not a regular file" in refusal(pack_one(tmp_path, bot(at_path(code)), env))
    (code / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(code)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        assert "not a regular file" in refusal(pack_one(tmp_path, bot(at_path(code)), env))


def test_a_folder_that_is_none_is_told_with_where_it_was_looked_for(tmp_path: Path, env: dict[str, str]) -> None:
    said = refusal(pack_one(tmp_path, bot(at_path(tmp_path / "gone")), env))
    assert "gone does not exist" in said
    assert str(tmp_path) in said
    (tmp_path / "file").write_text("")
    assert "is not a folder" in refusal(pack_one(tmp_path, bot(at_path(tmp_path / "file")), env))
    (tmp_path / "empty").mkdir()
    assert "no files to pack" in refusal(pack_one(tmp_path, bot(at_path(tmp_path / "empty")), env))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(code: Path, tmp_path: Path, env: dict[str, str]) -> None:
    (code / "secret").write_text("")
    (code / "secret").chmod(0)
    assert "cannot be read" in refusal(pack_one(tmp_path, bot(at_path(code)), env))


def test_a_large_folder_is_packed_with_a_warning_that_names_the_largest_file(
    code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    with (code / "model.bin").open("wb") as file:
        file.truncate(51 * 1024**2)
    packed = pack_one(tmp_path, bot(at_path(code)), env)
    assert any("51 MB" in note and "model.bin" in note for note in packed.notes)
    assert packed.bundle is not None
    assert packed.bundle.size > 51 * 1024**2
    assert pack_one(tmp_path, bot(at_path(code)), env).notes == packed.notes


def test_a_subdirectory_is_the_root_of_the_bundle(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {**{f"inner/{path}": text for path, text in BOT.items()}, "x": ""})
    assert names(pack_one(tmp_path, bot(at_path(code, subdirectory="inner")), env)) == sorted(BOT)
    said = refusal(pack_one(tmp_path, bot(at_path(code, subdirectory="../home")), env))
    assert "leaves the source" in said


def test_a_changed_file_is_a_new_bundle_and_the_old_content_the_old_one(
    code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    first = pack_one(tmp_path, bot(at_path(code)), env).bundle
    (code / "bots" / "first.py").write_text("def run(payload): return 2\n")
    second = pack_one(tmp_path, bot(at_path(code)), env).bundle
    write_files(code, BOT)
    third = pack_one(tmp_path, bot(at_path(code)), env).bundle
    assert first is not None
    assert second is not None
    assert first.digest != second.digest
    assert third == first


@pytest.mark.parametrize(
    ("bot_path", "hint"),
    [
        ("bots.frist:run", "did you mean bots.first?"),
        ("bots.first:rum", "did you mean bots.first:run?"),
        ("other:run", "bots.first"),
        ("bots.first:nothing_like_it", "it has"),
    ],
)
def test_a_bot_path_that_is_not_there_is_refused_with_the_nearest_name(
    bot_path: str, hint: str, code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    assert hint in refusal(pack_one(tmp_path, bot(at_path(code), bot_path), env))
    assert leftovers(tmp_path / "cache") == []


@pytest.mark.parametrize(
    "source",
    [
        "async def run(job): ...", "class run: ...", "run = print", "run: object = print",
        "from os import getcwd as run",
        "from os import *", "def __getattr__(name): ...", "try:\n    import run\nexcept ImportError:\n    run = None",
        "if True:\n    def run(): ...", "for run in []: pass", "with open('x') as run: pass", "globals()['run'] = 1",
        "(run := 1)", "import run.inner", "[run, x] = 1, 2", "match 1:\n    case 1: run = 1",
    ],
)  # fmt: skip
def test_whatever_can_bind_the_name_is_accepted_unrun(source: str, tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(
        tmp_path / "code", {"src/pkg/__init__.py": "raise SystemExit('imported')", "src/pkg/b.py": source}
    )
    assert pack_one(tmp_path, bot(at_path(code), "pkg.b:run"), env).error is None


@pytest.mark.parametrize(
    "source",
    ["def run(): return 1 +\n", "-" * 100_000 + "1", "a" + ".b" * 100_000, "(" * 5_000 + ")" * 5_000, "\0"],
    ids=["newer", "signs", "attributes", "parentheses", "null"],
)
def test_code_that_this_python_cannot_parse_is_packed_with_a_note(
    source: str, tmp_path: Path, env: dict[str, str]
) -> None:
    code = write_files(tmp_path / "code", {"b.py": source})
    packed = pack_one(tmp_path, bot(at_path(code), "b:run"), env)
    assert any("not checked" in note for note in packed.notes)


@pytest.mark.slow
def test_sources_that_are_read_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    def yield_to_others(_phase: str, _details: dict[str, int]) -> None:
        time.sleep(0)  # another thread goes on in the middle of a parse, as when a finalizer runs

    functions = (f"def f{i}(a):\n    return [a, (1, {{'x': [a + {i} * (2 - a)]}})]\n" for i in range(10))
    code = write_files(tmp_path / "code", {"b.py": "".join([*functions, "def run(): ..."])})
    tree = tree_of_folder(code, "code")
    threshold = gc.get_threshold()
    gc.callbacks.append(yield_to_others)
    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: find_target(tree, "b:run", others_bring_code=False), range(400)))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(yield_to_others)
    assert found == [Found("b.py")] * 400


def test_a_bot_that_is_a_command_needs_no_module(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {"solve": "#!/bin/sh\n"})
    (code / "solve").chmod(0o755)
    one = bot(at_path(code), None, command=("./solve",))  # type: ignore[arg-type]
    assert names(pack_one(tmp_path, one, env)) == ["solve"]


def test_the_tree_is_kept_where_it_is_asked_for_and_foreign_folders_are_left_alone(
    code: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    keep = tmp_path / "kept"
    (code / "run.sh").write_text("x")
    (code / "run.sh").chmod(0o755)
    assert pack_one(tmp_path, bot(at_path(code)), env, keep=keep).error is None
    assert (keep / "b" / "bots" / "first.py").read_text() == BOT["bots/first.py"]
    assert os.access(keep / "b" / "run.sh", os.X_OK)
    (keep / "b" / "stale.txt").write_text("x")
    assert pack_one(tmp_path, bot(at_path(code)), env, keep=keep).error is None
    assert not (keep / "b" / "stale.txt").exists()
    write_files(keep / "mine", {"precious.txt": "x"})
    said = refusal(pack_one(tmp_path, bot(at_path(code), TARGET, "mine"), env, keep=keep))
    assert "not made by factory-cdk" in said
    assert (keep / "mine" / "precious.txt").exists()
    assert sorted(path.name for path in keep.iterdir()) == ["b", "b.json", "mine"]


def test_a_folder_whose_name_is_too_long_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match="does not exist"):
        inside(tmp_path / ("a" * 5000), None, "code")
