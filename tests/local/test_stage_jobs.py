"""Dead letters of a running stage, retried."""

from __future__ import annotations

from local_works import Works, bot

from factory_cdk.local import jobs
from factory_cdk.local.standing import find
from factory_cdk.queues.sqlite_search import Search


def test_a_dead_letter_that_is_retried_runs_on_under_its_id_and_goes_on_to_the_next_bot(works: Works) -> None:
    works.write("mending.py", "from pathlib import Path\ndef weld(path):\n    return Path(path).read_text()\n")
    works.write("noting.py", "def note(text):\n    return text\n")
    works.build(bot("weld", "mending:weld", to=["note"], max_attempts=2), bot("note", "noting:note"))
    rod = works.code / "rod"
    run = works.submit("weld", str(rod))
    (dead,) = works.wait(run)
    assert (dead.outcome, dead.attempts, len(dead.failures)) == ("dead", 2, 2)
    rod.write_text("mended")
    factory = find(works.home, "works", "test")
    assert jobs.retry(factory, Search(states=("dead",))) == [dead.job.id]
    records = {record.job.bot: record for record in works.wait(run)}
    weld, note = records["weld"], records["note"]
    assert (weld.job.id, weld.outcome, weld.attempts, len(weld.failures)) == (dead.job.id, "success", 3, 2)
    assert (note.job.parent, note.result) == (dead.job.id, "mended")
    assert jobs.one_job(factory, dead.job.id)[1] == [note.job.id]
