"""A stage's secrets in Secrets Manager: what state they are in, and their values written where they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from factory_cdk.agent.aws import Aws, AwsError, asking
from factory_cdk.deploy.refusals import BAD_CREDENTIALS, GIVE_CREDENTIALS, REFUSED
from factory_cdk.deploy.stage_secrets import StageSecret
from factory_cdk.diagnostics import FactoryError

MISSING, DELETED, EMPTY, INCOMPLETE, FILLED, EXISTS = "missing", "deleted", "empty", "incomplete", "filled", "exists"

WRITTEN, UNCHANGED = "written", "unchanged"

_NOT_THERE = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret: `state` is missing, deleted (marked for deletion), empty, incomplete (keys of `lacking` have no value),
    filled, or exists (the plan refers to it), or what `put` did. `readable` is False when the value of one that exists
    may not be read with these credentials.
    """

    secret: str
    region: str
    sector: str
    bots: tuple[str, ...]
    state: str
    keys: tuple[str, ...]
    lacking: tuple[str, ...] = ()
    readable: bool = True

    @property
    def has_values(self) -> bool:
        """Whether bots can read all that they need of it."""
        return self.state in (FILLED, EXISTS, WRITTEN, UNCHANGED)


def check_secret(aws: Aws, secret: StageSecret) -> SecretRow:
    """The state of `secret`. FactoryError."""
    state, readable, lacking = _presence(aws, secret), True, secret.keys
    if state is None:
        try:
            text = _value(aws, secret)
        except AwsError as error:
            if secret.created or error.code not in REFUSED:
                raise _in_words(error, secret, "GetSecretValue") from None
            readable, lacking, state = False, (), EXISTS
        else:
            state, lacking = _judged(secret, text)
    return SecretRow(secret.name, secret.region, secret.sector, secret.bots, state, secret.keys, lacking, readable)


def put_secret(aws: Aws, secret: StageSecret, text: str) -> SecretRow:
    """Write `text` into `secret` unless it says the same. One that is not there is reported, not made. FactoryError, in
    which nothing of `text` is.
    """
    state = _presence(aws, secret)
    if state is None:
        with _words(secret, "GetSecretValue"):
            present = _value(aws, secret)
        if present is not None and _members(present) == json.loads(text):
            state = UNCHANGED
        else:
            _put(aws, secret, text)
            state = WRITTEN
    lacking = () if state in (UNCHANGED, WRITTEN) else secret.keys
    return SecretRow(secret.name, secret.region, secret.sector, secret.bots, state, secret.keys, lacking)


def _put(aws: Aws, secret: StageSecret, text: str) -> None:
    failure = None
    try:
        with asking(f"secret {secret.name}"):
            aws.client("secretsmanager", secret.region).put_secret_value(SecretId=secret.name, SecretString=text)
    except AwsError as error:
        failure = error
    if failure is not None:
        # AWS repeats parameters in what it says of invalid ones; what it says of permissions has none.
        said = failure if failure.code in REFUSED else AwsError(f"secret {secret.name}", failure.code, "")
        raise _in_words(said, secret, "PutSecretValue")


def _presence(aws: Aws, secret: StageSecret) -> str | None:
    """MISSING or DELETED; None for a secret that is there."""
    try:
        with asking(f"secret {secret.name}"):
            found = aws.client("secretsmanager", secret.region).describe_secret(SecretId=secret.name)
    except AwsError as error:
        if error.code != _NOT_THERE:
            raise _in_words(error, secret, "DescribeSecret") from None
        return MISSING
    return DELETED if found.get("DeletedDate") else None


def _value(aws: Aws, secret: StageSecret) -> str | None:
    """The text of a secret that is there; None when it has no value yet. AwsError."""
    try:
        with asking(f"secret {secret.name}"):
            answer = aws.client("secretsmanager", secret.region).get_secret_value(SecretId=secret.name)
    except AwsError as error:
        if error.code != _NOT_THERE:
            raise
        return None
    if "SecretString" in answer:
        return str(answer["SecretString"]) or None
    return bytes(answer.get("SecretBinary", b"")).decode(errors="replace") or None


def _judged(secret: StageSecret, text: str | None) -> tuple[str, tuple[str, ...]]:
    """The state of a secret that is there and whose text is `text`, and the keys that it lacks."""
    if text is None:
        return EMPTY, secret.keys
    members = _members(text)
    lacking = tuple(key for key in secret.keys if key not in members)
    if lacking:
        return INCOMPLETE, lacking
    return (FILLED if secret.created else EXISTS), ()


def _members(text: str) -> dict[str, object]:
    """The members of the JSON object `text`; none when it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _words(secret: StageSecret, action: str) -> Iterator[None]:
    try:
        yield
    except AwsError as error:
        raise _in_words(error, secret, action) from None


def _in_words(error: AwsError, secret: StageSecret, action: str) -> FactoryError:
    """`error` with what helps whoever deploys."""
    if error.code in BAD_CREDENTIALS:
        remedy = GIVE_CREDENTIALS
    elif error.code in REFUSED:
        remedy = f"these credentials need secretsmanager:{action} on this secret, and where it has a KMS key, that key"
    else:
        remedy = f"check the network and the region ({secret.region}), and run it again: what is written already stays"
    return FactoryError(error.message, remedy)
