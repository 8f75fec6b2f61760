"""`factory-cdk graph`: a picture of a stage."""

from __future__ import annotations

from pathlib import Path

import click

from factory_cdk.cli.options import plan_option, region_option, stage_option
from factory_cdk.cli.output.destination import output_option, write_output
from factory_cdk.compile import compile_stage, stage_lock
from factory_cdk.picture.mermaid import as_mermaid
from factory_cdk.picture.model import picture_of
from factory_cdk.picture.svg import as_svg
from factory_cdk.picture.text import as_text
from factory_cdk.plan.load import read_plan

EXAMPLES = """\b
Examples:
  factory-cdk graph --plan factory-plan.yml --stage test
  factory-cdk graph --plan factory-plan.yml --stage prod --format svg -o prod.svg
  factory-cdk graph --plan factory-plan.yml --stage prod --format mermaid --region eu-west-2
"""

_FORMATS = {"text": as_text, "mermaid": as_mermaid, "svg": as_svg}


@click.command(epilog=EXAMPLES, short_help="Draw a stage: bots, queues, sectors and the workflow.")
@plan_option
@stage_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(_FORMATS)),
    default="text",
    show_default=True,
    help="Text for a terminal, Mermaid for Markdown, or SVG.",
)
@output_option
@region_option
def command(plan_file: str, stage: str, format_: str, output: Path | None, region: str | None) -> None:
    """Draw a stage: its bots and queues, the workflow between them, and the sectors and regions that they run in.

    Nothing is fetched and no credentials are needed. The same stage gives the same bytes.
    """
    plan = read_plan(plan_file)
    design = compile_stage(plan, stage, lock=stage_lock(plan, stage), region=region)
    write_output(_FORMATS[format_](picture_of(design)), output)
