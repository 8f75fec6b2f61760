"""Workers that are replaced because the gate asks for it: their release is the same, but for one variable."""

from __future__ import annotations

from dataclasses import replace

from factory_cdk.agent.release import InstalledRelease

VARIABLE = "FACTORY_RESTART"
"""The variable of a bot's processes that says which `restart` of the gate they were started for."""


def restart_of(installed: InstalledRelease) -> str:
    """The restart for which the workers of `installed` were started; empty: none."""
    return next((one.variables.get(VARIABLE, "") for one in installed.spec.pool_specs), "")


def restarted(installed: InstalledRelease, restart: str) -> InstalledRelease:
    """`installed` with workers that are others than those of another restart."""
    if not restart:
        return installed
    pool_specs = tuple(
        replace(one, variables={**one.variables, VARIABLE: restart}) for one in installed.spec.pool_specs
    )
    return replace(installed, spec=replace(installed.spec, pool_specs=pool_specs))
