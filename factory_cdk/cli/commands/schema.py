"""`factory-cdk schema`: the plan language as JSON Schema, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from factory_cdk.cli.output.destination import output_option, write_output
from factory_cdk.plan.schema.json_schema import schema_text
from factory_cdk.plan.schema.page import page

EXAMPLES = """\b
Examples:
  factory-cdk schema -o factory-plan.schema.json
  factory-cdk schema | jq '."$defs" | keys'
  factory-cdk schema --format markdown | less

\b
An editor with yaml-language-server (VS Code's YAML extension, Neovim, Emacs, IntelliJ) uses it
when the plan's first line names it:
  # yaml-language-server: $schema=factory-plan.schema.json
"""


@click.command(epilog=EXAMPLES, short_help="Print the JSON Schema of plans, for editors.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="JSON Schema for editors, or a page for people.",
)
@output_option
def command(format_: str, output: Path | None) -> None:
    """Print the JSON Schema (2020-12) of plans, with which an editor completes and explains them.

    What it refuses, `validate` refuses too; references between the parts of a plan only `validate` checks.
    """
    write_output(schema_text() if format_ == "json" else page(), output)
