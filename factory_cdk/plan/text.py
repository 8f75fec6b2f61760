"""Reads a plan's file into text, and says plainly why it cannot."""

from __future__ import annotations

import stat
from pathlib import Path

from factory_cdk.plan.findings import Findings

MAX_BYTES = 2 * 1024 * 1024
"""A plan over this size is refused: 1,000 sectors take about 0.4 MB."""


def read_text(findings: Findings) -> str | None:
    """The text of `findings.file`, or None when it cannot be had (the reason is then in `findings`)."""
    path = Path(findings.file)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            findings.add("F003", f"{findings.file} is a folder, not a plan", "name the plan's file inside it")
            return None
        # A plan may come through a pipe (`--plan /dev/stdin`), so only the amount read is bounded.
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        findings.add("F001", f"there is no file {findings.file}", "check --plan and the current folder")
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        findings.add("F002", f"{findings.file} cannot be read: {reason}", "check the file's permissions")
        return None
    return _decode(data, findings)


def _decode(data: bytes, findings: Findings) -> str | None:
    if len(data) > MAX_BYTES:
        findings.add(
            "F004",
            f"{findings.file} is larger than {MAX_BYTES:,} bytes",
            "use YAML aliases for what repeats, or split the factory",
        )
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.add("F005", f"{findings.file} is not UTF-8 text (byte {error.start})", None, line=line)
        return None
    bad = next((i for i, c in enumerate(text) if c < " " and c not in "\t\n\r"), None)
    if bad is not None:
        line = text.count("\n", 0, bad) + 1
        findings.add(
            "F005",
            f"{findings.file} is not text: it holds the control character {text[bad]!r}",
            "is this really a plan?",
            line=line,
            column=bad - text.rfind("\n", 0, bad),
        )
        return None
    if not text.strip():
        findings.add("F006", f"{findings.file} is empty", "a plan starts with the key `factory:`")
        return None
    return text
