"""Finding the program of a bot, and saying why one that is there cannot be run."""

from __future__ import annotations

import os
import shutil

from .errors import BotError

LONGEST_FIRST_LINE = 256
"""Bytes of a `#!` line that Linux reads (execve(2))."""


def find_program(name: str) -> str:
    """The path of the program `name`, as execvp(3) finds it. BotError, which says why, when it cannot be run."""
    program = shutil.which(name)
    if program is None:
        raise BotError("CommandNotFound", _why_not_found(name))
    if reason := _why_not_runnable(program):
        raise BotError("CommandNotRunnable", f"{name!r} cannot be run: {reason}")
    return program


def _why_not_found(name: str) -> str:
    folders = [""] if os.path.dirname(name) else os.get_exec_path()  # noqa: PTH120 - pathlib takes 10 ms to import
    for folder in folders:
        path = os.path.join(folder, name)  # noqa: PTH118
        if os.path.isdir(path):  # noqa: PTH112
            return f"{name!r} is a folder, not a program"
        if os.path.exists(path):  # noqa: PTH110
            return f"{path!r} is there, but its mode does not allow to run it: chmod +x, and commit that"
    if not os.path.dirname(name) and os.path.exists(name):  # noqa: PTH110, PTH120
        return f"{name!r} is not on PATH; there is one in the bot's folder: write './{name}'"
    return f"{name!r} is not a program here or on PATH: it has to be required, or installed on this machine"


def _why_not_runnable(path: str) -> str | None:
    """Why the kernel would refuse a script: its first line, which names what runs it, is wrong."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(LONGEST_FIRST_LINE)
    except OSError:
        return None  # it may be run and not read
    if not start.startswith(b"#!"):
        if start.isascii() and b"\0" not in start:
            return "it is text, and its first line does not say what runs it (#!/bin/sh)"
        return None
    line = start.split(b"\n")[0]
    if line.endswith(b"\r"):
        return "its lines end as on Windows (CRLF): convert it, or set `*.sh text eol=lf` in .gitattributes"
    interpreter = os.fsdecode(line[2:].strip().split(b" ")[0].split(b"\t")[0])
    if not os.path.exists(interpreter):  # noqa: PTH110
        return f"its first line names {interpreter!r}, which is not there"
    return None
