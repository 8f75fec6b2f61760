"""What a plan adds to a package of an index: a requirements file for what the package forgot to declare."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.paths import native
from factory_cdk.pack.requirements.manifest import included, local_places
from factory_cdk.plan.model import Bot


@dataclass(frozen=True, slots=True)
class Additional:
    """The requirements file of a bot from an index, with all that it includes: contents by paths relative to the plan's
    file, its own first; `digest` is the SHA-256, in hex, of all of them.
    """

    files: Mapping[str, bytes]
    digest: str

    @property
    def path(self) -> str:
        """The file that the plan names."""
        return next(iter(self.files))


def additional(folder: Path, bot: Bot) -> Additional | None:
    """What the requirements_path of a bot from an index adds, read in `folder`, the plan's; None without one.

    FactoryError when it is not there, or includes a file of another folder, an address, or credentials, or names a
    folder as a requirement.
    """
    if bot.requirements_path is None:
        return None
    file = folder / native(bot.requirements_path)
    if not file.is_file():
        raise FactoryError(
            f"the requirements file {bot.requirements_path!r} of {bot.name} is not in the plan's folder",
            "for a pypi source `requirements_path` is relative to the plan's file, and adds to its requirements",
        )
    beside = {one.relative_to(folder).as_posix() for one in file.parent.iterdir() if one.is_file()}
    files = dict(included(beside, lambda path: (folder / native(path)).read_bytes(), bot.requirements_path, bot.name))
    total = hashlib.sha256()
    for name, content in files.items():
        for place in local_places(content):
            raise FactoryError(
                f"{name}: {place!r} is a folder or a file, and {bot.name} comes from an index: it has no source for it",
                "name a package of an index or a git address with a commit, or a source (`path`, `url`) that has it",
            )
        total.update(f"{name}\0".encode() + hashlib.sha256(content).digest())
    return Additional(files, total.hexdigest())
