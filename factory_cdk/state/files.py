"""JSON files of a stage, which are replaced whole or not at all, and which folder it is that holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from factory_cdk.atomic import replace_file
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Replace the file at `path` by `content` as JSON, whole or not at all, for this user alone.

    `durable`: return when it is on disk. FactoryError when it cannot be written.
    """
    with disk(path):
        replace_file(path, json.dumps(content).encode(), mode=0o600, durable=durable)


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
