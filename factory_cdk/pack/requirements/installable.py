"""A bot's own project, and the local ones that it requires, laid out from its bundle to be built by any tool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.pack.archive import unpack
from factory_cdk.pack.paths import native
from factory_cdk.pack.requirements.building import build_variables, make_all_buildable
from factory_cdk.pack.requirements.outside import SourceFacts, lay_out_source


@dataclass(frozen=True, slots=True)
class Installable:
    """Projects that can be built: the `lines` of a requirements file that name them, the folder from which that is done
    and the environment `variables` that it needs.
    """

    lines: tuple[str, ...]
    folder: Path
    variables: dict[str, str]


def lay_out_projects(
    archive: Path, digest: str, project: str | None, facts: SourceFacts, packed: Path, copy: Path
) -> Installable:
    """Unpack the bundle `archive`, whose digest this is, into the new folder `packed` and lay its source out in the new
    folder `copy`, which build backends may write to. `project` is the folder of the bot's own project in it (None: it
    is not installed itself, but the local projects of `facts` are).

    What a version is derived from (tags, a work tree) is not in a bundle: tools that read it there are told one.
    """
    root = lay_out_source(unpack(archive, packed), facts.subdirectory, copy)
    folders = [] if project is None else [root / native(project)]
    make_all_buildable(copy)
    variables = build_variables(copy, facts.version or f"0+b{digest[:12]}")
    return Installable(tuple(_local(folders, copy, facts)), folders[0] if folders else copy, variables)


def _local(folders: Iterable[Path], copy: Path, facts: SourceFacts) -> Iterator[str]:
    """The lines of a requirements file for folders, and for the local projects in the `copy` of a source."""
    for folder in folders:
        yield folder.as_uri()
    for project in facts.projects:
        path, mark, marker = project.partition(" ; ")
        yield f"{(copy / native(path)).as_uri()}{mark}{marker}"
