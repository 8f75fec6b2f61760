"""Reads the `command` of a bot: an argument vector that no shell sees, as in the exec form of a Dockerfile."""

from __future__ import annotations

import re
import shlex
import stat
from pathlib import Path as FilePath
from typing import Any

from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import PathSource, Source
from factory_cdk.plan.yaml.nodes import Path

OPERATORS = ("&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1", "&>")

MAX_SHOWN = 60
"""The longest command that a hint repeats, in characters."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[^}]*\}|\()")
_OPERATOR = re.compile(r"[0-9]?>&[0-9]|[0-9&]?>>?|<<?|&&|\|\||[|;&]")
_PATTERN = re.compile(r"[*?]|\[[^\]\s]+\]")
_START = 256
"""Bytes of a program that tell how it is run."""


def read_command(value: Any, path: Path, source: Source | None, findings: Findings) -> tuple[str, ...] | None:
    """The argument vector of the command `value` at `path`: a list, or one line, which is split as a POSIX shell would.

    What only a shell would understand is refused (F116) or warned of (F117), as is a program of the path source
    `source` that cannot be run (F404).
    """
    words = _words(value, path, findings)
    if words and isinstance(source, PathSource):
        _check_program(words[0], source, path, findings)
    return words


def _words(value: Any, path: Path, findings: Findings) -> tuple[str, ...] | None:
    if isinstance(value, list):
        for index, part in enumerate(value):
            findings.refuse_nul((*path, index), str(part))
            if part in OPERATORS:
                message = (
                    f"`{part}` is passed to `{shortened(str(value[0]))}` as an argument: no shell reads the command"
                )
                findings.at_value((*path, index), "F117", message, "write `[sh, -c, '…']` if a shell must read it")
        return tuple(str(part) for part in value)
    if not isinstance(value, str):
        return None
    findings.refuse_nul(path, value)
    line = value.replace("\\\n", " ").strip()
    syntax = shell_syntax(line)
    if syntax is not None:
        quoted = line.replace("'", "''")
        short = len(line) <= MAX_SHOWN and line.isprintable()
        shown = f"`[sh, -c, '{quoted}']`" if short else "a list: `sh`, `-c` and the script"
        hint = f"a command runs without a shell; write {shown}"
        findings.at_value(path, "F116", f"the command of `{path[-2]}` needs a shell: {syntax}", hint)
        return None
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        findings.at_value(path, "F111", f"cannot split the command into arguments: {error}", "write it as a list")
        return None
    if not words:
        findings.at_value(path, "F111", "the command is empty", "write the program and its arguments")
    pattern = _PATTERN.search(_unquoted(line))
    if pattern is not None or any(word.startswith("~/") for word in line.split()):
        what = "`~`" if pattern is None else f"`{pattern[0]}`"
        message = f"{what} in the command of `{path[-2]}` is passed on as it is: no shell expands it"
        findings.at_value(path, "F117", message, "quote it if that is meant, or write `[sh, -c, '…']`")
    return words


def shell_syntax(line: str) -> str | None:
    """What in `line` a shell would act on and an argument vector would not, in words; None when nothing is."""
    if "\n" in line:
        return f"it has {len(line.splitlines())} lines"
    bare = _unquoted(line)
    # Between double quotes, too, a shell fills in variables and commands.
    filled = _unquoted(line, double=False)
    for what, found in (
        ("the command in backticks", re.search("`", filled)),
        ("the variable", _VARIABLE.search(filled)),
        ("the assignment", _ASSIGNMENT.match(bare)),
        ("the operator", _OPERATOR.search(bare)),
    ):
        if found:
            return what if what.endswith("backticks") else f"{what} `{shortened(found[0], 30)}`"
    return None


def _unquoted(line: str, *, double: bool = True) -> str:
    """`line` with what is escaped or between quotes replaced by `_`; between double quotes with `double` only."""
    quotes = r"\\.|'[^']*'" + (r'|"(?:\\.|[^"\\])*"' if double else "")
    return re.sub(quotes, "_", line)


def _check_program(program: str, source: PathSource, path: Path, findings: Findings) -> None:
    """Warn (F404) of a program inside a path source that cannot be run; others are looked for where the bot runs."""
    if not program.startswith("./"):
        return
    inner = FilePath(source.folder, source.subdirectory or "")
    if not inner.is_dir():
        return  # F403
    files = (inner / program, source.folder / program)
    problem = _why_not_run(next((file for file in files if file.exists()), files[0]))
    if problem is not None:
        why, hint = problem
        message = f"`{shortened(program)}`, the program of `{path[-2]}`, {why}"
        findings.at_value((*path, 0), "F404", message, hint)


def _why_not_run(file: FilePath) -> tuple[str, str] | None:
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            return "is not a file", "write the path of the program, relative to the source"
        with file.open("rb") as opened:
            first = opened.read(_START).split(b"\n", 1)[0]
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return "is not in the source", "correct the path, which is relative to the source"
        return f"cannot be read: {error.strerror}", "check its permissions"
    if first.startswith(b"#!") and first.endswith(b"\r"):
        return "has Windows line ends (CRLF) after `#!`", "save it with LF line ends"
    if not mode & 0o111:
        return "is not executable", f"run `chmod +x {file.name}`, or write its interpreter before it"
    return None
