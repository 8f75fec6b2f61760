"""The CDK app: `cdk synth|diff|deploy|destroy -c plan=FILE -c stage=NAME`, without an app of one's own.

Context: `plan` and `stage` (required), `region` (the default region of aws sectors that name none) and
`pack=false` (fetch nothing; bots that are neither packed nor in plan.lock are left unpacked: their stacks can be
reviewed, and refuse to be deployed). Without it the bots are packed first. `generations=SECTOR=2` makes the instance of
a sector again (plan.lock may hold that, too), `@aws-cdk/core:bootstrapQualifier` is CDK's own.
"""

from __future__ import annotations

from factory_cdk.stacks.node import prepare_cdk
from factory_cdk.stacks.refusal import reported


def main() -> None:
    """Synthesize what the CDK CLI's context names into where the CLI wants it; exit 1 with the reason if not."""
    with reported():
        prepare_cdk()
        from factory_cdk.stacks.context import app_from_context  # noqa: PLC0415 - imports aws_cdk

        app_from_context().synth()


main()
