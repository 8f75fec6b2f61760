"""What a template says of its bots beside the resources: where their code comes from, and that it is missing."""

from __future__ import annotations

from collections.abc import Sequence

from factory_cdk.bundle import Bundle
from factory_cdk.design.values import ref
from factory_cdk.plan.model import Json

MAX_NAMED = 20
"""Bots that the rule names; CloudFormation shows its description as one line."""


def described(bundle: Bundle) -> dict[str, Json]:
    """A bundle as the template's metadata names it.

    In a list and not by the bot's name: CloudFormation and CDK would evaluate the keys `Ref` and `Condition`.
    """
    commit = {"commit": bundle.commit} if bundle.commit else {}
    return {
        "bot": bundle.bot,
        "source": bundle.origin,
        "kind": bundle.kind,
        "digest": bundle.digest,
        "packed": bundle.packed,
        **commit,
    }


def not_packed_rule(bots: Sequence[str]) -> dict[str, Json]:
    """The `Rules` section while `bots` are unpacked: one that always fails, so that a plain `cdk deploy` is refused
    before it starts. Empty without bots.

    No region has this name. Two texts of our own would never be equal either, but cfn-lint warns of them (W8003).
    """
    if not bots:
        return {}
    more = f" and {len(bots) - MAX_NAMED} more" if len(bots) > MAX_NAMED else ""
    description = f"not packed: {', '.join(bots[:MAX_NAMED])}{more}. Run `factory-cdk pack`, then synthesize again."
    assertion = {"Assert": {"Fn::Equals": [ref("AWS::Region"), "not packed"]}, "AssertDescription": description}
    return {"NotPacked": {"Assertions": [assertion]}}
