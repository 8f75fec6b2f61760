"""End to end against an independent emulator of SSM and S3 (ministack), in a process of its own on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from bootstrap_cloud import ACCESS_KEY, FACTS, SECRET_KEY, SIGNAL_TOKEN, Boot, Cloud, sha256
from emulator import Emulator
from patience import PATIENCE

from factory_cdk.bootstrap import bootstrap_program
from factory_cdk.plan.model import Platform


@pytest.mark.slow
def test_an_instance_follows_the_release_of_an_emulated_region(
    cloud: Cloud, aws: Emulator, boot: Boot, root: Path
) -> None:
    """IMDS and the wait handle are the test's own; parameters and objects are written and kept by the emulator."""
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name=FACTS.region)
    s3, ssm = (session.client(name, endpoint_url=aws.url) for name in ("s3", "ssm"))
    runner, install = b"a wheel", b"echo installed\n"
    program = bootstrap_program(Platform.LINUX).encode()
    manifest = {
        "format": 1,
        "bootstrap": {"key": "bootstrap.py", "sha256": sha256(program)},
        "install": {"key": "install/größe +.sh", "sha256": sha256(install)},
        "runner": {"runner.whl": {"key": "runner größe +.whl", "sha256": sha256(runner)}},
        "bots": {"my_bot_2": {"bundle": {"key": "bundle.zip", "sha256": "0" * 64}}},
    }
    content = json.dumps(manifest).encode()
    s3.create_bucket(Bucket="assets", CreateBucketConfiguration={"LocationConstraint": FACTS.region})
    files = {"bootstrap.py": program, "manifest.json": content}
    for key, body in {**files, "install/größe +.sh": install, "runner größe +.whl": runner}.items():
        s3.put_object(Bucket="assets", Key=key, Body=body)
    release = {"release": "r1", "bucket": "assets", "key": "manifest.json", "sha256": sha256(content)}
    value = json.dumps({**release, "signal": f"{cloud.url}/signal?X-Amz-Signature={SIGNAL_TOKEN}"})
    ssm.put_parameter(Name=FACTS.release_parameter, Value=value, Type="String")

    done = boot(patience=PATIENCE, AWS_ENDPOINT_URL=aws.url)

    assert done.returncode == 0, done.stdout
    assert [signal["Status"] for signal in cloud.signals] == ["SUCCESS"]
    assert (root / "runner-files/runner.whl").read_bytes() == runner
    assert json.loads((root / "installed.json").read_text())["said"] == "installed"
