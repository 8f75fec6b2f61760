"""Which comments that silence a warning can be judged by linting one stage: those in what this stage uses."""

from __future__ import annotations

from collections.abc import Callable

from factory_cdk.design.model import StageDesign
from factory_cdk.plan.ignores import OF_A_STAGE, Ignore
from factory_cdk.plan.load import Loaded
from factory_cdk.plan.model import SectorType
from factory_cdk.plan.scope import path_at

NEVER_JUDGED = frozenset({"F401"})
"""Codes that neither `validate` nor `lint` reports."""


def judge(loaded: Loaded, design: StageDesign) -> Callable[[Ignore], bool]:
    """Whether linting `design`, a stage of `loaded`, tells that a comment silences nothing.

    A comment in another stage, or at an alarm that this stage does not use, may be needed there.
    """
    root, plan = loaded.root, loaded.plan
    stage = plan.stages.get(design.stage) if plan is not None else None
    alarms = {sector.alarm for sector in stage.sectors if sector.type is SectorType.AWS} if stage is not None else set()

    def judged(ignore: Ignore) -> bool:
        if ignore.code not in OF_A_STAGE or ignore.code == "F701":  # literals are looked for in the whole plan
            return True
        if ignore.code in NEVER_JUDGED or root is None:
            return False
        path = path_at(root, ignore.about)
        match path[:2]:
            case ("factory", "stages"):
                return path[2:3] == (design.stage,)
            case ("factory", "alarms"):
                return len(path) > 2 and path[2] in alarms
            case ("factory", *_):
                return True
            case _:
                return False  # an anchor beside the factory, which any stage may use

    return judged
