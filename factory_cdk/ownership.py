"""Whose a folder is, and who else could change what is in it: as ssh asks it of its own."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from factory_cdk.diagnostics import FactoryError

CONTAINED_BY = ("container", "KUBERNETES_SERVICE_HOST")
"""Variables that podman, systemd and Kubernetes set in containers."""

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
"""Files that docker and podman leave in them."""


def is_contained(environ: Mapping[str, str], marks: Sequence[str] = CONTAINER_MARKS) -> bool:
    """Whether this is a container, in which whoever made it says who is there: volumes are mounted with owners from
    outside, or for everybody to write to. Told by the marks that docker, podman, systemd and Kubernetes leave.
    """
    return any(name in environ for name in CONTAINED_BY) or any(Path(mark).exists() for mark in marks)


def refuse_others(folder: Path, instead: str) -> None:
    """FactoryError when `folder` is there, and somebody who is not this user or root owns it or may write to it: they
    could put code there that runs as this user. `instead` says what else to do. Root may use what belongs to a user
    that this system does not know.
    """
    try:
        about = folder.stat()
    except OSError:
        return  # it is made for this user alone, or what is wrong with it is said when it is used
    user = os.geteuid()
    if about.st_uid not in (user, 0) and (user or _name_of(about.st_uid)):
        owner = _name_of(about.st_uid) or f"user {about.st_uid}"
        raise FactoryError(
            f"{folder} belongs to {owner}, who could change what runs from it as you",
            f"{instead}, or make it yours (chown)",
        )
    if about.st_mode & stat.S_IWOTH:
        others = "everybody"
    elif about.st_mode & stat.S_IWGRP and (group := _shared_group(about.st_gid)):
        others = f"the group {group}"
    else:
        return
    import shlex  # noqa: PLC0415 - for refusals alone

    raise FactoryError(
        f"{folder} may be written to by {others}, who could change what runs from it as you",
        f"chmod go-w {shlex.quote(str(folder))}, or {instead}, which may be in it",
    )


def _name_of(user: int) -> str | None:
    import pwd  # noqa: PLC0415 - for refusals alone

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return None


def _shared_group(number: int) -> str | None:
    """The name of a group that somebody other than this user and root is known to be in; None of any other, such as the
    group that many systems make for every user.
    """
    import grp  # noqa: PLC0415
    import pwd  # noqa: PLC0415

    if number == 0:
        return None
    try:
        group = grp.getgrgid(number)
    except KeyError:
        return None
    members = {*group.gr_mem, *(one.pw_name for one in pwd.getpwall() if one.pw_gid == number)}
    return group.gr_name if members - {"root", _name_of(os.geteuid())} else None
