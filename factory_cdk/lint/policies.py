"""Checks of what roles may do. What is found is the plan's own `policies`, or else a fault of factory_cdk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.design.model import StageDesign
from factory_cdk.lint.finding import Finding, of_type

SESSION_MANAGER = "SessionManager"
"""Our statement whose actions know no resources, where the plan asks for `session-manager`."""


def check_wildcards(design: StageDesign) -> Iterator[Finding]:
    """F702: a statement that allows every action of a service, or is about every resource."""
    for role in of_type(design, "AWS::IAM::Role"):
        for number, policy in enumerate(role.resource.properties.get("Policies", ())):
            for index, statement in enumerate(policy["PolicyDocument"]["Statement"]):
                if statement.get("Effect") != "Allow" or statement.get("Sid") == SESSION_MANAGER:
                    continue
                for key, what in (("Action", "every action"), ("Resource", "access to every resource")):
                    wide = next((value for value in _texts(statement.get(key)) if _is_everything(key, value)), None)
                    if wide is not None:
                        message = f"the role of `{role.resource.sector}` has a statement that allows {what} (`{wide}`)"
                        place = role.at("Policies", number, "PolicyDocument", "Statement", index, key)
                        yield Finding("F702", place, message, "limit it to the actions and resources that are needed")


def _texts(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else (value,):
        text = one.get("Fn::Sub") if isinstance(one, Mapping) else one
        if isinstance(text, str):
            yield text


def _is_everything(key: str, text: str) -> bool:
    if key == "Action":
        return text == "*" or text.endswith(":*")
    parts = re.sub(r"\$\{[^}]*\}", "x", text).split(":", 5)  # the names of variables hold colons, too
    return not parts[-1].strip("*/")
