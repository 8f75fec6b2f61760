"""Comments that silence warnings: `# factory: ignore F402, F310`, behind what they are about or on the line above.

Warnings and notices can be silenced, errors cannot. A comment that silences nothing is itself reported, so that
none outlives its reason; what may follow the codes after `--` is that reason.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.plan.findings import shortened
from factory_cdk.plan.spelling import did_you_mean

UNUSED, UNKNOWN = "F023", "F022"

_COMMENT = re.compile(r"#[ \t]*factory:[ \t]*ignore\b(?P<rest>[^\r\n]*)")
_REASON = re.compile(r"(?:^|\s)--|\(|#")
_WORD = re.compile(r"[^\s,]+")
_BREAK = re.compile(r"\r\n|\r|\n")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

OF_A_STAGE = frozenset({"F401", "F605"}) | {code for code in CODES if code.startswith("F7")}
"""Codes that loading a plan never finds: they come from designing and linting one of its stages."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """One code of one comment: `line` and `column` are where it stands, `about` is the line that it is about.
    `code` is "" for a comment that names none.
    """

    code: str
    line: int
    column: int
    about: int


def find_ignores(text: str) -> tuple[Ignore, ...]:
    """Every code that the comments of a plan's `text` name, in the order of the file; none when it is no YAML."""
    matches = list(_COMMENT.finditer(text))
    if not matches:
        return ()
    try:
        scalars = _scalars(text)
    except yaml.YAMLError:
        return ()
    starts = [0, *(found.end() for found in _BREAK.finditer(text))]
    firsts = [first for first, _ in scalars]
    found: list[Ignore] = []
    for match in matches:
        before = bisect_right(firsts, match.start()) - 1
        if before >= 0 and match.start() < scalars[before][1]:
            continue  # text that looks like a comment
        line = bisect_right(starts, match.start())
        alone = not text[starts[line - 1] : match.start()].strip()
        about = _next_line(text, starts, line) if alone else line
        found += _named(match, line, starts[line - 1], about)
    return tuple(found)


def _scalars(text: str) -> list[tuple[int, int]]:
    """Where the scalars of `text` begin and end; a block scalar begins below its `|`, which a comment may follow."""
    places = []
    for token in yaml.scan(text, Loader=_LOADER):
        if isinstance(token, yaml.ScalarToken):
            first, end = token.start_mark.index, token.end_mark.index
            if token.style in ("|", ">"):
                header = _BREAK.search(text, first, end)
                first = header.end() if header else end
            places.append((first, end))
    return places


def _next_line(text: str, starts: list[int], line: int) -> int:
    """The next line after `line` that holds more than a comment."""
    for number in range(line, len(starts)):
        end = starts[number + 1] if number + 1 < len(starts) else len(text)
        content = text[starts[number] : end].strip()
        if content and not content.startswith("#"):
            return number + 1
    return line


def _named(match: re.Match[str], line: int, start: int, about: int) -> Iterator[Ignore]:
    rest = match["rest"]
    reason = _REASON.search(rest)
    words = list(_WORD.finditer(rest, 0, reason.start() if reason else len(rest)))
    if not words:
        yield Ignore("", line, match.start() - start + 1, about)
    for word in words:
        yield Ignore(word[0], line, match.start("rest") + word.start() - start + 1, about)


def silenced(
    found: Iterable[Diagnostic],
    text: str,
    file: str,
    judged: Callable[[Ignore], bool] = lambda ignore: ignore.code not in OF_A_STAGE,
) -> tuple[Diagnostic, ...]:
    """`found` without what the comments in the plan's `text` silence, and with what is wrong with the comments
    (F022, F023), in the order of the file.

    `judged` says of which comments it is known whether they are needed: a code that this run does not look for
    is neither used nor unused.
    """
    ignores = find_ignores(text)
    if not ignores:
        return tuple(found)
    places: dict[tuple[str, int], list[Ignore]] = {}
    for ignore in ignores:
        places.setdefault((ignore.code, ignore.about), []).append(ignore)
    left: list[Diagnostic] = []
    used: set[Ignore] = set()
    for one in found:
        here = places.get((one.code, one.line), []) if one.file == file else []
        if here and one.severity is not Severity.ERROR:
            used.update(here)
        else:
            left.append(one)
    for ignore in ignores:
        said = _said(ignore, unused=ignore not in used and judged(ignore))
        if said is not None:
            code, message, hint = said
            left.append(Diagnostic(code, CODES[code].severity, message, hint, file, ignore.line, ignore.column))
    return tuple(sorted(left, key=lambda one: (one.file != file, one.file, one.line, one.column, one.code)))


def _said(ignore: Ignore, *, unused: bool) -> tuple[str, str, str | None] | None:
    """The code, message and hint about a comment; None when nothing is wrong with it."""
    shown = shortened(ignore.code)
    if not ignore.code:
        return (
            UNKNOWN,
            "missing code in the ignore comment",
            "write `# factory: ignore F402`; a reason may follow after `--`",
        )
    if ignore.code not in CODES:
        return UNKNOWN, f"unknown code `{shown}`", did_you_mean(ignore.code, CODES)
    code = CODES[ignore.code]
    if code.severity is Severity.ERROR:
        return (
            UNKNOWN,
            f"`{shown}` is an error ({code.title}), which cannot be silenced",
            "fix it and remove the comment",
        )
    if ignore.code in (UNUSED, UNKNOWN):
        return UNKNOWN, f"`{shown}` is about ignore comments and cannot be silenced", "remove the comment"
    if unused:
        return (
            UNUSED,
            f"unused ignore comment: line {ignore.about} has no `{shown}` ({code.title})",
            "remove the comment",
        )
    return None
