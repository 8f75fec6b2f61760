"""A minute of storm (storm.py): nothing that was acknowledged is lost, nothing is finished twice.

STORM_SEED is for other events, or for those of a run that printed it; STORM_SECONDS makes it longer. How soon a killed
worker's job runs again is printed, and not judged here: benchmarks/local_factory.py measures it where the machine is
quiet.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import storm

pytestmark = pytest.mark.slow

SECONDS = 60.0
SEED = 20
ESSENTIAL = ("kill busy", "kill worker", "kill runner", "kill submitter", "suspend worker", "step clock")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc and see a preloaded clock")
@pytest.mark.skipif(
    shutil.which("cc") is None and "ALL_TESTS" not in os.environ,
    reason="the clock that steps is compiled: install gcc and libc6-dev",
)
def test_a_storm_loses_nothing_and_finishes_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("STORM_SEED") or SEED)
    report = storm.run(tmp_path, float(os.environ.get("STORM_SECONDS") or SECONDS), seed)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.faults == ()
    assert report.counts["jobs acknowledged"] > 0
    assert report.counts["clocks of workers"] > 1  # bots saw the clock step
    assert report.counts["hours on the runner's clock"] > 1  # and so did the runner
    assert [event for event in ESSENTIAL if not report.counts.get(event)] == []
