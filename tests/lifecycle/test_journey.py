"""A bot from a folder, through build, submit, result and demolish."""

from __future__ import annotations

from local_works import Works, bot


def test_a_job_goes_through_a_bot_and_its_result_comes_back(works: Works) -> None:
    works.write("adding.py", "def add(number):\n    return number + 1\n")
    state = works.build(bot("add", "adding:add"))
    (record,) = works.run("add", 41)
    assert (record.outcome, record.result, record.attempts) == ("success", 42, 1)
    works.demolish()
    assert not state.path.exists()
