"""What an offline sector needs beside its bots: the runner's wheels, uv among them, and perhaps a build of Python.

Which wheels these are is a part of this package, as its locked requirements are, and the SHA-256 of a build is in the
plan: nothing has to be fetched to know what a release holds.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk
from factory_cdk.pack.archive import sha256_of
from factory_cdk.pack.cache import BundleCache
from factory_cdk.pack.wheels.making import fetched_wheels, write_wheels
from factory_cdk.pack.wheels.pip import Pip
from factory_cdk.plan.model import Bot, Offline, Plan, PythonBuild
from factory_cdk.runner_wheel import requirement_lines, runner_wheels
from factory_cdk.wheels import Target, build_key, wheels_key

PATIENCE = 60.0
"""Seconds in which the server of a Python build has to answer."""


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file that the releases of offline sectors hold beside bundles: `what` it is, in words, its `size` in bytes, and
    whether it was `fetched` now.
    """

    what: str
    size: int
    fetched: bool

    def __str__(self) -> str:
        """All of it in one line."""
        return f"{self.what}: {self.size:,} bytes{'' if self.fetched else ', nothing to fetch'}"


def runner_files(plan: Plan, bots: Iterable[Bot], cache: BundleCache, pip: Pip) -> tuple[ReleaseFile, ...]:
    """Put what the offline sectors with one of `bots` need beside these into the cache. FactoryError."""
    names = {bot.name for bot in bots}
    return tuple(
        one
        for offline in dict.fromkeys(_offline_sectors(plan, names))
        for one in files_of(plan.folder, offline, cache, pip)
    )


def _offline_sectors(plan: Plan, names: set[str]) -> Iterator[Offline]:
    for stage in plan.stages.values():
        for sector in stage.sectors:
            if sector.options.offline is not None and any(bot.name in names for bot in sector.bots):
                yield sector.options.offline


def files_of(folder: Path, offline: Offline, cache: BundleCache, pip: Pip) -> Iterator[ReleaseFile]:
    """Put what one kind of offline sector needs into the cache; `folder` is that of the plan. FactoryError."""
    target = Target(offline.architecture, offline.python)
    wanted = runner_wheels(target)
    file = cache.file(wheels_key(wanted.sha256))
    missing = not file.is_file()
    if missing:
        with cache.exclusive(wanted.sha256, pip.stop), cache.workspace() as workspace, disk(workspace):
            fetched = fetched_wheels(pip, requirement_lines(), (), target, workspace / "runner")
            made = write_wheels(fetched, workspace / "wheels.zip")
            if made != wanted:
                raise FactoryError(
                    f"the runner's wheels for {target} are not those of this factory-cdk: {made.sha256[:12]} instead "
                    f"of {wanted.sha256[:12]}",
                    "have your index offer the same files as pypi.org",
                )
            cache.keep_file(workspace / "wheels.zip", wheels_key(made.sha256))
    yield ReleaseFile(f"runner for {target}, {len(wanted.wheels)} wheels", wanted.size, missing)
    if offline.build is not None:
        yield _build(folder, offline, offline.build, cache, pip)


def _build(folder: Path, offline: Offline, build: PythonBuild, cache: BundleCache, pip: Pip) -> ReleaseFile:
    file = cache.file(build_key(build.sha256))
    missing = not file.is_file()
    if missing:
        with cache.exclusive(build.sha256, pip.stop), cache.workspace() as workspace, disk(workspace):
            fresh = workspace / "python.tar.gz"
            if build.place.startswith("https://"):
                _download(build.place, fresh)
            else:
                with disk(folder / build.place):
                    shutil.copyfile(folder / build.place, fresh)
            _check(fresh, build, offline.python)
            cache.keep_file(fresh, file.name)
    return ReleaseFile(f"Python {offline.python} of {build.place}", file.stat().st_size, missing)


def _download(address: str, target: Path) -> None:
    import urllib3  # noqa: PLC0415 - 30 ms that only what downloads pays

    try:
        with (
            urllib3.PoolManager(timeout=PATIENCE) as pool,
            pool.request("GET", address, preload_content=False) as answer,
            target.open("xb") as file,
        ):
            if answer.status != 200:
                raise FactoryError(f"{address} cannot be downloaded: {answer.status}", "check `python-build`")
            shutil.copyfileobj(answer, file)
    except urllib3.exceptions.HTTPError as error:
        raise FactoryError(f"{address} cannot be downloaded: {error}", "check `python-build`") from error


def _check(file: Path, build: PythonBuild, python: str) -> None:
    """FactoryError unless the archive is the one of the plan and holds the interpreter where instances look for it."""
    found = sha256_of(file)
    if found != build.sha256:
        message = f"the Python build {build.place} has SHA-256 {found}, the plan says {build.sha256}"
        raise FactoryError(message, "if you trust the file as it is, write its SHA-256 into `python-build`")
    program = f"python/bin/python{python}"
    try:
        with tarfile.open(file) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise FactoryError(
            f"the Python build {build.place} is not a .tar.gz: {error}", "check `python-build`"
        ) from error
    if program not in names:
        raise FactoryError(
            f"the Python build {build.place} has no {program}",
            "use an archive as python-build-standalone names `install_only`, of the version that `python` says",
        )
