"""The program of the user-data, run as an instance runs it, beside the stacks of an emulated CloudFormation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulator import Emulator
from patience import PATIENCE, until
from stack_templates import read, user_data
from test_update_matrix import Change, Version, ended, version

sys.path.append(str(Path(__file__).parents[1] / "bootstrap"))

from bootstrap_cloud import Cloud

STACK, REGION = "alone-dev-eu-west-2", "eu-west-2"
PARAMETER = "/factory-cdk/alone/dev/box/release"


@pytest.fixture
def metadata() -> Iterator[Cloud]:
    """A metadata service; the rest of AWS is the emulator's."""
    server = Cloud()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(script: Path, root: Path, aws: Emulator, metadata: Cloud) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,  # where the package index is, and whom to trust there
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "FACTORY_CDK_ROOT": str(root),
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
    }
    command = [sys.executable, str(script)] if script.suffix == ".py" else ["sh", str(script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


def event_reasons(aws: Emulator) -> str:
    events = aws.client("cloudformation", REGION).describe_stack_events(StackName=STACK)["StackEvents"]
    return json.dumps([event.get("ResourceStatusReason", "") for event in events])


def change(path: str, value: object) -> Change:
    return Change("", "name", "alone", "", ((path, value),))


@pytest.mark.e2e
def test_updates_are_answered_without_a_reboot_and_the_alarm_acts_in_the_end(
    aws: Emulator, metadata: Cloud, tmp_path: Path
) -> None:
    """The runner and what it needs are installed for real: this asks the package index."""
    aws.bootstrap(REGION)
    first = version(change("tags", {"team": "red"}).plan, tmp_path / "first")
    script = tmp_path / "user-data.sh"
    template = read(first.assembly / f"{STACK}.template.json")
    script.write_text(user_data(template, template["Resources"]["BoxInstance"]))
    root = tmp_path / "opt"
    for stack in first.where:
        aws.publish(first.assembly, stack)
        aws.create(first.assembly, stack, REGION)
    ssm = aws.client("ssm", REGION)
    until(lambda: ssm.get_parameters(Names=[PARAMETER])["Parameters"])

    done = run(script, root, aws, metadata)

    assert done.returncode == 0, done.stdout
    assert ended(aws, STACK, REGION) == "CREATE_COMPLETE", event_reasons(aws)
    tick = root / "first.py"

    def alarm() -> bool:
        (found,) = aws.client("cloudwatch", REGION).describe_alarms(AlarmNames=["alone.dev.box"])["MetricAlarms"]
        return bool(found["ActionsEnabled"])

    # CloudFormation makes it after the signal, with its actions off.
    done = run(tick, root, aws, metadata)
    assert done.returncode == 0 and alarm(), done.stdout
    assert run(tick, root, aws, metadata).stdout == ""

    def released() -> str:
        return str(ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"])

    def updated(new: Version, *, waits: bool) -> subprocess.CompletedProcess[str]:
        """What the timer's next run says after the stack has been updated to `new`, which `waits` for the instance."""
        before = released()
        aws.publish(new.assembly, STACK)
        aws.update(new.assembly, STACK, REGION)
        if waits:
            until(lambda: released() != before)
        return run(tick, root, aws, metadata)

    tags = version(change("tags", {"team": "blue"}).plan, tmp_path / "tags")
    assert updated(tags, waits=False).stdout == "", "there is nothing to do"
    assert ended(aws, STACK, REGION) == "UPDATE_COMPLETE"
    config = version(change("config", {"LEVEL": "debug"}).plan, tmp_path / "config")
    done = updated(config, waits=True)
    assert "step: install" in done.stdout
    assert "making" not in done.stdout, "the runner is the same"
    assert ended(aws, STACK, REGION) == "UPDATE_COMPLETE", event_reasons(aws)
    logs = aws.client("logs", REGION)
    group = "/factory-cdk/alone/dev/boot.log"
    assert len(logs.describe_log_streams(logGroupName=group)["logStreams"]) >= 2
