"""The clock that a runner passes to its pools is that of its loop."""

from __future__ import annotations

import asyncio

from factory_cdk.runner.ports import LoopClock


def test_what_is_to_be_called_soon_is_called_in_a_later_turn_and_what_is_cancelled_never() -> None:
    async def run() -> list[str]:
        clock, called, last = LoopClock(asyncio.get_running_loop()), [], asyncio.Event()
        began = clock.monotonic()
        clock.call_later(0, called.append, "cancelled").cancel()
        clock.call_later(0, called.append, "soon")
        clock.call_later(0.001, last.set)
        assert called == []
        await last.wait()
        assert clock.monotonic() > began
        return called

    assert asyncio.run(run()) == ["soon"]
