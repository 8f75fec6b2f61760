"""What a bot runs with on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from factory_cdk.design.model import BotDesign
from factory_cdk.install.bundles import bundle_folder
from factory_cdk.install.code import Code, archive_of, packed_code
from factory_cdk.install.environments import Environment, Project, environment, with_project


@dataclass(frozen=True, slots=True)
class BotRuntime:
    """What a bot runs with: its code, the folder in which its bundle is laid out, its environment."""

    code: Code
    root: Path
    environment: Environment


def bot_runtime(home: Path, bot: BotDesign) -> BotRuntime:
    """What `bot`, which is packed, runs with; nothing is made yet. FactoryError when its bundle is not here.

    A project that builds is installed itself, on top of the environment of its requirements, as `pip install`
    would; all other code is imported from the bundle.
    """
    code, root = packed_code(bot), bundle_folder(home, bot.bundle)
    base = replace(environment(home, bot.bundle.requirements, bot.python), bots=(bot.name,))
    if code.manifest is None:
        return BotRuntime(code, root, base)
    folder = code.manifest.folder
    base = replace(base, options=code.index_options(root), context=root / folder)
    if not code.manifest.builds and not code.facts.projects:
        return BotRuntime(code, root, base)
    project = Project(
        archive_of(bot.bundle),
        bot.bundle.digest,
        folder if code.manifest.builds else None,
        code.roots(root),
        code.facts,
    )
    return BotRuntime(code, root, with_project(base, project))
