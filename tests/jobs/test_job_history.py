"""Dead letters of a running stage, retried."""

from __future__ import annotations

from local_works import Works, bot, until

from factory_cdk.jobs import history as jobs
from factory_cdk.lifecycle.verbs import logs
from factory_cdk.queues.client import Search
from factory_cdk.state.log_filter import LogFilter, matcher
from factory_cdk.state.stages import find


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


def test_a_retried_job_whose_result_goes_on_again_does_not_double_what_followed(works: Works) -> None:
    works.write(
        "twice.py",
        "def weld(path):\n    return path\ndef note(text):\n    raise ValueError(text)\n",
    )
    works.build(bot("weld", "twice:weld", to=["note"]), bot("note", "twice:note", max_attempts=1))
    run = works.submit("weld", "rod")
    works.wait(run)
    factory = find(works.home, "works", "test")
    for _ in range(2):
        (dead,) = jobs.retry(factory, Search(states=("dead",)))
        records = works.wait(run)
        assert sorted(record.job.bot for record in records) == ["note", "weld"]
        assert [record.job.id for record in records if record.outcome == "dead"] == [dead]


def test_a_job_that_is_cancelled_in_hand_goes_no_further_and_its_worker_goes_on(works: Works) -> None:
    works.write(
        "holding.py",
        "import time\nfrom pathlib import Path\n"
        "def hold(gate):\n"
        "    Path(gate + '.begun').touch()\n"
        "    while not Path(gate).exists():\n"
        "        time.sleep(0.001)\n"
        "def note(text):\n    return text\n",
    )
    works.build(bot("hold", "holding:hold", to=["note"]), bot("note", "holding:note"))
    gate = works.code / "gate"
    run = works.submit("hold", str(gate))
    until((works.code / "gate.begun").exists)
    factory = find(works.home, "works", "test")
    assert jobs.cancel(factory, [f"{run}-1"]) == [f"{run}-1"]
    gate.touch()
    (record,) = works.wait(run)
    assert record.outcome == "cancelled"
    assert {one.job.bot for one in works.run("hold", str(gate))} == {"hold", "note"}
    is_wanted = matcher(LogFilter(job=f"{run}-1", level="WARNING"))
    (line,) = filter(is_wanted, logs(works.home, "works"))
    assert "WARNING the job was cancelled" in line
    assert jobs.one_job(factory, f"{run}-1")[1] == []
