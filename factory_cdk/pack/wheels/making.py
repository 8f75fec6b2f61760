"""An archive of wheels for one target: fetched from an index, or built here from source where that is pure Python.

The archive is stored, not deflated, and its bytes follow from the wheels (see pack/archive.py), so that the same locked
requirements make the same archive wherever they are packed.
"""

from __future__ import annotations

import itertools
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.archive import entry_of, sha256_of
from factory_cdk.pack.wheels.pip import EPOCH, Pip, options_for
from factory_cdk.wheels import Target, WheelArchive

_MARKER = re.compile(r"\s;\s(?P<marker>.*?)(?=\s--hash|$)")
_GIT = re.compile(r"[^@;]+@\s*git\+")
_REMEDY = (
    "put a wheel of it for this platform on an index or into a folder of wheels (find-links), or have the sector ask "
    "indexes: remove `offline`"
)


def fetched_wheels(pip: Pip, lines: Sequence[str], options: Sequence[str], target: Target, work: Path) -> list[Path]:
    """The wheels of the locked `lines` for `target`, as files in the new folder `work`: of an index, whose hashes are
    those of the lines, or built here. `options` are lines of a requirements file that say which indexes are asked.
    FactoryError that names a requirement which cannot be had.
    """
    fetched, built = work / "fetched", work / "built"
    for folder in (work, fetched, built):
        folder.mkdir()
    wanted = [line for line in (_without_marker(line, target) for line in lines) if line is not None]
    of_git = [line for line in wanted if _GIT.match(line)]
    others = [line for line in wanted if line not in of_git]
    if others:
        file = _written(work / "requirements.txt", (*options, *others))
        pip.run(
            ["download", "--quiet", "--no-deps", "--require-hashes", *options_for(target),
             "--dest", str(fetched), "--requirement", str(file)],
            work,
            f"the wheels for {target} cannot be had",
            _REMEDY,
        )  # fmt: skip
    sources = {path.as_uri(): path.name for path in sorted(fetched.iterdir()) if path.suffix != ".whl"}
    for number, (line, shown) in enumerate({**sources, **{line: line for line in of_git}}.items()):
        _build(pip, line, options, target, work / f"requirements-{number}.txt", built, shown)
    return sorted((*fetched.glob("*.whl"), *built.glob("*.whl")))


def built_wheels(
    pip: Pip,
    projects: Sequence[str],
    options: Sequence[str],
    target: Target,
    work: Path,
    of: str,
    variables: Mapping[str, str],
) -> list[Path]:
    """The wheels of local projects, lines of a requirements file (an address, perhaps with a marker), as files
    in the new folder `work`; `of` says whose they are. FactoryError where one cannot be built.
    """
    built = work / "built"
    built.mkdir(parents=True)
    wanted = [line for line in (_without_marker(line, target) for line in projects) if line is not None]
    for number, line in enumerate(wanted):
        _build(pip, line, options, target, work / f"projects-{number}.txt", built, of, **variables)
    return sorted(built.glob("*.whl"))


def _build(
    pip: Pip,
    line: str,
    options: Sequence[str],
    target: Target,
    file: Path,
    built: Path,
    shown: str,
    **variables: str,
) -> None:
    """Build the wheel of a `line`, and see that it runs on the target whatever machine this is."""
    before = {*built.iterdir()}
    _written(file, (*options, line))
    pip.run(
        ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), "--requirement", str(file)],
        file.parent,
        f"no wheel of {shown} can be built",
        _REMEDY,
        **{"SOURCE_DATE_EPOCH": EPOCH, **variables},
    )
    for wheel in {*built.iterdir()} - before:
        if not _is_pure(wheel.name):
            raise FactoryError(
                f"{shown} has no wheel for {target}, and the one that is built here, {wheel.name}, is for this machine",
                _REMEDY,
            )


def write_wheels(wheels: Sequence[Path], archive: Path) -> WheelArchive:
    """Write the zip `archive` of `wheels`. FactoryError where two have one name."""
    names = sorted(path.name for path in wheels)
    if double := next((name for name, after in itertools.pairwise(names) if name == after), None):
        raise FactoryError(f"there are two wheels {double}", "remove one of the requirements that name it")
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_STORED) as written:
        for path in sorted(wheels, key=lambda path: path.name):
            entry = entry_of(path.name, path.stat().st_size)
            with path.open("rb") as source, written.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    return WheelArchive(sha256_of(archive), archive.stat().st_size, tuple(names))


def _without_marker(line: str, target: Target) -> str | None:
    """A line without its marker, or None where that does not hold on the target."""
    found = _MARKER.search(line)
    if found is None:
        return line
    holds = Marker(found["marker"]).evaluate(_facts(target))
    return line[: found.start()] + line[found.end() :] if holds else None


def _facts(target: Target) -> dict[str, str]:
    """What markers are about, on the target; of a version of Python only its minor version is known."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.0",
        "os_name": "posix",
        "platform_machine": target.architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": "linux",
    }


def _is_pure(name: str) -> bool:
    try:
        tags = parse_wheel_filename(name)[3]
    except InvalidWheelFilename:
        return False
    return any(tag.abi == "none" and tag.platform == "any" for tag in tags)


def _written(file: Path, lines: Sequence[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file
