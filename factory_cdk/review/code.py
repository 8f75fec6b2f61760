"""What differs in the code of a bot: its commits, its files and its dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from factory_cdk.review.history import History
from factory_cdk.review.model import BotReport, Dependency, Files, Verdict
from factory_cdk.review.sides.side import CodeSide, StageSide

_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:==\s*([^\s;]+)|@\s*(\S+))?")


def bot_reports(before: StageSide | None, after: StageSide | None, history: History) -> tuple[BotReport, ...]:
    """Every bot of the two sides, those that are new or differ with what is known of it."""
    olds, news = (side.code if side else {} for side in (before, after))
    whole = all(side.whole for side in (before, after) if side)
    return tuple(
        _bot(name, olds.get(name), news.get(name), history, whole=whole) for name in dict.fromkeys((*olds, *news))
    )


def _bot(name: str, was: CodeSide | None, now: CodeSide | None, history: History, *, whole: bool) -> BotReport:
    if was is None or now is None:
        verdict = Verdict.ADDED if was is None else Verdict.REMOVED
        return BotReport(name, verdict, was.origin if was else None, now.origin if now else None)
    dependencies = tuple(_dependencies(was.requirements, now.requirements))
    if (was.digest, was.origin, was.commit) == (now.digest, now.origin, now.commit) and not dependencies:
        return BotReport(name, Verdict.UNCHANGED, was.origin, now.origin, notes=tuple(_unpinned(now)))
    notes = [*_unpinned(now)]
    commits = None
    if was.commit and now.commit and was.commit != now.commit and was.url == now.url:
        commits = history.between(now.url or "", was.commit, now.commit)
        if commits is None:
            notes.append("the commits between the two are not here: `git fetch` them to see their titles")
    files = _files(was, now)
    if files is None and was.digest != now.digest and commits is None:
        notes.append("its files are not here, so it is not known which of them differ")
    if was.requirements is None or now.requirements is None:
        which = "its requirements are not locked" if whole else "a cloud assembly does not say what is locked"
        notes.append(f"{which}: their versions are not compared")
    return BotReport(
        name,
        Verdict.CHANGED,
        was.origin,
        now.origin,
        commit_count=commits.count if commits else None,
        commits=commits.newest if commits else (),
        backwards=commits.backwards if commits else False,
        compare_url=compare_url(now.url, was.commit, now.commit) if was.url == now.url else None,
        files=files,
        dependencies=dependencies,
        notes=tuple(notes),
    )


def _unpinned(code: CodeSide) -> Iterator[str]:
    if not code.pinned:
        yield "neither plan.lock nor this machine knows which code it is: run `factory-cdk lock`"


def _files(was: CodeSide, now: CodeSide) -> Files | None:
    if was.digest == now.digest:
        return Files()
    if was.kind != now.kind:
        return None
    old, new = was.files(), now.files()
    if old is None or new is None:
        return None
    both = old.keys() & new.keys()
    return Files(
        added=tuple(sorted(new.keys() - both)),
        changed=tuple(sorted(path for path in both if old[path] != new[path])),
        removed=tuple(sorted(old.keys() - both)),
    )


def _dependencies(before: Sequence[str] | None, after: Sequence[str] | None) -> Iterator[Dependency]:
    if before is None or after is None:
        return
    olds, news = _by_name(before), _by_name(after)
    for name in sorted({*olds, *news}):
        was, now = olds.get(name), news.get(name)
        if was != now:
            yield Dependency(name, _direction(was, now), _shown(was), _shown(now))


def _by_name(lines: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """The versions (or addresses) of each package, each with its whole line: an environment marker may choose."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        said = _NAME.match(line)
        if said is not None:
            version = said[2] or (f"@ {_without_query(said[3])}" if said[3] else "")
            found.setdefault(canonicalize_name(said[1]), []).append((version, line))
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _without_query(url: str) -> str:
    return re.split(r"[?#]", url, maxsplit=1)[0]


def _shown(versions: Sequence[tuple[str, str]] | None) -> str | None:
    return ", ".join(dict.fromkeys(version for version, _ in versions)) if versions else None


def _direction(was: Sequence[tuple[str, str]] | None, now: Sequence[tuple[str, str]] | None) -> str:
    if was is None or now is None:
        return "added" if was is None else "removed"
    try:
        old, new = (max(Version(version) for version, _ in side) for side in (was, now))
    except InvalidVersion:
        return "changed"
    return "changed" if old == new else "up" if new > old else "down"


_HOSTED = re.compile(r"https://(github\.com|gitlab\.com)/([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+?)(?:\.git)?/?")
_SSH = re.compile(r"(?:ssh://)?git@(github\.com|gitlab\.com)[:/]([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+?)(?:\.git)?/?")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def compare_url(url: str | None, before: str | None, after: str | None) -> str | None:
    """The page on which GitHub or GitLab shows the commits between two; None for other hosts."""
    found = _HOSTED.fullmatch(url or "") or _SSH.fullmatch(url or "")
    if found is None or not (before and after and _COMMIT.fullmatch(before) and _COMMIT.fullmatch(after)):
        return None
    dash = "/-" if found[1] == "gitlab.com" else ""
    return f"https://{found[1]}/{found[2]}{dash}/compare/{before}...{after}"
