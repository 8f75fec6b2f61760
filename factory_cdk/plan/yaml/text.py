"""Reads a plan's file into text, reports why it cannot be read, and counts lines as editors do."""

from __future__ import annotations

import re
import stat
from bisect import bisect_right
from pathlib import Path
from typing import Any

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.yaml.lookalikes import named

MAX_BYTES = 2 * 1024 * 1024
"""A plan over this size is refused: 1,000 sectors take about 0.4 MB."""

_BREAK = re.compile(r"\r\n|\r|\n")
_ONLY_YAML_BREAKS = re.compile("[\x85\u2028\u2029]")
# YAML 1.1's printable characters (https://yaml.org/spec/1.1/#id868524), negated.
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def split_lines(text: str) -> list[str]:
    """The lines of `text` without their ends: a line ends with LF, CR LF or CR."""
    return _BREAK.split(text)


class Places:
    """Where libyaml's marks are in a text, as line and column from 1.

    libyaml ends a line at NEL, LS and PS too, which no editor does, and the last one even where nothing ends it;
    its own lines are taken where both agree, which is nearly always.
    """

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        self._agree = not _ONLY_YAML_BREAKS.search(text)
        self._end = len(text)

    def of(self, mark: Any) -> tuple[int, int]:
        """The line and column of a mark."""
        if self._agree and mark.line < len(self._starts):
            return mark.line + 1, mark.column + 1
        index = min(mark.index, self._end)
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1


def read_text(findings: Findings) -> str | None:
    """The text of `findings.file`, or None when it cannot be had (the reason is then in `findings`)."""
    path = Path(findings.file)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            findings.add("F003", f"{findings.file} is a folder, not a file", "pass the plan file inside it")
            return None
        # A plan may come through a pipe (`--plan /dev/stdin`), so only the amount read is bounded.
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        findings.add("F001", f"file not found: {findings.file}", "check --plan and the current folder")
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        findings.add("F002", f"cannot read {findings.file}: {reason}", "check the path and its permissions")
        return None
    return _decode(data, findings)


def _decode(data: bytes, findings: Findings) -> str | None:
    file = findings.file
    if len(data) > MAX_BYTES:
        hint = "use YAML anchors and aliases for repeated parts, or split the factory"
        findings.add("F004", f"{file} is too large: the limit is {MAX_BYTES:,} bytes", hint)
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        start = data.rfind(b"\n", 0, error.start) + 1
        what = f"{'UTF-16' if utf16 else 'not UTF-8'} text (byte {error.start + 1} is 0x{data[error.start]:02x})"
        findings.add(
            "F005",
            f"{file} is {what}",
            "save it as UTF-8" if utf16 else "save it as UTF-8; is this file really a plan?",
            line=data.count(b"\n", 0, start) + 1,
            column=len(data[start : error.start].decode("utf-8", "replace")) + 1,
        )
        return None
    bad = _NOT_YAML.search(text)
    if bad:
        before = split_lines(text[: bad.start()])
        message = f"{file} contains the character {named(bad[0])}, which YAML does not allow"
        hint = "remove it, or write it as an escape sequence in double quotes; is this file really a plan?"
        findings.add("F005", message, hint, line=len(before), column=len(before[-1]) + 1)
        return None
    if not text.strip():
        findings.add("F006", f"{file} is empty", "a plan starts with the key `factory:`")
        return None
    return text
