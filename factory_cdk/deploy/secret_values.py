"""The values of a stage's created secrets, from where its plan says or from JSON: never printed, never in an error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from factory_cdk.deploy.stage_secrets import StageSecret
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import SecretReference
from factory_cdk.state.secrets import resolve_secrets

LARGEST = 65_536
"""Bytes that a secret of Secrets Manager holds."""

SecretTexts = Mapping[tuple[str, str], str]
"""The text that each secret is to have, by its region and name."""


def texts_from_plan(secrets: Sequence[StageSecret], environ: Mapping[str, str]) -> SecretTexts:
    """The texts of `secrets`, whose values are looked up as `build` does it for bots on this machine. FactoryError
    names every secret that has no value.
    """
    references = {(one.sector, bot): one.references for one in secrets for bot in one.bots}
    found = resolve_secrets(references, environ)
    return _texts(secrets, {one.name: found[one.sector, one.bots[0]] for one in secrets})


def texts_from_json(secrets: Sequence[StageSecret], text: str) -> SecretTexts:
    """The texts of `secrets` from one JSON object that has the value of every key. FactoryError, also when a key is
    another secret here than there.
    """
    given = _parsed(text)
    wanted: dict[str, SecretReference] = {}
    for one in secrets:
        for key, reference in one.references.items():
            if wanted.setdefault(key, reference) != reference:
                message = f"{key} comes from different places for different bots: one value cannot be all of them"
                raise FactoryError(message, "choose a bot or sector: --bot, --sector")
    if missing := sorted(wanted.keys() - given.keys()):
        raise FactoryError(f"the JSON on stdin has no {', '.join(missing)}", "give a value for every key")
    if unknown := len(given.keys() - wanted.keys()):  # not shown: it may be a value in the wrong place
        keys = f"{unknown} {'key' if unknown == 1 else 'keys'}"
        message = f"the JSON on stdin has {keys} that none of these secrets has"
        raise FactoryError(message, f"the keys are {', '.join(sorted(wanted))}")
    return _texts(secrets, {one.name: {key: given[key] for key in one.references} for one in secrets})


def _parsed(text: str) -> dict[str, str]:
    pairs = _pairs(text)
    remedy = 'write one JSON object, {"KEY": "value", …}, each key once'
    if pairs is None:
        raise FactoryError("what is on stdin is not one JSON object", remedy)
    given = dict(pairs)
    if len(given) != len(pairs):
        raise FactoryError("the JSON on stdin has a duplicate key", remedy)
    if not all(isinstance(value, str) and "\0" not in value for value in given.values()):
        raise FactoryError("the JSON on stdin has a value that is not a text without NUL characters", remedy)
    return given


def _pairs(text: str) -> list[tuple[str, str]] | None:
    """The members of the one object in `text`. Its parser's errors hold the text, and so must not get out."""
    try:
        found = json.loads(text, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError):
        return None
    is_object = isinstance(found, list) and text.lstrip().startswith("{")
    return found if is_object else None


def _texts(secrets: Sequence[StageSecret], values: Mapping[str, Mapping[str, str]]) -> SecretTexts:
    texts = {(one.region, one.name): json.dumps(values[one.name], sort_keys=True) for one in secrets}
    for (_, name), text in texts.items():
        if len(text) > LARGEST:
            message = f"the values of secret {name} take {len(text):,} bytes as JSON; AWS allows {LARGEST:,}"
            raise FactoryError(message, "put what is large elsewhere (S3), and its key or address into the secret")
    return texts
