"""Workers of quick jobs are handed some ahead, and nothing waits behind a job that turns out to be slow."""

from __future__ import annotations

from local_works import Works, bot, until

from factory_cdk.state.stage_queues import open_queues

BOT = """
import os, re, time

def work(payload):
    if payload.get("hold"):
        if payload["lock"]:
            while not os.path.exists(payload["hold"]):
                re.match("(a|aa)+$", "a" * 28 + "b")  # keeps the interpreter's lock all the time
        while not os.path.exists(payload["hold"]):
            time.sleep(0.01)
"""


def test_jobs_behind_a_slow_one_go_to_another_worker_even_when_it_keeps_the_interpreters_lock(works: Works) -> None:
    works.write("held.py", BOT)
    state = works.build(bot("a", "held:work", processes=2))
    for lock in (False, True):
        gate = works.home / f"gate-{lock}"
        quick = [{"number": number} for number in range(200)]
        run = works.submit("a", *quick, {"hold": str(gate), "lock": lock}, *quick)
        with open_queues(state) as queues:
            until(lambda: queues.history.remaining(run) == 1)  # noqa: B023
            gate.touch()
        records = works.wait(run)
        assert len(records) == 401
        assert {record.attempts for record in records} == {1}, "what was taken back was not begun"


def test_every_quick_job_is_done_once_by_workers_that_are_handed_many(works: Works) -> None:
    note = works.home / "note"
    works.write(
        "noting.py",
        f"def work(n):\n    with open({str(note)!r}, 'a') as file:\n        file.write(f'{{n}}\\n')\n    return n\n",
    )
    works.build(bot("a", "noting:work", to=["b"], processes=2), bot("b", "noting:work"))
    records = works.run("a", *range(1000))
    assert sorted(record.result for record in records) == sorted([*range(1000), *range(1000)])
    assert sorted(map(int, note.read_text().split())) == sorted([*range(1000), *range(1000)])
