"""Runners of other machines, as the table of their stage has them."""

from __future__ import annotations

import json
from typing import Any

from factory_cdk.state.status import Status, WorkerStatus, status_as_json
from factory_cdk.views.runners import OUTDATED, SILENT, remote_runners, remote_workers

NOW = 1_800_000_000.0


def item(sector: str, said: float, gate: str = "open", **more: Any) -> dict[str, Any]:
    worker = WorkerStatus(sector, "bot", 1, 7, "busy", NOW - 3600, 2, 30, 1, 1, "half done")
    status = {**status_as_json(Status(1, 2.0, gate, "gate 1", (worker,), trouble="a full disk")), **more}
    text = json.dumps(status)
    return {"sector": sector, "region": "eu-west-2", "instance": "i-0", "said": int(said), "status": text}


def test_a_runner_that_said_nothing_for_three_minutes_has_stopped_answering_since_its_last_word() -> None:
    runners = remote_runners([item("silent", NOW - 181), item("a", NOW - 60), item("over", NOW - 9999, "ended")], NOW)
    assert [(one.sector, one.state, one.silent_since) for one in runners] == [
        ("a", "open", None),
        ("over", "ended", None),
        ("silent", SILENT, "2027-01-15T07:56:59.000Z"),
    ]
    assert runners[0].trouble == "a full disk"
    workers = remote_workers(runners, NOW)
    assert [(one.sector, one.state, round(one.uptime)) for one in workers] == [
        ("a", "busy", 3600),
        ("over", "busy", 0),
        ("silent", SILENT, 3419),
    ]
    assert (workers[0].restarts, workers[0].done, workers[0].failed, workers[0].in_hand) == (2, 30, 1, 1)


def test_what_another_version_said_is_no_guess() -> None:
    (runner,) = remote_runners([item("new", NOW, version=99), {"id": "no runner's"}], NOW)
    assert (runner.state, runner.status) == (OUTDATED, None)
    assert remote_workers([runner], NOW) == []
