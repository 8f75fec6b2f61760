"""How much of the runner's time one worker may take by talking."""

from __future__ import annotations

from fake_workers import FakeClock

from factory_cdk.runner.time_budget import SHARE, WINDOW, TimeBudget


def test_who_took_too_much_of_a_window_waits_for_the_next_one() -> None:
    clock, called = FakeClock(), []
    budget = TimeBudget(clock)
    budget.take(SHARE * WINDOW / 2)
    assert not budget.overdrawn
    budget.take(SHARE * WINDOW)
    assert budget.overdrawn
    budget.when_left(lambda: called.append(True))
    clock.advance(WINDOW * 0.9)
    assert (budget.overdrawn, called) == (True, [])
    clock.advance(WINDOW * 0.1)
    assert (budget.overdrawn, called) == (False, [True])


def test_who_took_longer_than_a_window_waits_as_long() -> None:
    clock = FakeClock()
    budget = TimeBudget(clock)
    budget.take(50 * WINDOW)
    budget.when_left(lambda: None)
    assert clock.pending == [50 * WINDOW]


def test_who_has_time_left_goes_on_soon_and_each_window_is_counted_anew() -> None:
    clock = FakeClock()
    budget = TimeBudget(clock)
    for _ in range(3):
        budget.take(SHARE * WINDOW)
        assert not budget.overdrawn
        budget.when_left(lambda: None)
        assert clock.pending == [0]
        clock.advance(WINDOW)
