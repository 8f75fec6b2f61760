"""An AWS for tests: ministack in a process of its own on a free port of this machine, reached by boto3."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from patience import PATIENCE, until
from ports import listens, reserved_port

from factory_cdk.atomic import replace_file

SERVER = Path(__file__).with_name("emulator_server.py")
ACCOUNT = "000000000000"
BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"
TEMPLATE_IN_REQUEST = 51_200
"""Bytes of a template that a request may carry (quotas of AWS CloudFormation, "Template body size in a request")."""


def assets_bucket(region: str) -> str:
    """The bucket of assets that `cdk bootstrap` makes in `region`."""
    return f"cdk-hnb659fds-assets-{ACCOUNT}-{region}"


@cache
def _client(url: str, service: str, region: str) -> Any:
    # Made once: reading the model of a service takes longer than most calls.
    session = boto3.Session("test", "test", region_name=region)
    return session.client(service, endpoint_url=url)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Emulator:
    """A running emulator. `url` is its endpoint; `environment` is what a process needs to reach it. The seconds in the
    file `sqs_clock` are how far the clock of SQS is ahead.
    """

    url: str
    sqs_clock: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put_forward(self, seconds: float) -> None:
        """Let time pass for SQS: leases, delays and retention."""
        replace_file(self.sqs_clock, repr(float(self.sqs_clock.read_text()) + seconds).encode(), durable=False)

    def client(self, service: str, region: str = "eu-west-2") -> Any:
        """A boto3 client of `service`."""
        return _client(self.url, service, region)

    def bootstrap(self, region: str) -> None:
        """Make of `region` what `cdk bootstrap` makes of it, as far as our stacks use it."""
        s3, bucket = self.client("s3", region), assets_bucket(region)
        if bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:  # several tests share an emulator
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
        self.client("ssm", region).put_parameter(Name=BOOTSTRAP_VERSION, Value="21", Type="String", Overwrite=True)

    def publish(self, assembly: Path, stack: str) -> None:
        """Upload the files that `stack` of `assembly` needs."""
        manifest = json.loads((assembly / f"{stack}.assets.json").read_text())
        for file in manifest["files"].values():
            for destination in file["destinations"].values():
                self.client("s3", destination["region"]).put_object(
                    Bucket=destination["bucketName"].replace("${AWS::AccountId}", ACCOUNT),
                    Key=destination["objectKey"],
                    Body=(assembly / file["source"]["path"]).read_bytes(),
                )

    def create(self, assembly: Path, stack: str, region: str) -> None:
        """Start to create `stack` from its template."""
        self.client("cloudformation", region).create_stack(
            StackName=stack,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Tags=_tags(assembly, stack),
            **self.template(assembly, stack, region),
        )

    def update(self, assembly: Path, stack: str, region: str) -> None:
        """Start to update `stack` to its template; ClientError when there is nothing to update."""
        self.client("cloudformation", region).update_stack(
            StackName=stack,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Tags=_tags(assembly, stack),
            **self.template(assembly, stack, region),
        )

    def template(self, assembly: Path, stack: str, region: str) -> dict[str, str]:
        """How CloudFormation is given the template of `stack`: as text, or in the bucket of assets of `region` where it
        is longer than a request may carry; `cdk deploy` does the same.
        """
        text = (assembly / f"{stack}.template.json").read_bytes()
        if len(text) <= TEMPLATE_IN_REQUEST:
            return {"TemplateBody": text.decode()}
        bucket, key = assets_bucket(region), f"{hashlib.sha256(text).hexdigest()}.json"
        self.client("s3", region).put_object(Bucket=bucket, Key=key, Body=text)
        return {"TemplateURL": f"{self.url}/{bucket}/{key}"}

    def status(self, stack: str, region: str) -> str:
        """The status of `stack`; `GONE` when there is none of that name."""
        client = self.client("cloudformation", region)
        try:
            return str(client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        except client.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return "GONE"
            raise

    def signal(self, release_parameter: str, region: str, status: str = "SUCCESS") -> None:
        """Answer the wait handles that a release parameter names, as an instance does that is up and then installs its
        release, or fails to; waits for the parameter.
        """
        client = self.client("ssm", region)

        def release() -> dict[str, str] | None:
            found = client.get_parameters(Names=[release_parameter])["Parameters"]
            return json.loads(found[0]["Value"]) if found else None

        said = until(release)
        self.answer(said.get("booted"), "SUCCESS")
        self.answer(said["signal"], status)

    def answer(self, url: str | None, status: str) -> None:
        """Answer the wait handle of `url`, if there is one."""
        if url is None:
            return
        body = json.dumps({"Status": status, "Reason": "test", "UniqueId": "i-0", "Data": "test"}).encode()
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
        connection.request("PUT", f"{parts.path}?{parts.query}", body)  # urllib would add a Content-Type: unsigned
        assert connection.getresponse().status == 200
        connection.close()


def _tags(assembly: Path, stack: str) -> list[dict[str, str]]:
    """The tags that `stack` gets, which are in the manifest of its assembly alone."""
    manifest = json.loads((assembly / "manifest.json").read_text())
    tags = manifest["artifacts"][stack]["properties"].get("tags", {})
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@contextmanager
def running(folder: Path, *, enforced: bool = False) -> Iterator[Emulator]:
    """An emulator whose log is in `folder`; it ends with the block. With `enforced` IAM decides on every call; who
    signs as `test` may do all.
    """
    log = folder / "emulator.log"

    def answering() -> bool:
        assert process.poll() is None, log.read_text()
        return listens(port)

    sqs_clock = folder / "sqs-clock"
    sqs_clock.write_text("0.0")
    with reserved_port() as port:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "WARNING",
            "SQS_CLOCK": str(sqs_clock),
            "AUTH": "true" if enforced else "false",
        }
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, str(SERVER)], env=environment, stdout=output, stderr=output)
        try:
            until(answering)
        except BaseException:
            process.kill()
            process.wait()
            raise
    try:
        yield Emulator(f"http://localhost:{port}", sqs_clock)
    finally:
        process.kill()  # nothing of it is to be kept, and it may wait long for stacks in progress
        process.wait()
