"""The command line: one module per command, each imported only when it is called.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted (others are in a command's help).
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import NoReturn

import click

from factory_cdk.cli.output.report import print_error
from factory_cdk.diagnostics import FactoryError
from factory_cdk.version import __version__

COMMANDS = (
    "validate",
    "lint",
    "schema",
    "graph",
    "explain",
    "pack",
    "lock",
    "synth",
    "review",
    "permissions",
    "preflight",
    "build",
    "secrets",
    "bot-start",
    "submit",
    "run",
    "runs",
    "ps",
    "top",
    "logs",
    "jobs",
    "stop",
    "resume",
    "info",
    "list",
    "demolish",
    "doctor",
)
"""Every command, in the order of the help; `x-y` is the function `command` of `commands/x_y.py`."""

EXAMPLES = """\b
Examples:
  factory-cdk validate --plan factory-plan.yml
  factory-cdk synth --plan factory-plan.yml --stage dev
  factory-cdk build --plan factory-plan.yml --stage test
"""


class _Commands(click.Group):
    """A group whose commands are imported when they are needed, so that start-up stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from factory_cdk.plan.spelling import did_you_mean  # noqa: PLC0415 - for mistakes alone

            near = did_you_mean(args[0], COMMANDS)  # click compares with those commands that are imported
            raise click.UsageError(
                f"{error.message} {near[0].upper()}{near[1:]}" if near else error.message, ctx
            ) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"factory_cdk.cli.commands.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101 - a command module without its command is our mistake
        return command


@click.command(
    cls=_Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, "--version", prog_name="factory-cdk")
def cli() -> None:
    """One YAML plan becomes a factory of Python workers, on this machine and on EC2."""


def main() -> None:
    """Run the command line: every error that a user can cause ends as a line or two on stderr."""
    _fill_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal shows \u2026 where it has no character
            stream.reconfigure(errors="backslashreplace")
    try:
        if sys.flags.optimize > 1:  # cerberus refuses it when it is imported
            raise FactoryError("factory-cdk does not run under python -OO", "unset PYTHONOPTIMIZE, or set it to 1")
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except FactoryError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:  # Ctrl-C, or no answer to a question
        click.echo("interrupted", file=sys.__stderr__ or sys.stderr)  # the latter may be muted (stacks/node.py)
        sys.exit(130)
    except click.UsageError as error:
        from factory_cdk.cli.missing_options import with_hint  # noqa: PLC0415 - for mistakes alone

        with_hint(error, sys.argv[1:]).show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        _lost_output(error)
    sys.exit(status if isinstance(status, int) else 0)


def _fill_standard_descriptors() -> None:
    """Let /dev/null stand where stdin, stdout or stderr were closed (`>&-`): else the next file that is opened, a
    database for one, gets the number, and what somebody prints there goes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _lost_output(error: OSError) -> NoReturn:
    """End where what is printed can no longer be written; other errors of the system are our mistakes."""
    if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO) or error.filename is not None:
        raise error
    # Nothing more can be told on stdout, least of all when Python flushes it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno != errno.EPIPE:  # whoever reads our output may go away (`| head`) without a word
        click.echo(f"error: the output cannot be written: {error.strerror}", err=True)
    sys.exit(1)
