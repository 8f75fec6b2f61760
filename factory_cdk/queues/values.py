"""Payloads and results as JSON text, checked before an engine takes them: what is stored can be read and passed on."""

from __future__ import annotations

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.queues.port import UnstorableError
from factory_cdk.worker.depth import DEEPEST, check_depth
from factory_cdk.worker.jsontext import decode_text, encode_text
from factory_cdk.worker.size import TooLargeError, check_size


def encode(value: Json, what: str, job_id: str) -> str:
    """The JSON text of `value`, ASCII alone. UnstorableError, naming `what` of which job, if it is not JSON, too large
    or too deep.
    """
    try:
        text = encode_text(value)
        check_size(len(text))
        if len(text) > DEEPEST:  # it takes a character to go a level down
            check_depth(value, text)
    except TooLargeError as error:
        raise UnstorableError(f"the {what} of job {job_id} is not kept: {error}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise UnstorableError(
            f"the {what} of job {job_id} is not JSON: {error}", "submit and return JSON only"
        ) from error
    return text


def decode(text: str) -> Json:
    """What a stored JSON text says. FactoryError when it cannot be read."""
    try:
        return decode_text(text)
    except (ValueError, RecursionError) as error:
        raise FactoryError(f"a stored value cannot be read ({error})", "cancel the job that has it") from error
