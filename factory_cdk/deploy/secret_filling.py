"""Filling the secrets that a stage's templates create, while the stacks are deployed: an instance waits for them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from factory_cdk.agent.aws import PATIENT_ATTEMPTS, Aws
from factory_cdk.deploy.following import Followed, Say
from factory_cdk.deploy.secret_store import DELETED, MISSING, WRITTEN, check_secret, put_secret
from factory_cdk.deploy.secret_values import SecretTexts, texts_from_plan
from factory_cdk.deploy.stacks import Event
from factory_cdk.deploy.stage_secrets import StageSecret, stage_secrets
from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError

_TYPE = "AWS::SecretsManager::Secret"


def wanted_texts(design: StageDesign, environ: Mapping[str, str]) -> tuple[tuple[StageSecret, ...], SecretTexts]:
    """The secrets that the templates of `design` create, and the texts of those whose values are found where the plan
    says. A secret on AWS that has all its values needs none here. FactoryError names what has no value anywhere.
    """
    texts: dict[tuple[str, str], str] = {}
    lacking: list[FactoryError] = []
    created = tuple(one for one in stage_secrets(design) if one.created)
    for one in created:
        try:
            texts |= texts_from_plan([one], environ)
        except FactoryError as error:
            if not check_secret(Aws(one.region, attempts=PATIENT_ATTEMPTS), one).has_values:
                lacking.append(error)
    if lacking:
        raise FactoryError("; ".join(dict.fromkeys(error.message for error in lacking)), lacking[0].remedy)
    return created, texts


class SecretFilling:
    """Writes the texts of secrets as soon as these are there. For several threads."""

    def __init__(self, secrets: Sequence[StageSecret], texts: SecretTexts, say: Say) -> None:
        self._pending = [one for one in secrets if (one.region, one.name) in texts]
        self._texts, self._say = texts, say
        self._lock = threading.Lock()

    def fill(self) -> None:
        """Write what can be written now. FactoryError."""
        with self._lock:
            for one in list(self._pending):
                row = put_secret(Aws(one.region, attempts=PATIENT_ATTEMPTS), one, self._texts[one.region, one.name])
                if row.state in (MISSING, DELETED):
                    continue
                self._pending.remove(one)
                if row.state == WRITTEN:
                    self._say(f"{one.region}: the values of secret {one.name} are written")

    def on_event(self, stack: Followed, event: Event) -> None:
        """Fill when CloudFormation has made a secret. FactoryError."""
        if event.type == _TYPE and event.status.endswith("_COMPLETE") and not event.status.startswith("DELETE"):
            self.fill()
