"""The difference of two templates as the CDK CLI tells it: `cdk diff` itself, or the function that it calls."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from facts import Fact
from patience import PATIENCE
from stack_templates import Template

from factory_cdk.stacks.node import wheel_node

CLI = Path(sys.prefix) / "cdk-cli" / "node_modules" / "aws-cdk"
SCRIPT = Path(__file__).with_name("cdk_diff.js")

needs_cdk_cli = pytest.mark.skipif(not CLI.is_dir(), reason="the CDK CLI is not installed; ./dev test installs it")

_RESOURCE = re.compile(r"\[([+~-])\] (\S+::\S+) (\S+)(?: (\S+))?(?: (replace|may be replaced|destroy|orphan))?")
_PART = re.compile(r" [├└]─ \[[+~-]\] (\S+)(?: \((may cause replacement|requires replacement)\))?")
_SECTION = re.compile(r"[A-Z][A-Za-z ]+")
_ACTIONS = {"+": "Add", "-": "Remove", "~": "Modify"}
_REPLACEMENTS = {"replace": "True", "may be replaced": "Conditional", None: "False"}
_NOT_PROPERTIES = ("DependsOn", "Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy", "UpdateReplacePolicy")


def read(text: str) -> dict[str, Fact]:
    """What the text of a difference says of every resource, by logical id."""
    found: dict[str, Fact] = {}
    section, last = "", ""
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines():
        if _SECTION.fullmatch(line) and "─" not in line:
            section, last = line, ""
        elif section == "Resources" and (resource := _RESOURCE.fullmatch(line.rstrip())):
            sign, _, last, again, impact = resource.groups()
            assert again in (None, last) or sign == "-", line
            action = _ACTIONS[sign]
            found[last] = Fact(action, _REPLACEMENTS[impact] if action == "Modify" else None)
        elif section == "Resources" and last and (part := _PART.fullmatch(line)):
            if part[1] in _NOT_PROPERTIES:
                found[last] = found[last].with_attributes(part[1])
            else:
                found[last] = found[last].with_properties(part[1])
        else:
            assert not (section == "Resources" and line.startswith("[")), f"not understood: {line}"
    return found


@dataclass(frozen=True)
class CdkDiff:
    """A process that tells differences one after the other."""

    process: subprocess.Popen[str]

    def text(self, old: Template, assembly: Path, stack: str) -> str:
        """What `cdk diff` prints of `stack` in `assembly` against the template `old`."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"old": old, "assembly": str(assembly), "stack": stack}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the script has ended"
        said = json.loads(line)
        assert isinstance(said, str)
        return said


@contextmanager
def cdk_diff_process() -> Iterator[CdkDiff]:
    """A CdkDiff that ends with the block."""
    command = [str(wheel_node()), str(SCRIPT), str(CLI / "lib" / "index.js")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_quiet()) as process:
        try:
            yield CdkDiff(process)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(PATIENCE)


def real_cdk_diff(old: Path, assembly: Path, stack: str, home: Path) -> str:
    """What the command `cdk diff` itself prints of `stack` in `assembly` against the template in the file `old`."""
    command = [str(wheel_node()), str(CLI / "bin" / "cdk"), "diff", stack, "--exclusively", "--app", str(assembly)]
    command += ["--method=template", "--template", str(old), "--no-color"]
    ran = subprocess.run(command, cwd=home, env=_quiet(), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def _quiet() -> dict[str, str]:
    return {**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "true", "CDK_DISABLE_VERSION_CHECK": "1", "NO_COLOR": "1"}
