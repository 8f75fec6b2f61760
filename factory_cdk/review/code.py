"""What differs in the code of a bot: its commits, its files and its dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from factory_cdk.pack.requirements.changes import dependency_changes
from factory_cdk.review.history import History
from factory_cdk.review.model import BotReport, Files, Verdict
from factory_cdk.review.sides.side import CodeSide, StageSide


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
    known = was.requirements is not None and now.requirements is not None
    dependencies = tuple(dependency_changes(was.requirements or (), now.requirements or ())) if known else ()
    moved = (
        whole and not known and was.requirements_path != now.requirements_path
    )  # what is locked says it, where known
    if (was.digest, was.origin, was.commit) == (now.digest, now.origin, now.commit) and not (dependencies or moved):
        return BotReport(name, Verdict.UNCHANGED, was.origin, now.origin, notes=tuple(_unpinned(now)))
    notes = [*_unpinned(now)]
    if moved:
        paths = " and is ".join(path or "not set" for path in (was.requirements_path, now.requirements_path))
        notes.append(f"its requirements_path was {paths}")
    commits = None
    if was.commit and now.commit and was.commit != now.commit and was.url == now.url:
        commits = history.between(now.url or "", was.commit, now.commit)
        if commits is None:
            notes.append("the commits between the two are not here: `git fetch` them to see their titles")
    files = _files(was, now)
    if files is None and was.digest != now.digest and commits is None:
        notes.append("its files are not here, so it is not known which of them differ")
    if not known:
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


_HOSTED = re.compile(r"https://(github\.com|gitlab\.com)/([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+)/?")
_SSH = re.compile(r"(?:ssh://)?git@(github\.com|gitlab\.com)[:/]([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+)/?")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def compare_url(url: str | None, before: str | None, after: str | None) -> str | None:
    """The page on which GitHub or GitLab shows the commits between two; None for other hosts."""
    found = _HOSTED.fullmatch(url or "") or _SSH.fullmatch(url or "")
    if found is None or not (before and after and _COMMIT.fullmatch(before) and _COMMIT.fullmatch(after)):
        return None
    dash = "/-" if found[1] == "gitlab.com" else ""
    path = found[2].removesuffix(".git")
    return f"https://{found[1]}/{path}{dash}/compare/{before}...{after}"
