"""Commands that are killed (chaos.py): the next one works, nothing is lost, nothing is left over.

CHAOS_ROUNDS and CHAOS_SEED are for more, and for those of a run that failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import chaos
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="what a killed command leaves is found in /proc")
@pytest.mark.parametrize("scene", list(chaos.SCENES))
def test_after_a_command_was_killed_the_next_one_works(scene: str, tmp_path: Path) -> None:
    rounds, seed = os.environ.get("CHAOS_ROUNDS") or "2", os.environ.get("CHAOS_SEED") or "11"
    # In a process of its own, which adopts everything that a killed command leaves behind.
    command = [sys.executable, chaos.__file__, "--rounds", rounds, "--seed", seed, scene]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    played = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
    assert list(tmp_path.iterdir()) == []
