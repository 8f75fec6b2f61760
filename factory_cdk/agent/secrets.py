"""The values of secrets on an instance: from Secrets Manager into memory, and from there into workers alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping

from factory_cdk.agent.aws import Aws, AwsError, asking
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import SecretReference
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.secrets import Place, Values

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 30.0
"""Seconds between two looks for a secret that has no value yet: the first pause, doubled each time, and the longest."""

PATIENCE = 3600.0
"""Seconds for which a value is waited for: `build` writes it while the instance waits."""

REFUSED_PATIENCE = 300.0
"""Seconds for which Secrets Manager may refuse to answer: a role takes a while to reach it."""

EVERY = 300.0
"""Seconds after which values are read again: what was rotated is picked up at a worker's next start."""

SHORTEST_MASKED = 6
"""Characters of a value that are taken out of messages: shorter ones stand in ordinary words."""

EMPTY = "ResourceNotFoundException"
"""What Secrets Manager says of a secret that is not there, and of one without a value (it has no AWSCURRENT)."""


class NoValueError(FactoryError):
    """A secret has no value yet."""


class SecretsManagerValues:
    """A SecretSource: what `read` reads of a secret by its ARN or name (AwsError), kept in memory alone."""

    def __init__(
        self,
        read: Callable[[str], str],
        say: Callable[[str, str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience: float = PATIENCE,
    ) -> None:
        self._read, self._say, self._sleep, self._patience = read, say, sleep, patience
        self._values: dict[Place, dict[str, str]] = {}
        self.waiting_for: str | None = None
        """The secret without a value that is waited for."""

    def values(self, spec: RunnerSpec) -> Values:
        """The values of the secrets of `spec`, which have been waited for. They are the present ones: what is read
        later changes them, so that a worker that starts then gets it. FactoryError.
        """
        for place, wanted in spec.secrets.items():
            for name, reference in wanted.items():
                if name not in self._values.get(place, {}):
                    raise _no_value(reference.secret or "", name)
        return self._values

    def add(self, values: Values) -> None:
        """Values that are no secrets of a plan, and as secret."""
        for place, named in values.items():
            self._values.setdefault(place, {}).update(named)

    async def wait(self, spec: RunnerSpec) -> Values:
        """The same, once every secret has a value. FactoryError when one has none for too long, or may not be read."""
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            try:
                await self.refresh(spec)
                values = self.values(spec)
            except (NoValueError, AwsError) as error:
                patience = self._patience if isinstance(error, NoValueError) else min(self._patience, REFUSED_PATIENCE)
                if waited + pause > patience:
                    raise
                if self.waiting_for != error.message:
                    self.waiting_for = error.message
                    self._say(f"{error.message}; waiting for it", "WARNING")
            else:
                self.waiting_for = None
                return values
            await self._sleep(pause)
            waited += pause
            pause = min(2 * pause, LONGEST_PAUSE)

    async def refresh(self, spec: RunnerSpec) -> None:
        """Read all secrets of `spec` again. NoValueError or AwsError, and all values stay as they were."""
        texts = {secret: await self._text(secret) for secret in dict.fromkeys(_secrets(spec.secrets))}
        found = {
            place: {name: _part(texts, one, name) for name, one in wanted.items() if one.secret is not None}
            for place, wanted in spec.secrets.items()
        }
        for place, values in found.items():
            self._values.setdefault(place, {}).update(values)

    async def _text(self, secret: str) -> str:
        try:
            text = await asyncio.to_thread(self._read, secret)
        except AwsError as error:
            if error.code != EMPTY:
                raise
            text = ""
        if not text:
            raise _no_value(secret)
        return text

    async def follow(self, spec: Callable[[], RunnerSpec | None]) -> None:
        """Read all secrets of the present spec now and again; when they cannot be read, the values of before stay."""
        while True:
            await self._sleep(EVERY)
            try:
                if (present := spec()) is not None:
                    await self.refresh(present)
            except FactoryError as error:
                self._say(f"{error.message}; workers that start get the values of before", "WARNING")

    def masked(self, text: str) -> str:
        """`text` without any value that is known."""
        known = {value for values in self._values.values() for value in values.values()}
        for value in sorted(known, key=len, reverse=True):
            if len(value) >= SHORTEST_MASKED:
                text = text.replace(value, "***")
        return text


def secret_reader(aws: Aws) -> Callable[[str], str]:
    """What reads the present value of a secret by its ARN or name; it blocks. AwsError."""

    def read(secret: str) -> str:
        region = secret.split(":")[3] if secret.startswith("arn:") else None
        with asking(f"secret {secret}"):
            answer = aws.client("secretsmanager", region).get_secret_value(SecretId=secret)
        return str(answer["SecretString"]) if "SecretString" in answer else answer["SecretBinary"].decode()

    return read


def _secrets(references: Mapping[Place, Mapping[str, SecretReference]]) -> Iterator[str]:
    for wanted in references.values():
        for reference in wanted.values():
            if reference.secret is not None:
                yield reference.secret


def _no_value(secret: str, name: str | None = None) -> NoValueError:
    what = f"secret {secret} has no value" + (f" for {name}" if name else "")
    return NoValueError(what, "write it: factory-cdk secrets put")


def _part(texts: Mapping[str, str], reference: SecretReference, name: str) -> str:
    """The value that `reference` names in the texts of secrets: a text, or that of its key in the JSON that it is."""
    secret = reference.secret or ""
    text = texts[secret]
    if reference.key is None:
        return text
    try:
        value = json.loads(text)[reference.key]
    except (ValueError, LookupError, TypeError):
        raise _no_value(secret, f"{name}: its JSON has no {reference.key}") from None
    return value if isinstance(value, str) else json.dumps(value)
