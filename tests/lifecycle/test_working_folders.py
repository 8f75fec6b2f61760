"""The working folder of a bot: the files of its bundle, its own to write to, and gone with its stage."""

from __future__ import annotations

from pathlib import Path

from local_works import Works, bot

from factory_cdk.install.bundles import remove_read_only
from factory_cdk.install.working_folder import make_working_folder

COUNT = """
import os
from pathlib import Path

def count(payload):
    file = Path("state.txt")
    number = int(file.read_text()) + 1
    file.write_text(str(number))
    Path("data/made.txt").write_text("new")
    return [number, Path("data/table.csv").read_text(), os.getcwd()]
"""


def write_counter(works: Works) -> None:
    works.write("counting.py", COUNT)
    works.write("state.txt", "0")
    works.write("data/table.csv", "a,b")


def test_bots_of_one_source_stages_and_builds_share_nothing_that_they_write(works: Works) -> None:
    write_counter(works)
    bots = bot("one", "counting:count"), bot("two", "counting:count")
    works.build(*bots)
    (first,), (again,), (other,) = works.run("one", None), works.run("one", None), works.run("two", None)
    assert [record.result[0] for record in (first, again, other)] == [1, 2, 1]
    assert first.result[1] == "a,b", "files of the source are where they are beside it"
    assert first.result[2] != other.result[2]
    bundle = Path(works.spec().pool_specs[0].bundle)
    assert (bundle / "state.txt").read_text() == "0"
    assert not (bundle / "data" / "made.txt").exists()
    works.demolish()
    assert not Path(first.result[2]).exists()
    works.build(*bots)
    assert works.run("one", None)[0].result[0] == 1


def test_what_a_bot_has_written_is_there_after_its_runner_was_started_again(works: Works) -> None:
    write_counter(works)
    works.build(bot("one", "counting:count"))
    assert works.run("one", None)[0].result[0] == 1
    works.restart()
    assert works.run("one", None)[0].result[0] == 2


def test_a_working_folder_is_made_whole_for_its_owner_to_write_to_and_then_left_alone(tmp_path: Path) -> None:
    bundle, folder = tmp_path / "bundle", tmp_path / "a stage" / "here.one" / "abc"
    (bundle / "inner").mkdir(parents=True)
    (bundle / "run.sh").write_text("#!/bin/sh\n")
    (bundle / "run.sh").chmod(0o555)
    (bundle / "inner" / "link").symlink_to("../run.sh")
    (bundle / "inner").chmod(0o555)
    bundle.chmod(0o555)
    half = folder.with_name("abc.new")  # of a build that was killed
    half.mkdir(parents=True)
    (half / "half").touch()
    make_working_folder(folder, bundle)
    assert sorted(path.name for path in folder.rglob("*")) == ["inner", "link", "run.sh"]
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755
    assert folder.stat().st_mode & 0o777 == (folder / "inner").stat().st_mode & 0o777 == 0o755
    assert (folder / "inner" / "link").readlink() == Path("../run.sh")
    (folder / "run.sh").write_text("changed")
    make_working_folder(folder, bundle)
    assert (folder / "run.sh").read_text() == "changed"
    remove_read_only(bundle)
