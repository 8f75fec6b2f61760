"""What the tests of packing share: an environment of their own, repositories, a directory index."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pack_sources import Repository


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "network: asks a package index on the internet (skipped where none answers)")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An empty directory index; the only one that `env` lets uv ask."""
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


@pytest.fixture
def env(tmp_path: Path, index: Path) -> dict[str, str]:
    """An environment without the user's configuration, whose only index is a folder."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty bare repository."""
    return Repository(tmp_path / "remote" / "bots.git")


@pytest.fixture
def another(tmp_path: Path) -> Callable[[str], Repository]:
    """Makes more bare repositories, by their names."""
    return lambda name: Repository(tmp_path / "remote" / f"{name}.git")
