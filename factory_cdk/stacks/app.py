"""Turns a StageDesign into constructs: one CDK stack per StackDesign, one construct per resource.

Resources are plain CfnResources whose properties are the design's own JSON, so that every value reaches the
template as the plan wrote it (typed L1 arguments would refuse `DeviceIndex: 0`), and Python never imports the
modules of aws_cdk that hold them (aws_ec2 alone takes 2.5 s).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from jsii.errors import JSIIError

from factory_cdk.design.model import StackDesign, StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.stacks.assets import asset_file

CONTEXT: Mapping[str, Any] = {
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:enable-asset-metadata": False,
    "aws:cdk:version-reporting": False,
    "aws:cdk:disable-stack-trace": True,
}
"""What the CDK CLI would otherwise set from its own options: with it, `cdk synth` and `factory-cdk synth` give
the same bytes."""


QUALIFIER = "@aws-cdk/core:bootstrapQualifier"
"""The key of CDK's context that names the bootstrap stack whose bucket assets go to."""


def new_app(outdir: Path | None = None, context: Mapping[str, Any] | None = None) -> cdk.App:
    """An app that writes to `outdir` (None: where the CDK CLI wants it); `context` is laid over CONTEXT."""
    return cdk.App(
        outdir=None if outdir is None else str(outdir),
        analytics_reporting=False,
        tree_metadata=False,
        post_cli_context={**CONTEXT, **(context or {})},
    )


def add_stage(app: cdk.App, design: StageDesign) -> dict[str, cdk.Stack]:
    """Add every stack of `design` to `app`; returns them by name, queues first.

    Every stack publishes to the bucket that the design names, whatever the app's context says.
    """
    if app.node.try_get_context(QUALIFIER) != design.qualifier:
        app.node.set_context(QUALIFIER, design.qualifier)
    stacks: dict[str, cdk.Stack] = {}
    for stack_design in design.stacks:
        stack = _stack(app, stack_design, Path(app.outdir))
        for name in stack_design.depends_on:
            stack.add_stack_dependency(stacks[name])
        stacks[stack_design.name] = stack
    return stacks


def _stack(app: cdk.App, design: StackDesign, outdir: Path) -> cdk.Stack:
    stack = cdk.Stack(
        app,
        design.name,
        stack_name=design.name,
        description=design.description,
        env=cdk.Environment(region=design.region),
        tags=design.tags,
        termination_protection=design.protect or None,
    )
    if design.metadata:
        stack.template_options.metadata = design.metadata
    for name, parameter in design.parameters.items():
        cdk.CfnParameter(
            stack,
            name,
            type=parameter["Type"],
            default=parameter["Default"],
            allowed_values=parameter["AllowedValues"],
            description=parameter["Description"],
        )
    for name, condition in design.conditions.items():
        named, value = condition["Fn::Equals"]
        cdk.CfnCondition(stack, name, expression=cdk.Fn.condition_equals(named, value))
    for name, mapping in design.mappings.items():
        cdk.CfnMapping(stack, name, mapping=mapping, lazy=False)
    for name, rule in design.rules.items():
        assertions = [
            cdk.CfnRuleAssertion(
                assert_=cdk.Fn.condition_equals(*assertion["Assert"]["Fn::Equals"]),
                assert_description=assertion["AssertDescription"],
            )
            for assertion in rule["Assertions"]
        ]
        cdk.CfnRule(stack, name, assertions=assertions)
    for resource in design.resources:
        construct = cdk.CfnResource(stack, resource.logical_id, type=resource.type, properties=resource.properties)
        if resource.condition:
            construct.add_override("Condition", resource.condition)
        if resource.depends_on:
            construct.add_override("DependsOn", list(resource.depends_on))
        if (resource.deletion_policy, resource.update_replace_policy) == ("RetainExceptOnCreate", "Retain"):
            construct.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)  # one call to Node, not two
        elif resource.deletion_policy or resource.update_replace_policy:
            construct.add_override("DeletionPolicy", resource.deletion_policy)
            construct.add_override("UpdateReplacePolicy", resource.update_replace_policy)
    synthesizer = stack.synthesizer if design.assets else None
    for asset in design.assets:
        file = asset_file(outdir, asset)
        if synthesizer is not None:  # the CDK CLI uploads it before it deploys the stack
            synthesizer.add_file_asset(
                source_hash=asset.sha256, file_name=file.name, packaging=cdk.FileAssetPackaging.FILE
            )
    return stack


def synthesize(design: StageDesign, outdir: Path, *, context: Mapping[str, Any] | None = None) -> None:
    """Write the cloud assembly of `design` into `outdir`, an existing folder; `context` is CDK's, beside ours.

    Raises OSError or FactoryError when a file cannot be written, FactoryError when CDK or its Node fails.
    """
    try:
        app = new_app(outdir, context)
        add_stage(app, design)
        app.synth()
    except (JSIIError, RuntimeError) as error:  # of jsii itself, and what it makes of an exception in Node
        raise FactoryError(*explained(error)) from error


def explained(error: Exception) -> tuple[str, str]:
    """A failure of CDK or of the Node that it runs in, as a message without its stack trace, and a remedy."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return (
        f"CDK failed: {first}",
        "free some disk space, check Node with `factory-cdk doctor`, or choose another folder",
    )
