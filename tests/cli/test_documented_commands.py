"""Every command line that the help, the README and the pages of docs/ show has options that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from factory_cdk.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> Iterator[click.Command]:
    """Every command, those of groups included."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from command.commands.values()


def shown(text: str) -> list[str]:
    """The command lines in a text: what follows `factory-cdk`, up to the end of its line, pipe, quotation or clause."""
    return re.findall(r"factory-cdk ((?:(?:--?)?[a-zA-Z\[<'\"{][^\n`|;#&]*))", text)


def check(line: str) -> None:
    words = line.split()
    command: click.Command = cli
    while words and isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0].strip(",.:)"))
        if found is None:
            break
        command, words = found, words[1:]
    known = {
        option for one in (command, cli) for param in one.params for option in (*param.opts, *param.secondary_opts)
    }
    known |= {"--help", "-h", "--version"}
    given = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(words)))
    assert given <= known, f"factory-cdk {line}: {given - known}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_of_the_pages_have_options_that_exist(page: Path) -> None:
    for line in shown(page.read_text(encoding="utf-8")):
        check(line)


def test_examples_of_the_help_have_options_that_exist() -> None:
    lines = [line for command in commands() for line in shown(command.epilog or "")]
    assert len(lines) > 50
    for line in lines:
        check(line)


def test_every_command_has_examples() -> None:
    assert [str(command.help) for command in commands() if "Examples:" not in (command.epilog or "")] == []


def test_one_thing_has_one_option_in_every_command() -> None:
    """`--format` is always how to print, `-q` quiet (but for the queue of bot-start), every option has a help text."""
    for command in commands():
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, f"{command.name} {param.opts}"
                if "-q" in param.opts:
                    assert {"--quiet", "--queue-name"} & set(param.opts)
                if param.name == "format_":
                    assert param.opts == ["--format"]
                    assert isinstance(param.type, click.Choice)
                    assert {"json", "svg"} & set(param.type.choices)
