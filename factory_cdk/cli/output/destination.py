"""Where a command writes the one text that it makes: to stdout, or whole to a file."""

from __future__ import annotations

from pathlib import Path

import click

from factory_cdk.diagnostics import FactoryError

output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write to this file [default: stdout].",
)


def write_output(text: str, output: Path | None) -> None:
    """Write `text`, which ends with a line break, as UTF-8 with LF. FactoryError when the file cannot be written."""
    if output is None:
        click.echo(text.encode("utf-8"), nl=False)
        return
    try:
        output.write_bytes(text.encode("utf-8"))
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror or error}"
        raise FactoryError(message, "name another file with --output") from None
