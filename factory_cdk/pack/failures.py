"""What it means that uv or git failed, and what to do about it: read from the structure of what they print.

uv prints `error: …`, one `  cause: …` for each link of its chain of errors, and `hint: …`, each at the start of a line;
what a build backend or git printed under it is indented. git prints `fatal: …`, `error: …` and `remote: …`, ssh its own
lines. Only whole sentences of theirs are matched, each in its place: never a word anywhere in the output, which also
has names of packages, urls and what a build backend prints.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.bundle import without_credentials
from factory_cdk.canonical_json import json_digest
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import Output
from factory_cdk.pack.failure_kinds import BUILD_KINDS, GIT_KINDS, UV_KINDS, Kind, Part

MOST_SHOWN = 12
"""Lines of a build backend's or of git's output that a message shows; all of it is in the log file."""

MOST_LOGS = 100
"""Log files that are kept; older ones are removed."""

_START = re.compile(r"(?P<error>error: |  × )|(?P<cause>  (?:cause|Caused by): |  [├╰]─▶ )|(?P<hint> *hint: )")
_PRINTED = re.compile(r"\[(?:stderr|stdout)\]|--- (?:stderr|stdout)")
_PACKAGE = re.compile(
    r"Failed to (?:build|download and build|download|prepare|fetch|generate package metadata for) `([^`]+)`"
)


@dataclass(frozen=True, slots=True)
class UvError:
    """What uv says of a failure: its `error`, the chain of `causes`, its `hints`, and what programs that it ran
    `printed` (a build backend, git), in lines.
    """

    error: str = ""
    causes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()

    @property
    def package(self) -> str | None:
        """The package that could not be built or fetched, as uv names it (`pyyaml==5.4.1`), or None."""
        for text in (self.error, *self.causes):
            if found := _PACKAGE.match(text):
                return found[1]
        return None

    def texts(self, part: Part) -> Iterable[str]:
        """The texts of one part of it."""
        return {"error": (self.error,), "cause": self.causes, "hint": self.hints}[part]


def read_uv_error(text: str) -> UvError:
    """What uv printed on standard error, in its parts. Empty where it printed no error."""
    parts: dict[str, list[list[str]]] = {"error": [], "cause": [], "hint": []}
    printed: list[str] = []
    current: list[str] | None = None
    for line in text.splitlines():
        if not line.strip():
            continue
        if start := _START.match(line):
            part = start.lastgroup or "error"
            current = [line[start.end() :].strip()]
            parts[part].append(current)
        elif not line.startswith((" ", "\t")):
            current = None  # a warning, or uv's words outside of an error
        elif current is not None:
            said = line.strip(" │")
            if _PRINTED.fullmatch(said):
                current = printed
            elif current is printed:
                printed.append(line.removeprefix(" " * 9))
            elif said:
                current.append(said)
    texts = {part: tuple("\n".join(lines) for lines in found) for part, found in parts.items()}
    errors = texts["error"]
    return UvError(errors[0] if errors else "", (*errors[1:], *texts["cause"]), texts["hint"], tuple(printed))


def kind_of_uv_error(error: UvError) -> tuple[str, str]:
    """The kind of uv's failure (`network`, `build`, …; `other` for what is none of them) and what to do about it."""
    for kind in UV_KINDS:
        for part in kind.parts:
            for text in error.texts(part):
                if found := kind.sentence.match(" ".join(text.split())):  # uv wraps its lines
                    if kind.name == "git" and (inner := _git_kind(error.printed)) is not None:
                        return kind.name, _filled(inner.remedy, {"url": "ADDRESS", "host": "HOST"})
                    if kind.name == "build" and (why := _build_kind(error)) is not None:
                        return why
                    return kind.name, _filled(kind.remedy, found.groupdict(), error)
    return "other", "see what uv says, and correct the requirements"


def kind_of_git_failure(lines: Sequence[str], url: str) -> tuple[str, str]:
    """The kind of git's failure (`credentials`, …; `other` for what is none of them) and what to do about it."""
    shown = without_credentials(url)
    host = re.sub(r"^[a-z+]+://|[:/].*$", "", shown.partition("@")[2] or shown)
    kind = _git_kind(lines)
    if kind is None:
        return "other", f"try `git ls-remote {shown}` by hand"
    return kind.name, _filled(kind.remedy, {"host": host, "url": shown})


def uv_failure(output: Output, what: str, logs: Path | None) -> FactoryError:
    """`what` failed (a sentence that names whose requirements), because of what uv said, and what to do about it.

    All that uv printed goes to a file in the folder `logs`, which the message names.
    """
    error = read_uv_error(output.stderr)
    _, remedy = kind_of_uv_error(error)
    if not error.error:
        lines = _shortened(output.stderr.splitlines()) or [f"nothing, and ended with exit code {output.code}"]
    else:
        chain = [line for text in (error.error, *error.causes) for line in text.splitlines()]
        lines = [
            *chain,
            *(f"  {line}" for line in _shortened(error.printed)),
            *(f"hint: {hint}" for hint in error.hints),
        ]
    return FactoryError(_message(what, "uv", lines, output, logs), remedy)


def git_failure(output: Output, doing: str, url: str, logs: Path | None) -> FactoryError:
    """`doing` something with `url` failed, because of what git said, and what to do about it; see `uv_failure`."""
    lines = [line for line in output.stderr.splitlines() if not line.startswith("Cloning into ")]
    _, remedy = kind_of_git_failure(lines, url)
    shown = _shortened(lines) or [f"nothing, and ended with exit code {output.code}"]
    return FactoryError(_message(f"{doing} {without_credentials(url)} failed", "git", shown, output, logs), remedy)


def _git_kind(lines: Iterable[str]) -> Kind | None:
    said = [line.strip() for line in lines]
    return next((kind for kind in GIT_KINDS if any(kind.sentence.match(line) for line in said)), None)


def _build_kind(error: UvError) -> tuple[str, str] | None:
    """The kind of failure of a build backend, and what to do about it: the first kind that one of its lines tells."""
    said = [line.strip(" │╰├─▶💥") for line in error.printed]
    for kind in BUILD_KINDS:
        for line in said:
            if found := kind.sentence.match(line):
                what = next((value for value in found.groupdict().values() if value), "").replace("CXX", "C++")
                return kind.name, _filled(kind.remedy, {"what": what}, error)
    return None


def _filled(remedy: str, groups: Mapping[str, str | None], error: UvError | None = None) -> str:
    of = (groups.get("of") or groups.get("only") or "").rstrip(",.")
    package = error.package if error else None
    from_index = package is not None and "==" in package
    build = (
        f"{package} has to be built here, and its build fails: require a version with a wheel for this Python, "
        "name another `python` in the plan, or install what its build needs"
        if from_index
        else "the project's own build fails: correct it; "
        "a pyproject.toml without [build-system] is not installed, its code is used as it is"
    )
    name = re.split(r"[\[=<>!~;@ ]", of, maxsplit=1)[0]
    values = {**{key: value or "" for key, value in groups.items()}, "of": of, "name": name, "build": build}
    values["wheel"] = (
        f", or require a version of {(package or '').partition('==')[0]} that has a wheel" if from_index else ""
    )
    return remedy.format(**values)


def _shortened(lines: Sequence[str]) -> list[str]:
    """The first lines and the last: what a traceback is about stands at its end."""
    if len(lines) <= MOST_SHOWN:
        return list(lines)
    left_out = len(lines) - MOST_SHOWN
    return [*lines[:2], f"… ({left_out} more lines)", *lines[2 - MOST_SHOWN :]]


def _message(what: str, program: str, lines: Iterable[str], output: Output, logs: Path | None) -> str:
    shown = "\n".join(f"    {line}" for line in lines)
    kept = "\n".join(_kept(what, program, output, logs))
    return f"{what}; {program} says:\n{shown}" + (f"\n{kept}" if kept else "")


def _kept(what: str, program: str, output: Output, logs: Path | None) -> Iterator[str]:
    """Write all that a program printed to a file in `logs`; a line that names it."""
    if logs is None or not output.stderr:
        return
    file = logs / f"{program}-{json_digest(what)[:12]}.log"
    try:
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as log:
            log.write(f"{what} (exit code {output.code})\n\n{output.stderr}\n")
        _remove_oldest(logs)
    except OSError as error:
        yield f"  what {program} printed could not be kept in {file}: {error.strerror}"
    else:
        yield f"  all that {program} printed is in {file}"


def _remove_oldest(logs: Path) -> None:
    found = sorted(logs.glob("*.log"), key=lambda file: (_changed(file), file.name))
    for file in found[:-MOST_LOGS]:
        file.unlink(missing_ok=True)


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another pack has removed it
        return 0.0
