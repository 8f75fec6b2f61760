"""End to end against an independent emulator of SSM and S3 (ministack), in a process of its own on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from bootstrap_cloud import ACCESS_KEY, FACTS, SECRET_KEY, SIGNAL_TOKEN, Boot, Cloud, sha256, zipped

from factory_cdk.bootstrap import render_install
from factory_cdk.plan.model import Platform


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
    }
    with (tmp_path / "emulator.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "ministack"], env=env, stdout=log, stderr=log)
    try:
        wait_until_answering(port, process)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_until_answering(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < deadline, "the emulator did not start"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return
        except OSError:
            time.sleep(0.05)


def test_an_instance_follows_the_release_of_an_emulated_region(
    cloud: Cloud, emulator: str, boot: Boot, root: Path
) -> None:
    """IMDS and the wait handle are the test's own; parameters and objects are written and kept by the emulator."""
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name=FACTS.region)
    s3, ssm = (session.client(name, endpoint_url=emulator) for name in ("s3", "ssm"))
    bundle, install = zipped({"bots.py": b"x = 1\n"}), render_install(FACTS, Platform.LINUX).encode()
    manifest = {
        "format": 1,
        "install": {"key": "install/größe +.sh", "sha256": sha256(install)},
        "bots": {"my_bot_2": {"bundle": {"key": "bundle.zip", "sha256": sha256(bundle)}}},
    }
    content = json.dumps(manifest).encode()
    s3.create_bucket(Bucket="assets", CreateBucketConfiguration={"LocationConstraint": FACTS.region})
    for key, body in {"manifest.json": content, "install/größe +.sh": install, "bundle.zip": bundle}.items():
        s3.put_object(Bucket="assets", Key=key, Body=body)
    release = {"release": "r1", "bucket": "assets", "key": "manifest.json", "sha256": sha256(content)}
    value = json.dumps({**release, "signal": f"{cloud.url}/signal?X-Amz-Signature={SIGNAL_TOKEN}"})
    ssm.put_parameter(Name=FACTS.release_parameter, Value=value, Type="String")

    done = boot(patience=30, AWS_ENDPOINT_URL=emulator)

    assert done.returncode == 0, done.stdout
    assert [signal["Status"] for signal in cloud.signals] == ["SUCCESS"]
    assert (root / "bundles" / sha256(bundle) / "bots.py").read_bytes() == b"x = 1\n"
    assert (root / "runner/bin/python").exists()
