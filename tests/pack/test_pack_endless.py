"""Sources of a few kilobytes that have no end when they are read: refused, in time and memory that are bounded."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pack_sources import BOT, Repository, bot, git, git_source, pack_one, refusal, write_files

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import TooMuchError, run
from factory_cdk.pack.sources.ignore import Rules, spec_of
from factory_cdk.pack.tree import folders_of


def test_a_tree_without_end_is_refused_before_it_fills_the_disk(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    file = repository.blob(b"x")
    tree = repository.tree_of([("100644", file, f"f{number}") for number in range(10)])
    for _ in range(12):  # 10 trees that are 10^13 files
        tree = repository.tree_of([("40000", tree, f"d{number}") for number in range(10)])
    repository.commit_tree(tree)
    assert "more than 100,000 files" in refusal(pack_one(tmp_path, bot(git_source(repository)), env))


def test_a_command_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TooMuchError, match="yes printed more than"):
        run(["yes"], cwd=tmp_path, env=os.environ, stop=threading.Event(), most=1 << 20)


@pytest.mark.slow
def test_submodules_without_end_are_refused(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    places = {f"m{number}": "" for number in range(11)}
    modules = "".join(f'[submodule "{place}"]\n path = {place}\n url = {repository.url}\n' for place in places)
    commit = repository.commit(BOT)
    for _ in range(3):  # 11 + 121 + 1331
        commit = repository.commit({**BOT, ".gitmodules": modules}, modules=dict.fromkeys(places, commit))
    one = bot(git_source(repository, options={"recurse-submodules": True}))
    assert "more than 100 submodules" in refusal(pack_one(tmp_path, one, env))


@pytest.mark.slow
def test_a_file_that_is_larger_than_memory_should_be_is_packed_in_pieces(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    size = 150 * 1024**2
    repository.commit({**BOT, "large.bin": bytes(size)})
    program = (
        f"import re, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path; from pack_sources import *\n"
        f"packed = pack_one(Path({str(tmp_path)!r}), bot(GitSource({repository.url!r})), {env!r})\n"
        "peak = re.search(r'VmHWM:\\s*([0-9]+) kB', Path('/proc/self/status').read_text())[1]\n"
        "print(packed.bundle.size, int(peak) * 1024)\n"
    )
    # getrusage's ru_maxrss would count what the parent had when it forked
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    packed, peak = map(int, said.stdout.split())
    assert packed > size > peak


@pytest.mark.parametrize("line", ["/" + "*a" * 20 + "b", "/" + "*?" * 20 + "b", "**/" + "*[ab]" * 20 + "c"])
def test_an_ignore_file_takes_no_more_time_than_its_names_are_long(line: str) -> None:
    """Backtracking through twenty stars would take longer than the universe has: that this ends is the proof."""
    spec = spec_of([line], "here")
    assert spec.check_file("a" * 250).include is None
    assert spec.check_file("a" * 250 + line[-1]).include is True


def test_many_folders_in_a_pattern_are_refused() -> None:
    assert spec_of(["**/a/**/b*"], "here").check_file("x/a/y/z/bc").include is True
    with pytest.raises(FactoryError, match="too many `\\*\\*`"):
        spec_of(["**/a/**/b/**/c"], "here")


_SEGMENTS = ["*", "a", "b?", "[ab]", "[!a]*", "*.a", "?", "\\*", "a*b*", "*[!b]", "b*a"]


def test_ignore_patterns_mean_what_they_mean_to_git(tmp_path: Path) -> None:
    """300 ignore files of one to three patterns, each in a folder of its own, against `git check-ignore`."""
    draw = random.Random(7)  # noqa: S311 - the same cases in every run
    cases: dict[str, Rules] = {}
    asked = []
    for number in range(300):
        patterns = [
            draw.choice(["", "", "!", "/"])
            + "/".join([*draw.choices(["**", *_SEGMENTS], k=draw.randint(0, 2)), draw.choice(_SEGMENTS)])
            + draw.choice(["", "", "/", "/**"])
            for _ in range(draw.randint(1, 3))
        ]
        try:
            cases[f"{number}"] = Rules((("", spec_of(patterns, "here")),))
        except FactoryError:
            continue
        write_files(tmp_path, {f"{number}/.gitignore": "".join(f"{pattern}\n" for pattern in patterns)})
        for _ in range(20):
            names = draw.choices(["a", "ab", "b.a", "bb", "*"], k=draw.randint(1, 4))
            asked.append("/".join([str(number), *names]))
    git(tmp_path, "init", "--quiet")
    said = git(tmp_path, "check-ignore", "-v", "-n", "--no-index", "--stdin", stdin="\n".join(asked).encode())
    wrong = []
    for line in said.splitlines():
        rule, _, whole = line.partition("\t")
        number, _, path = whole.partition("/")
        rules = cases[number]
        ours = any(rules.ignore(above, folder=True) for above in folders_of(path)) or rules.ignore(path, folder=False)
        if ours != (rule != "::" and not rule.split(":", 2)[2].startswith("!")):
            wrong.append((line, Path(tmp_path, number, ".gitignore").read_text().split()))
    assert (wrong, len(cases) > 200, len(said.splitlines()) == len(asked)) == ([], True, True)


def test_a_pyproject_that_is_nested_without_end_is_refused(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit({**BOT, "pyproject.toml": "x = " + "[" * 100_000})
    assert "nested too deep" in refusal(pack_one(tmp_path, bot(git_source(repository)), env))
