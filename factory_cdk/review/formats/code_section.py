"""What differs in the code of bots: where it comes from, its commits, files and dependencies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from factory_cdk.pack.requirements.changes import Dependency
from factory_cdk.review.formats.blocks import (
    Block,
    Bullets,
    Details,
    Line,
    Link,
    Mark,
    Paragraph,
    Piece,
    Said,
    Sign,
    Table,
    Value,
)
from factory_cdk.review.formats.grouping import alike
from factory_cdk.review.formats.job_section import opened
from factory_cdk.review.formats.values import change, counted, names
from factory_cdk.review.model import BotReport, StageReport, Verdict

MOST_SOURCE = 100
"""Characters of where code comes from."""

MOST_FILES = 100
"""Files of a bot that are named."""


def code_blocks(stage: StageReport) -> Iterator[Block]:
    """A line for each bot whose code differs, and in details what differs in it."""
    bots = [bot for bot in stage.bots if bot.verdict is not Verdict.UNCHANGED or bot.notes]
    groups = alike(bots, lambda bot: replace(bot, name=""))
    yield from opened([_bots(same) for same in groups], "Code", "more line")
    inside = [block for same in groups for block in _inside(same)]
    if inside:
        yield Details("Commits, files and dependencies", tuple(inside))


def _bots(same: Sequence[BotReport]) -> Line:
    """Bots of one source, whose code differs alike."""
    bot = same[0]
    line: list[Piece] = [Mark(bot.verdict, str(bot.verdict)), ": ", *_names(same)]
    if bot.before != bot.after:
        line += [", ", *change(bot.before, bot.after, MOST_SOURCE)]
    if bot.backwards:
        line += [", ", Sign("⚠️", "back to an older commit")]
    if bot.commit_count:
        line.append(f", {counted(bot.commit_count, 'commit')}")
    if bot.files is not None and len(bot.files):
        line.append(f", {counted(len(bot.files), 'file')}")
    if bot.dependencies:
        line.append(f", {counted(len(bot.dependencies), 'dependency', 'dependencies')}")
    if bot.compare_url is not None:
        line += [": ", Link(bot.compare_url)]
    for note in bot.notes:
        line += ["; ", Said(note)]
    return tuple(line)


def _names(same: Sequence[BotReport]) -> Line:
    return names([bot.name for bot in same], "bot")


def _inside(same: Sequence[BotReport]) -> Iterator[Bullets | Table | Paragraph]:
    bot = same[0]
    if not (bot.commits or bot.dependencies or (bot.files is not None and len(bot.files))):
        return
    yield Paragraph(("Bot " if len(same) == 1 else "Bots ", *_names(same)))
    if bot.commits:
        yield Table(
            ("commit", "title", "author"),
            tuple(((Value(one.id[:12]),), (Value(one.title),), (Value(one.author),)) for one in bot.commits),
        )
        if bot.commit_count is not None and bot.commit_count > len(bot.commits):
            yield Paragraph((f"and {counted(bot.commit_count - len(bot.commits), 'older commit')}",))
    if bot.files is not None and len(bot.files):
        yield Bullets(tuple(_files(bot)))
    if bot.dependencies:
        yield Table(("package", "change", "before → after"), tuple(map(_dependency, bot.dependencies)))


def _files(bot: BotReport) -> Iterator[Line]:
    files = bot.files
    if files is None:
        return
    kinds = ((Verdict.REMOVED, files.removed), (Verdict.ADDED, files.added), (Verdict.CHANGED, files.changed))
    for verdict, paths in kinds:
        for path in paths[:MOST_FILES]:
            yield (Mark(verdict, str(verdict)), ": ", Value(path))
        if len(paths) > MOST_FILES:
            yield (Mark(verdict, str(verdict)), f": {counted(len(paths) - MOST_FILES, 'more file')}")


def _dependency(found: Dependency) -> tuple[Line, ...]:
    if found.before is not None and found.before == found.after:
        return ((Value(found.name),), (Value(found.change),), (Value(found.before), ", other files"))
    return ((Value(found.name),), (Value(found.change),), change(found.before, found.after))
