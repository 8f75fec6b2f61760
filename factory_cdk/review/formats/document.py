"""A Report as blocks: the head, then every stage that differs, each thing in the order in which it matters."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.review.formats.blocks import Block, Bullets, Heading, Line, Paragraph, Said, Sign, Value
from factory_cdk.review.formats.code_section import code_blocks
from factory_cdk.review.formats.head import PROBLEM, head, most_severe_first, nothing_changes, unchanged
from factory_cdk.review.formats.job_section import job_blocks
from factory_cdk.review.formats.money_section import money_blocks
from factory_cdk.review.formats.resource_section import resource_blocks
from factory_cdk.review.formats.safety_section import access_blocks, limit_blocks, security_blocks
from factory_cdk.review.formats.sector_section import sector_blocks, setting_blocks
from factory_cdk.review.formats.workflow_section import workflow_blocks
from factory_cdk.review.model import DEPLOYED, Report, StageReport


def document(report: Report, *, brief: bool = False) -> list[Block]:
    """Everything that is shown of a report; when it is to be `brief`, without the resources of the templates."""
    if nothing_changes(report):
        return [unchanged(report)]
    blocks = list(head(report))
    if report.notes:  # what was not compared, before what was
        blocks.append(Bullets(tuple((Said(note),) for note in report.notes), "Notes"))
    told = [stage for stage in report.stages if stage.differs or stage.problems or stage.hazards]
    for stage in most_severe_first(told):
        if len(report.stages) > 1:
            blocks.append(Heading(2, ("Stage ", Value(stage.name))))
        blocks += _stage(stage)
        blocks += () if brief else resource_blocks(stage)
    asked = "AWS was asked what is deployed" if report.before == DEPLOYED else "from the plans alone: AWS was not asked"
    blocks.append(Paragraph((f"factory_cdk {report.version}, {asked}",)))
    return blocks


def _stage(stage: StageReport) -> Iterator[Block]:
    told: list[Line] = [(PROBLEM, ": ", Said(problem)) for problem in stage.problems]
    told += [(Sign("⚠️", "warning"), ": ", Said(one)) for one in stage.hazards]
    if stage.versions is not None:
        before, after = stage.versions
        told.append((Sign("⬆️", "upgrade"), ": made by factory_cdk ", Value(before), " before, now by ", Value(after)))
    if told:
        yield Bullets(tuple(told))
    yield from sector_blocks(stage)
    yield from setting_blocks(stage)
    yield from job_blocks(stage)
    yield from security_blocks(stage)
    yield from limit_blocks(stage)
    yield from code_blocks(stage)
    yield from workflow_blocks(stage)
    yield from access_blocks(stage)
    yield from money_blocks(stage)
