"""What a bot runs with on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factory_cdk.install.bundles import bundle_folder
from factory_cdk.install.environments import Environment, Project, environment, with_project
from factory_cdk.pack.requirements.indexes import anywhere
from factory_cdk.pack.requirements.outside import SourceFacts
from factory_cdk.release import BotRelease


@dataclass(frozen=True, slots=True)
class BotRuntime:
    """What a bot runs with: the folder in which its bundle is laid out, the folders in it that its modules are imported
    from (none where its environment knows them), its environment.
    """

    root: Path
    roots: tuple[Path, ...]
    environment: Environment


def bot_runtime(
    home: Path, bot: BotRelease, archive: Path, requirements: Sequence[str], projects: Sequence[Path] = ()
) -> BotRuntime:
    """What `bot` runs with, whose bundle is in `archive` and whose locked lines are `requirements`; nothing is made
    yet and the archive is not read. `projects` are the wheels of its own projects, where they are built already.

    A project that builds is installed itself, on top of the environment of its requirements, as `pip install`
    would; all other code is imported from the bundle.
    """
    layout, root = bot.layout, bundle_folder(home, bot.digest)
    roots = tuple(root / folder for folder in layout.roots)
    base = replace(environment(home, requirements, bot.python, bot.python_build), bots=(bot.name,))
    if layout.requirements_file is None:
        return BotRuntime(root, roots, base)
    if bot.wheels is None:
        options = tuple(anywhere(option, root / folder) for option, folder in layout.index_options)
        base = replace(base, options=options, context=(root / layout.requirements_file).parent)
    if layout.project is None and not layout.projects:
        return BotRuntime(root, roots, base)
    facts = SourceFacts(layout.subdirectory, layout.projects, layout.version)
    project = Project(archive, bot.digest, layout.project, roots, facts, tuple(projects))
    return BotRuntime(root, (), with_project(base, project))
