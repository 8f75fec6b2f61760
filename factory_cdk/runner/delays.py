"""How long to wait before a worker is restarted, and before a job is tried again: exponential backoff."""

from __future__ import annotations

from factory_cdk.state.runner_spec import Timings

MOST_DOUBLINGS = 64
"""More would make no difference to a delay, and would be too large for a float one day."""


def restart_delay(timings: Timings, deaths: int, *, was_ready: bool) -> float:
    """Seconds before a worker that died for the `deaths`th time in a row is restarted.

    One that had been ready gets its first restart at once, so that its job can go on.
    """
    doublings = deaths - 2 if was_ready else deaths - 1
    return 0.0 if doublings < 0 else _backoff(timings.restart_first, timings.restart_most, doublings)


def retry_delay(timings: Timings, attempt: int, max_attempts: int, *, crashed: bool) -> float | None:
    """Seconds before a job whose `attempt` failed is tried again; None when that was the last.

    A job whose worker died is tried again at once, elsewhere or in a new process.
    """
    if attempt >= max_attempts:
        return None
    return 0.0 if crashed else _backoff(timings.retry_first, timings.retry_most, attempt - 1)


def _backoff(first: float, most: float, doublings: int) -> float:
    return float(min(most, first * 2 ** min(doublings, MOST_DOUBLINGS)))
