"""What differs between two specs of one runner, and what a runner that is at work cannot change to."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec


def changed_pools(present: RunnerSpec, wanted: RunnerSpec) -> Iterator[PoolSpec]:
    """The pool specs of `wanted` that are not the same in `present`."""
    known = {pool_spec.place: pool_spec for pool_spec in present.pool_specs}
    return (pool_spec for pool_spec in wanted.pool_specs if known.get(pool_spec.place) != pool_spec)


def unsupported_change(present: RunnerSpec, wanted: RunnerSpec) -> str | None:
    """Why a runner of `present` cannot change to `wanted` while it works; None when it can.

    Jobs would be left in queues that nobody reads any more, or go where the jobs before them did not.
    """
    before, after = ({pool_spec.place: pool_spec for pool_spec in spec.pool_specs} for spec in (present, wanted))
    for what, places in (("new", after.keys() - before.keys()), ("gone", before.keys() - after.keys())):
        if places:
            bots = ", ".join(f"{sector}/{bot}" for sector, bot in sorted(places))
            return f"{bots} {'is' if len(places) == 1 else 'are'} {what}"
    for place, pool_spec in after.items():
        for what in ("queue", "successors", "secrets"):
            if getattr(pool_spec, what) != getattr(before[place], what):
                return f"the {what} of {pool_spec.label} changed"
    return None
