"""A home and a folder for bots' code, for every test of the local factory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_works import Works, take_down


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    """A home and a folder for code; whatever was built is taken down in the end."""
    built = Works(tmp_path / "home", tmp_path / "code")
    built.code.mkdir()
    yield built
    take_down(built.home)
