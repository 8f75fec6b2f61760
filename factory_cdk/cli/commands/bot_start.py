"""`factory-cdk bot-start`: one bot, no plan."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from factory_cdk.cli.output.report import print_log_line
from factory_cdk.cli.shared_options import say, say_unless
from factory_cdk.home import find_home, pack_cache
from factory_cdk.launchers import DEFAULT, LAUNCHERS, launcher_of
from factory_cdk.lifecycle.local import single_bot
from factory_cdk.lifecycle.local.foreground import attend
from factory_cdk.plan.model import BotArguments, SecretReference, Settings
from factory_cdk.plan.sources import is_target

EXAMPLES = """\b
Examples:
  factory-cdk bot-start -q parts bots:weld
  factory-cdk bot-start -q parts -p 4 --workflow paint --meta owner=cfd --path bots bots:weld
  factory-cdk submit --name bot-start --stage weld --bot weld --payload '{"part": 7}' --wait 60
"""


class Target(click.ParamType):  # type: ignore[type-arg]
    """`module.path:attribute`, every part a Python name."""

    name = "target"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, unchanged."""
        if not is_target(str(value)):
            self.fail(f"{value!r} is not module.path:attribute", param, ctx)
        return str(value)


@click.command("bot-start", epilog=EXAMPLES, short_help="Start one bot in the foreground, without a plan.")
@click.argument("target", type=Target())
@click.option("-q", "--queue-name", metavar="QUEUE", required=True, help="The queue that the bot reads.")
@click.option(
    "-p",
    "--processes",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Number of worker processes.",
)
@click.option("--name", metavar="NAME", help="The bot's name [default: the attribute's].")
@click.option("--workflow", metavar="BOT", multiple=True, help="A bot that gets the results; repeatable.")
@click.option("--meta", metavar="KEY=VALUE", multiple=True, help="Metadata; the value may be JSON; repeatable.")
@click.option("--stop", is_flag=True, help="Start stopped: no jobs until `factory-cdk resume --name bot-start`.")
@click.option("--skip-ini", is_flag=True, help="With --launcher qalx: do not read its ini files.")
@click.option("--config", metavar="KEY=VALUE", multiple=True, help="An environment variable for the bot; repeatable.")
@click.option(
    "--secret",
    "secrets",
    metavar="NAME",
    multiple=True,
    help="A secret from the environment variable of that name; repeatable.",
)
@click.option(
    "--path",
    "folder",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="the working folder",
    help="Where the bot's code is.",
)
@click.option("--requirements-path", metavar="FILE", help="The requirements file, relative to the code.")
@click.option("--python", metavar="VERSION", help="The Python version, like 3.12.")
@click.option(
    "--max-attempts", metavar="N", type=click.IntRange(1, 1000), default=3, show_default=True, help="Attempts per job."
)
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(0.001, 2_592_000), help="Limit for one attempt.")
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="Jobs that are received at once.",
)
@click.option(
    "--launcher",
    type=click.Choice([name for name, one in LAUNCHERS.items() if one.validate("bots:bot", None) is None]),
    default=DEFAULT,
    show_default=True,
    help="What starts the bot: this program, or `qalx bot-start`.",
)
@click.option("--qalx-session-class", metavar="MODULE:CLASS", type=Target(), help="With --launcher qalx.")
@click.option("--user-config-class", metavar="MODULE:CLASS", type=Target(), help="With --launcher qalx.")
@click.option("--bot-config-class", metavar="MODULE:CLASS", type=Target(), help="With --launcher qalx.")
@click.option("--entity-class", metavar="MODULE:CLASS", type=Target(), help="With --launcher qalx.")
@click.option("--quiet", is_flag=True, help="Print the bot's output and errors only.")
def command(
    target: str,
    name: str | None,
    workflow: tuple[str, ...],
    meta: tuple[str, ...],
    config: tuple[str, ...],
    secrets: tuple[str, ...],
    folder: Path,
    requirements_path: str | None,
    quiet: bool,
    **arguments: Any,
) -> int:
    """Start the bot at TARGET (module.path:attribute) in the foreground, without a plan; Ctrl-C ends it.

    It is packed and installed in an environment of its own, as with a plan. Its queue stays: jobs are kept for the
    next start. For `submit`, `jobs`, `ps`, `logs`, `stop` and `resume` it is the stage with the bot's name in the
    factory `bot-start`. A --workflow BOT is another bot that is started with bot-start, now or later. --config values
    are environment variables of the bot, and so is --meta: FACTORY_META, in JSON.
    """
    _refuse_idle_options(arguments["launcher"])
    bot = single_bot.SingleBot(
        name=name or single_bot.name_of(target),
        target=target,
        folder=folder.absolute(),
        arguments=BotArguments(
            **arguments, meta={key: _value(text) for key, text in _pairs("--meta", meta)}, workflow=workflow or None
        ),
        settings=Settings(dict(_pairs("--config", config)), {name: SecretReference() for name in secrets}),
        requirements_path=requirements_path,
        workflow=workflow,
    )
    home = find_home()
    launch = single_bot.start(bot, home, pack_cache(), say_unless(quiet))
    try:
        if not quiet:
            say(f"bot {bot.name} reads queue {bot.queue}; Ctrl-C ends it")
        for line in attend(launch, single_bot.bot_folder(home, bot.name)):
            print_log_line(line)
    finally:
        left = single_bot.end(bot, home)
    jobs = left.ready + left.delayed + left.leased
    if jobs and not quiet:
        say(f"{jobs} {'job is' if jobs == 1 else 'jobs are'} kept in queue {bot.queue}")
    return launch.process.returncode


def _refuse_idle_options(launcher: str) -> None:
    """UsageError for an option that was given and means nothing to bots of `launcher`."""
    context = click.get_current_context()
    for name in launcher_of(launcher, None).idle_arguments:
        source = context.get_parameter_source(name.replace("-", "_"))
        if source is ParameterSource.COMMANDLINE:
            others = [one.name for one in LAUNCHERS.values() if name not in one.idle_arguments]
            goes_with = f"goes with --launcher {others[0]}"
            raise click.UsageError(
                f"--{name} {f'has no effect with --launcher {launcher}' if DEFAULT in others else goes_with}"
            )


def _pairs(option: str, given: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for one in given:
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{option} {one!r} is not KEY=VALUE")
        pairs.append((key, value))
    return pairs


def _value(text: str) -> Any:
    """What a `--meta` says: JSON, else, and where a number would be written otherwise (1.10), the text as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return text if is_number and (json.dumps(value) != text or not math.isfinite(value)) else value
