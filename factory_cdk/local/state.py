"""The folder of one local factory stage: who may touch it when, and files that are replaced whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import FULL, disk, disk_error, make_private

FACTORIES = "factories"


@dataclass(frozen=True, slots=True)
class StageState:
    """The paths of one stage under the home. The folder exists from `build` until `demolish`."""

    factory: str
    stage: str
    folder: Path

    @property
    def roster(self) -> Path:
        """What the runner runs (roster.py)."""
        return self.folder / "roster.json"

    @property
    def status(self) -> Path:
        """What the runner last said of itself and its workers (status.py)."""
        return self.folder / "status.json"

    @property
    def desired(self) -> Path:
        """What the runner is asked to do (desired.py)."""
        return self.folder / "desired.json"

    @property
    def next_roster(self) -> Path:
        """The roster that the runner is asked to change to (desired.py), until it takes it up."""
        return self.folder / "next-roster.json"

    @property
    def bell(self) -> Path:
        """The FIFO that tells the runner to look at `desired`."""
        return self.folder / "bell"

    @property
    def database(self) -> Path:
        """The folder of the queue engine's files."""
        return self.folder / "queues"

    @property
    def shares_queues(self) -> bool:
        """Whether other stages use the queues too (local/startbot.py): they are elsewhere then."""
        return self.database.is_symlink()

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.folder / "logs"

    @property
    def runner_lock(self) -> Path:
        """Held by the runner as long as it lives: the one proof that it does."""
        return self.folder / "runner.lock"

    @property
    def change_lock(self) -> Path:
        """Held by whoever builds, resumes or demolishes the stage. It outlives the folder."""
        return self.folder.with_name(f"{self.stage}.lock")

    @property
    def unfinished(self) -> Path:
        """Exists while `build` is at work; left over, it means that the build was killed."""
        return self.folder / "unfinished"

    @property
    def starting(self) -> Path:
        """Exists while a detached runner is started; left over, it means that whoever started it was killed, and that
        the runner ends itself.
        """
        return self.folder / "starting"

    @property
    def name(self) -> str:
        """The factory and stage as one word for messages."""
        return f"{self.factory}/{self.stage}"


def stage_state(home: Path, factory: str, stage: str) -> StageState:
    """The state of `stage` of `factory` under `home`, whether it exists or not."""
    return StageState(factory, stage, home / FACTORIES / factory / stage)


def stage_states(home: Path, factory: str | None = None) -> list[StageState]:
    """Every stage under `home` (of `factory`, if given) that was built or half built, sorted by name. FactoryError when
    the folders cannot be read.
    """
    folder = home / FACTORIES
    with disk(folder):
        factories = [folder / factory] if factory else sorted(folder.iterdir() if folder.is_dir() else ())
        return [
            StageState(found.name, stage.name, stage)
            for found in factories
            for stage in (sorted(found.iterdir()) if found.is_dir() else ())
            if stage.is_dir()
        ]


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Replace the file at `path` by `content` as JSON, whole or not at all, for this user alone.

    `durable`: return when it is on disk. FactoryError when it cannot be written.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_native_id()}.new")  # others may write it, too
    with disk(path):
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(content))
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def read_json(path: Path) -> Any:
    """What `write_json` wrote; None when there is no such file. FactoryError."""
    with disk(path):
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise _damaged(path) from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> FactoryError:
    return FactoryError(f"{path} is damaged: it holds no JSON", "demolish its stage, then build it again")


def identity(folder: Path) -> tuple[int, int] | None:
    """Which folder there is at this path, None when there is none: another one with its name is not the same."""
    try:
        about = folder.stat()
    except FileNotFoundError:
        return None
    return about.st_dev, about.st_ino


def take_lock(path: Path, *, wait: float = 0.0) -> int | None:
    """Take the lock at `path`, trying for `wait` seconds; returns its descriptor, to be closed by the holder.

    None when someone else holds it. The file holds the pid of the holder, for messages; the kernel lets go
    of the lock when the holder dies. FactoryError when the file cannot be written.
    """
    deadline = time.monotonic() + wait
    with disk(path):
        while (descriptor := _open_locked(path)) is None:
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.01)
    return descriptor


def take_folder(folder: Path, *, shared: bool, wait: float = 0.0) -> int | None:
    """Take the lock of `folder` itself, alone or `shared`, trying for `wait` seconds; its descriptor as `take_lock`.

    The lock goes with the folder, and nothing is left of it. None when someone holds it otherwise.
    FileNotFoundError when there is no such folder, or no longer; FactoryError when it cannot be read.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise disk_error(error, folder) from error
        if _try_lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if _is_at(descriptor, folder):
                return descriptor
            os.close(descriptor)
            continue  # it was removed before we had it: there is none now, or another
        os.close(descriptor)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)


def _open_locked(path: Path) -> int | None:
    make_private(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # whoever held it took the folder away with it
    try:
        if _try_lock(descriptor, fcntl.LOCK_EX) and _is_at(descriptor, path):
            _name_holder(descriptor)
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _name_holder(descriptor: int) -> None:
    """Write down who holds the lock. A full disk keeps nobody from holding it: the name is for messages."""
    name = str(os.getpid()).encode()
    try:
        os.pwrite(descriptor, name, 0)  # over the last one, whose room is kept for it
        os.truncate(descriptor, len(name))
    except OSError as error:
        if error.errno not in FULL:
            raise
        os.truncate(descriptor, 0)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file is still the one at `path`: its last holder may have removed it."""
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def holding(descriptor: int) -> Iterator[None]:
    """Let go of the lock `descriptor` at the end of the block."""
    try:
        yield
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> int | None:
    """The pid of whoever holds the lock at `path` (0 when it has not said yet); None when nobody does. FactoryError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(error, path) from error
    with holding(descriptor):
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return None
        said = os.pread(descriptor, 20, 0)
        return int(said) if said.isdigit() else 0


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
