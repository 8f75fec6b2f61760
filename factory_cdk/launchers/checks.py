"""Whether launchers can start the bots of releases, for stages that no plan was validated for."""

from __future__ import annotations

from collections.abc import Sequence

from factory_cdk.diagnostics import FactoryError
from factory_cdk.launchers import launcher_of
from factory_cdk.release import SectorRelease


def refuse_what_no_launcher_starts(releases: Sequence[SectorRelease]) -> None:
    """FactoryError where a launcher does not start its bot, or jobs would have to pass to one that gets its jobs from
    elsewhere.
    """
    launchers = {
        (release.sector, bot.name): launcher_of(bot.arguments.launcher, bot.command)
        for release in releases
        for bot in release.bots
    }
    for release in releases:
        for bot in release.bots:
            launcher = launchers[release.sector, bot.name]
            if refusal := launcher.validate(bot.bot_path, bot.command):
                raise FactoryError(f"bot {bot.name} {refusal.message}", refusal.hint)
            for to in bot.successors:
                other = launchers.get((to.sector, to.bot))
                if other is not None and other.transport != launcher.transport:
                    raise FactoryError(
                        f"jobs cannot pass from bot {bot.name} to {to.bot}: one has `launcher: {launcher.name}`, the "
                        f"other `launcher: {other.name}`, and each gets its jobs from queues of its own",
                        "start both in the same way, or take the edge out of the workflow",
                    )
