"""The secrets of a stage's aws sectors, once for the command line and for Python: written, and checked for values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from factory_cdk.compile import compile_at_hand
from factory_cdk.home import pack_cache
from factory_cdk.plan.model import Plan

if TYPE_CHECKING:
    from factory_cdk.deploy.secret_store import SecretRow
    from factory_cdk.deploy.stage_secrets import StageSecret


def put_secrets(
    plan: Plan,
    stage: str,
    sector: str | None = None,
    bot: str | None = None,
    *,
    region: str | None = None,
    values: str | None = None,
    environ: Mapping[str, str] = os.environ,
    written: Callable[[SecretRow], None] = lambda row: None,
) -> list[SecretRow]:
    """Write the values of the secrets that the templates of `stage` create, all or those of `sector`, of `bot`, where
    they differ from what is there: from where the plan says, or from `values`, one JSON object. `written` gets each at
    once: what follows may fail. FactoryError, and nothing is written while a value is missing.
    """
    from factory_cdk.agent.aws import PATIENT_ATTEMPTS, Aws  # noqa: PLC0415 - what talks to AWS is for this alone
    from factory_cdk.deploy.secret_store import put_secret  # noqa: PLC0415
    from factory_cdk.deploy.secret_values import texts_from_json, texts_from_plan  # noqa: PLC0415

    secrets = [one for one in _secrets(plan, stage, sector, bot, region) if one.created]
    texts = texts_from_plan(secrets, environ) if values is None else texts_from_json(secrets, values)
    rows = []
    for one in secrets:
        row = put_secret(Aws(one.region, attempts=PATIENT_ATTEMPTS), one, texts[one.region, one.name])
        written(row)
        rows.append(row)
    return rows


def check_secrets(
    plan: Plan, stage: str, sector: str | None = None, bot: str | None = None, *, region: str | None = None
) -> list[SecretRow]:
    """The state of each secret that bots of `stage` read on AWS, all or those of `sector`, of `bot`. FactoryError."""
    from factory_cdk.agent.aws import Aws  # noqa: PLC0415 - what talks to AWS is for this alone
    from factory_cdk.deploy.secret_store import check_secret  # noqa: PLC0415

    return [check_secret(Aws(one.region), one) for one in _secrets(plan, stage, sector, bot, region)]


def _secrets(
    plan: Plan, stage: str, sector: str | None, bot: str | None, region: str | None
) -> tuple[StageSecret, ...]:
    from factory_cdk.deploy.stage_secrets import stage_secrets  # noqa: PLC0415 - see above

    return stage_secrets(compile_at_hand(plan, stage, cache=pack_cache(), region=region), sector, bot)
