"""What holds when commands cross each other, when a launcher goes away, and when the files of a stage are damaged."""

from __future__ import annotations

import pytest
from local_works import Works, bot

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local import factory
from factory_cdk.local.factory import Left
from factory_cdk.local.state import holding, take_folder
from factory_cdk.local.submission import submit

ECHO = "def echo(job):\n    return job.payload\n"


@pytest.fixture
def echo(works: Works) -> Works:
    """A stage whose one bot answers with its payload."""
    works.write("echoes.py", ECHO)
    works.build(bot("echo", "echoes:echo"))
    return works


def test_a_job_submitted_while_its_stage_is_demolished_is_refused_and_never_acknowledged(echo: Works) -> None:
    factory.stop(echo.home, "works", None, echo.said.append)
    echo.submit("echo", 1)
    found = factory.find(echo.home, "works")
    asked: list[Left] = []

    def refuse(left: Left) -> bool:
        asked.append(left)
        with pytest.raises(FactoryError, match="is being demolished; nothing was submitted"):
            echo.submit("echo", 2)
        return False

    assert not factory.demolish(found, echo.said.append, refuse)
    assert asked == [Left(1, 0)]
    echo.submit("echo", 3)
    assert factory.left(found) == Left(2, 0)
    echo.demolish()
    assert found.roster is not None
    with pytest.raises(FactoryError, match="not built here any more; nothing was submitted"):
        submit(found.state, found.roster, "echo", [4])
    assert not found.state.folder.parent.exists()


def test_demolish_waits_for_those_who_submit_and_they_do_not_wait_for_each_other(echo: Works) -> None:
    folder = echo.state().folder
    first = take_folder(folder, shared=True)
    assert first is not None
    with holding(first):
        assert take_folder(folder, shared=False) is None
        echo.submit("echo", 1)
    alone = take_folder(folder, shared=False)
    assert alone is not None
    with holding(alone):
        assert take_folder(folder, shared=True) is None
