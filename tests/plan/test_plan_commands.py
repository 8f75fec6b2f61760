"""Commands: what only a shell would understand, and programs that cannot be run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plan_texts import LOCAL, Case, load, prove

BOT_PATH = "bot_path: works:first"


def case(title: str, code: str, command: str, *says: str, hint: str = "sh, -c") -> Case:
    return Case(title, code, BOT_PATH, f"command: {command}", says, hint)


CASES = [
    case("a pipe", "F116", "§cat | sort", "`first` needs a shell", "the operator `|`", hint="`[sh, -c, 'cat | sort']`"),
    case("a list of commands", "F116", "§./a && ./b", "`&&`"),
    case("an alternative", "F116", "§./a || ./b", "`||`"),
    case("a sequence", "F116", "§./a; ./b", "`;`"),
    case("a program in the background", "F116", "§./a &", "`&`"),
    case("output to a file", "F116", "§./a > out.txt", "`>`"),
    case("more output to a file", "F116", "§./a >> out.txt", "`>>`"),
    case("errors to the output", "F116", "§./a 2>&1", "`2>&1`"),
    case("input from a file", "F116", "§./a < in.txt", "`<`"),
    case("a variable", "F116", "§./a $HOME/data", "the variable `$HOME`"),
    case("a variable in braces", "F116", "§'./a ${HOME}'", "the variable `${HOME}`"),
    case("a variable between double quotes", "F116", '§./a "$HOME"', "the variable `$HOME`"),
    case("a command in a command", "F116", "§./a $(date)", "the variable `$(`"),
    case("backticks", "F116", "§./a `date`", "backticks"),
    case("an assignment", "F116", "§LEVEL=debug ./a", "the assignment `LEVEL=`"),
    case("several lines", "F116", "§|\n        ./a\n        ./b", "it has 2 lines", hint="`sh`, `-c` and the script"),
    case("a quote in a pipe", "F116", "§\"echo 'a' | cat\"", "`|`", hint="'echo ''a'' | cat'"),
    case("a pattern", "F117", "§wc -l *.csv", "`*`", "no shell expands"),
    case("a pattern of characters", "F117", "§wc -l data[0-9]", "`[0-9]`"),
    case("a home folder", "F117", "§wc -l ~/data", "`~`"),
    case("an operator in a list", "F117", "[./a, §'&&', ./b]", "`&&` is passed to `./a`"),
    case("a program that is not there", "F404", "[§./absent]", "`./absent`", "is not in the source", hint="path"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_told_at_its_place(case: Case, tmp_path: Path) -> None:
    for name in ("a", "b"):
        program(tmp_path / name)
    prove(case, tmp_path)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("./a --fast 'b c'", ("./a", "--fast", "b c")),
        ("./a 'x|y' 'a && b' '$HOME' '*'", ("./a", "x|y", "a && b", "$HOME", "*")),
        ('./a "x; y" "*.csv"', ("./a", "x; y", "*.csv")),
        ("./a \\$HOME", ("./a", "$HOME")),
        ("./a --level=debug --cost=$5", ("./a", "--level=debug", "--cost=$5")),
        ("./a user@host a:b c,d %x", ("./a", "user@host", "a:b", "c,d", "%x")),
        ("|\n        ./a \\\n          --fast\n", ("./a", "--fast")),
        (">\n        ./a\n        --fast\n", ("./a", "--fast")),
        ("[sh, -c, 'cat | sort > $OUT']", ("sh", "-c", "cat | sort > $OUT")),
        ("[awk, '{print $1}']", ("awk", "{print $1}")),
    ],
)
def test_what_needs_no_shell_is_split_into_arguments(command: str, argv: tuple[str, ...], tmp_path: Path) -> None:
    program(tmp_path / "a")
    text = f"'{command.replace(chr(39), chr(39) * 2)}'" if command[0] not in "[|>" else command
    loaded = load(LOCAL.replace(BOT_PATH, f"command: {text}"), tmp_path)
    assert loaded.diagnostics == () and loaded.plan
    assert loaded.plan.bots["first"].command == argv


def program(file: Path, text: str = "#!/bin/sh\necho 1\n", mode: int = 0o755) -> None:
    file.write_bytes(text.encode())
    file.chmod(mode)


@pytest.mark.parametrize(
    ("text", "mode", "says", "hint"),
    [
        ("#!/bin/sh\necho 1\n", 0o644, "is not executable", "chmod +x run"),
        ("#!/bin/sh\r\necho 1\r\n", 0o755, "Windows line ends (CRLF)", "LF"),
        ("#!/usr/bin/env python3\r\nprint(1)\r\n", 0o644, "Windows line ends (CRLF)", "LF"),
    ],
)
def test_a_program_that_cannot_be_run_says_why(text: str, mode: int, says: str, hint: str, tmp_path: Path) -> None:
    program(tmp_path / "run", text, mode)
    (warning,) = load(LOCAL.replace(BOT_PATH, "command: ./run --fast"), tmp_path).diagnostics
    assert warning.code == "F404" and says in warning.message and hint in (warning.hint or "")


def test_a_folder_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (warning,) = load(LOCAL.replace(BOT_PATH, "command: [./run]"), tmp_path).diagnostics
    assert warning.code == "F404" and "is not a file" in warning.message


def test_a_program_of_a_subdirectory_is_found_there(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "deep")  # noqa: PTH103
    program(tmp_path / "deep" / "run")
    text = LOCAL.replace(
        "source: {path: .}\n      bot_path: works:first", "source: {path: ., subdirectory: deep}\n      command: ./run"
    )
    assert load(text, tmp_path).diagnostics == ()
