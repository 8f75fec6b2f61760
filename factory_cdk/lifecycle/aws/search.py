"""Whether AWS is asked for stages: when it was told so, or when a name is not built here and there may be credentials.

A command that needs no AWS never waits for it, nor imports what talks to it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
"""Each of these makes AWS tools find credentials
(https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html)."""

_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}


@dataclass(frozen=True, slots=True)
class AwsSearch:
    """What a command was told: to ask AWS (`asked`), and in which `regions` (none: all that are enabled). One that
    `changes` what it finds asks for longer, and needs every answer.
    """

    asked: bool = False
    regions: tuple[str, ...] = ()
    changes: bool = False


def may_have_credentials(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether credentials seem to be configured, as far as variables and files tell. Those of an instance's role would
    have to be asked for, which takes seconds elsewhere: whoever has these says --aws.
    """
    if any(environ.get(name) for name in _VARIABLES):
        return True
    files = [environ.get(name) or usual for name, usual in _FILES.items()]
    return any(os.path.isfile(os.path.expanduser(file)) for file in files)  # noqa: PTH111, PTH113 - these never raise
