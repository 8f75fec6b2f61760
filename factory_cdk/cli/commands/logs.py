"""`factory-cdk logs`: what the processes of a stage print."""

from __future__ import annotations

import sys

import click

from factory_cdk.cli.moments import since_option, until_option
from factory_cdk.cli.output.report import print_log_line
from factory_cdk.cli.shared_options import StageSearch, bot_names, built_stage_option, name_option, say, search_options
from factory_cdk.home import find_home
from factory_cdk.jobs.history import known_id
from factory_cdk.lifecycle import verbs
from factory_cdk.state.log_filter import LEVELS, LogFilter, matcher

EXAMPLES = """\b
Examples:
  factory-cdk logs --name works
  factory-cdk logs --name works --bot greet -f
  factory-cdk logs --name works --level error --since 2h
  factory-cdk logs --name works --job 1d2a78f0b3c44e55-1
  factory-cdk logs --name works --since 1m -f
"""


@click.command(epilog=EXAMPLES, short_help="Print the logs of the bots of a stage.")
@name_option
@built_stage_option
@click.option("--bot", metavar="NAME", shell_complete=bot_names, help="Only lines of this bot.")
@click.option("--job", metavar="ID", help="Only lines of this job; the start of its id is enough.")
@click.option(
    "--level",
    type=click.Choice(list(LEVELS), case_sensitive=False),
    help="Only lines of this level or above; a line without a level has that of the line before, else INFO.",
)
@since_option
@until_option
@click.option("-f", "--follow", is_flag=True, help="Print new lines as they come, until the runner here ends.")
@search_options
def command(
    name: str,
    stage: str | None,
    bot: str | None,
    job: str | None,
    level: str | None,
    since: float | None,
    until: float | None,
    follow: bool,
    search: StageSearch,
) -> None:
    """Print the log of a stage: time, sector/bot.worker, the job in hand (or -), and what was printed.

    The runner adds a line of level ERROR with the traceback for every failed attempt. `info` shows where the files
    are: one per process, and this stream of all of them. A stage with sectors on AWS has the lines of its instances
    among them, from CloudWatch.
    """
    if follow and until is not None:
        raise click.UsageError("--until and --follow do not go together")
    home, backends = find_home(), search.backends(name, stage)
    wanted = LogFilter(job and known_id(verbs.find(home, name, stage, backends=backends), job), since, until, level)
    is_wanted, count = matcher(wanted), 0
    for line in verbs.logs(home, name, stage, bot, follow=follow, since=since, say=say, backends=backends):
        if is_wanted(line):
            count += 1
            print_log_line(line)
            if follow:
                sys.stdout.flush()
    if not count and wanted != LogFilter():
        say("no lines match")
