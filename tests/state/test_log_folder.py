"""The log files of a stage: followed without a gap, and never larger than they may be."""

from __future__ import annotations

from pathlib import Path

from factory_cdk.state.log_folder import LARGEST_FILE, LogFolder, RotatedFile, follow_stream
from factory_cdk.state.logs import Stream


def test_a_stream_that_is_put_aside_is_followed_without_a_gap_and_without_other_bots(tmp_path: Path) -> None:
    stream = Stream(LogFolder(tmp_path))
    mine, other = stream.log("here/mine.1"), stream.log("here/other.1")
    mine.write(b"before\n")
    following = follow_stream(tmp_path, "mine", whole=True, pause=0.0)
    assert str(next(following)).endswith("| before")
    assert next(following) is None
    mine.write(b"last of the old\n")
    other.write(b"x" * LARGEST_FILE + b"\n")
    mine.write(b"first of the new\n")
    found = [line for _, line in zip(range(4), following, strict=False) if line is not None]
    assert [line.rpartition("| ")[2] for line in found] == ["last of the old", "first of the new"]
    stream.close()


def test_no_file_of_the_log_grows_without_bound(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "a.log", largest=100, kept=2)
    for number in range(100):
        file.write(f"{number:09}\n".encode())
    file.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"a.log", "a.log.1", "a.log.2"}
    assert max(sizes.values()) <= 100
