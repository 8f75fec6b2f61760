"""The engine over SQS keeps the contract of all engines."""

from __future__ import annotations

import pytest
from contract import Engine, SharedContract
from emulator import Emulator
from sqs_stage import SqsStage, made, unique

QUEUES = [
    *("q", "a", "b", "c", "end", "none", "next", "left", "right", "other", "r"),
    *(f"next-{number}" for number in range(5)),
]
MORE = [*(f"queue-{number}" for number in range(20)), "Ünï code/../'; --", "x" * 200]


@pytest.fixture
def stage(aws: Emulator, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> SqsStage:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return made(aws, unique("works"), [*QUEUES, *(MORE if "see_each_other" in request.node.name else ())])


@pytest.fixture
def engine(stage: SqsStage) -> Engine:
    return Engine(
        stage.open,
        stage.aws.put_forward,
        second=30.0,
        factory="sqs_stage:opened",
        arguments=stage.arguments,
    )


class TestSqs(SharedContract):
    pass
