"""What a bot asks of its runner through its Job: stop, resume, end, keep back, say; and a Bot of steps, built."""

from __future__ import annotations

from local_works import Works, bot, lives, until

from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.status import read_status
from factory_cdk.views.stages import worker_rows

ASKING = """
import os
import time
from pathlib import Path
from factory_cdk import Bot

bot = Bot("asking")
spot = Path(os.environ["SPOT"])

def first():
    try:
        os.close(os.open(spot / "once", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

@bot.initialisation
def initialise(variables):
    return variables["FACTORY_BOT"] == "ask"

@bot.begin
def begin(job):
    job.context["worker"] = os.getpid()

@bot.process
def work(job):
    if job.payload == "stop":
        job.stop_processing()
    elif job.payload == "leave":
        job.terminate()
    elif job.payload == "requeue once" and first():
        job.terminate(warm=False, requeue_job=True)
    elif job.payload == "bury":
        job.terminate(warm=False)
    elif job.payload == "alone":
        job.do_workflow = False
    elif job.payload == "say":
        job.publish_status("at the furnace")
        while not (spot / "said").exists():
            time.sleep(0.001)
    elif job.payload == "log":
        job.log.warning("hot")
    return [job.payload, job.attempt, job.context["worker"]]

@bot.ontermination
def end(job):
    (spot / "ended").touch()
"""


def build(works: Works, **arguments: int) -> None:
    works.write("asking.py", ASKING)
    works.write("noting.py", "def note(payload):\n    return payload\n")
    config = {"SPOT": str(works.home)}
    works.build(bot("ask", "asking:bot", to=["note"], config=config, **arguments), bot("note", "noting:note"))


def test_a_worker_that_its_bot_stopped_takes_no_jobs_until_resume(works: Works) -> None:
    build(works)
    works.run("ask", "stop")
    until(lambda: works.worker("ask").state == "stopped")
    pid = works.worker("ask").pid
    run = works.submit("ask", "x")
    factory.resume(works.home, "works", "test", works.said.append)
    records = works.wait(run)
    assert [record.outcome for record in records] == ["success", "success"]
    assert records[0].attempts == 1
    assert works.worker("ask").pid == pid


def test_a_worker_that_its_bot_ended_is_not_replaced_until_resume(works: Works) -> None:
    build(works)
    pid = works.run("ask", "leave")[0].result[2]
    until(lambda: works.worker("ask").state == "ended")
    assert not lives(pid)
    assert (works.home / "ended").exists()
    run = works.submit("ask", "x")
    factory.resume(works.home, "works", "test", works.said.append)
    assert works.wait(run)[0].result[2] != pid
    assert works.worker("ask").restarts == 1


def test_a_job_that_its_bot_puts_back_goes_to_another_worker_and_no_attempt_is_counted(works: Works) -> None:
    build(works, processes=2, batch=5)
    records = [record for record in works.run("ask", *["requeue once"] * 8) if record.job.bot == "ask"]
    assert [record.attempts for record in records] == [1] * 8
    assert len({record.result[2] for record in records}) == 1
    until(lambda: sorted(works.worker("ask", number).state for number in (1, 2)) == ["ended", "ready"])


def test_a_job_that_its_bot_gives_up_is_a_dead_letter_at_once(works: Works) -> None:
    build(works)
    (record,) = works.run("ask", "bury")
    assert (record.outcome, record.attempts) == ("dead", 1)
    assert record.failures[-1].type == "Terminated"


def test_a_result_that_is_kept_back_goes_no_further(works: Works) -> None:
    build(works)
    assert [record.job.bot for record in works.run("ask", "alone")] == ["ask"]


def test_a_status_that_a_bot_publishes_is_in_ps_until_the_job_is_over(works: Works) -> None:
    build(works)

    def statuses() -> list[str | None]:
        return [row.status for row in worker_rows(factory.list_factories(works.home))]

    run = works.submit("ask", "say")
    until(lambda: works.worker("ask").status == "at the furnace")
    assert statuses() == ["at the furnace", None]
    (works.home / "said").touch()
    works.wait(run)
    until(lambda: works.worker("ask").done == 1)
    assert statuses() == [None, None]


def test_a_bot_s_log_lines_carry_the_job(works: Works) -> None:
    build(works)
    record = works.run("ask", "log")[0]
    (line,) = factory.logs(works.home, "works", "test", "ask")
    assert line.split(" ", 1)[1] == f"here/ask.1 {record.job.id} | WARNING hot"


def test_a_bot_that_leaves_before_its_first_job_does_not_hold_the_build_up(works: Works) -> None:
    works.write("leaving.py", "from factory_cdk import Bot\nbot = Bot()\nbot.process_function = print\n")
    works.write("early.py", "from leaving import bot\nbot.begin_function = lambda job: job.terminate()\n")
    state = works.build(bot("early", "early:bot"))
    until(lambda: (status := read_status(state)) and status.workers[0].state == "ended")
