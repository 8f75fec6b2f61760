"""What an account lacks of what a stage needs is told before anything is made, each thing with its remedy."""

from __future__ import annotations

import http.server
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from emulator import BOOTSTRAP_VERSION, Emulator, assets_bucket, running
from patience import PATIENCE
from test_permissions_suffice import keys_of_user

from factory_cdk.deploy.check_rows import CheckRow, State
from factory_cdk.deploy.preflight import refuse_missing
from factory_cdk.deploy.quota_checks import quota_class
from factory_cdk.diagnostics import FactoryError

HOME, AWAY = "eu-west-2", "eu-west-1"
LINUX, WINDOWS = "ami-0123456789abcdef0", "ami-0fedcba9876543210"  # of those that the emulator has
PLAN = """
factory:
  name: FACTORY
  bots:
    cut: {source: {path: code}, bot_path: "bots:run"}
  stages:
    prod:
      north:
        type: aws
        platform: PLATFORM
        region_name: REGION
        parameters: {PARAMETERS}
        bots: {cut: {}}
"""
_numbers = itertools.count(1)


@dataclass
class Looks:
    """A plan in a folder of its own, and the account that it is looked at with."""

    aws: Emulator
    folder: Path
    factory: str
    region: str = HOME
    platform: str = "linux"
    parameters: dict[str, Any] = field(default_factory=lambda: {"ImageId": LINUX, "InstanceType": "t3.micro"})
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, code: int) -> subprocess.CompletedProcess[str]:
        """What a command says."""
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code/bots.py").write_text("def run(payload):\n    return payload\n")
        text = PLAN.replace("FACTORY", self.factory).replace("PLATFORM", self.platform).replace("REGION", self.region)
        text = text.replace("{PARAMETERS}", json.dumps(self.parameters))
        (self.folder / "factory-plan.yml").write_text(text)
        environ = {**os.environ, **self.aws.environment, "FACTORY_CDK_HOME": str(self.folder / "home")}
        done = subprocess.run(
            [sys.executable, "-m", "factory_cdk", *arguments, "--plan", "factory-plan.yml", "--stage", "prod"],
            cwd=self.folder, env={**environ, **self.variables}, capture_output=True, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def rows(self, code: int = 0) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self.run("preflight", "--format", "json", code=code).stdout)
        return found

    def missing(self) -> list[dict[str, str]]:
        """What is missing; each has a remedy."""
        found = [one for one in self.rows(code=1) if one["state"] == "missing"]
        assert all(one["remedy"] for one in found)
        return found

    def the_missing(self, check: str) -> str:
        """What the one thing is that is missing."""
        (one,) = self.missing()
        assert one["check"] == check
        return one["detail"]


@pytest.fixture
def looks(aws: Emulator, tmp_path: Path, worker_id: str) -> Looks:
    for region in (HOME, AWAY):
        aws.bootstrap(region)
    return Looks(aws, tmp_path, f"looked{worker_id.removeprefix('gw')}x{next(_numbers)}")


def state_of(rows: list[dict[str, str]], check: str) -> set[str]:
    return {one["state"] for one in rows if one["check"] == check}


def test_an_account_that_has_all_is_told_so(looks: Looks) -> None:
    rows = looks.rows()
    for check in ("credentials", "bootstrap", "image", "instance type", "subnet"):
        assert state_of(rows, check) == {"ok"}, check
    (permissions,) = [one for one in rows if one["check"] == "permissions"]
    assert permissions["state"] == "unknown" and "root" in permissions["detail"]
    assert state_of(rows, "vCPU quota") == {"unknown"}, "this AWS has no service quotas"
    table = looks.run("preflight", code=0).stdout
    assert "bootstrap" in table and "STATE" in table.upper()


def test_no_credentials_are_all_that_is_told_then(looks: Looks) -> None:
    looks.variables = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(looks.folder)}
    assert "redentials" in looks.the_missing("credentials")


def test_a_region_that_is_not_bootstrapped(looks: Looks) -> None:
    looks.region = "eu-north-1"
    assert "eu-north-1 is not bootstrapped" in looks.the_missing("bootstrap")
    looks.aws.client("ssm", "eu-north-1").put_parameter(Name=BOOTSTRAP_VERSION, Value="3", Type="String")
    details = {one["detail"] for one in looks.missing()}
    assert any("version 3" in one for one in details)
    assert any(assets_bucket("eu-north-1") in one for one in details) or len(details) == 1
    looks.aws.client("ssm", "eu-north-1").delete_parameter(Name=BOOTSTRAP_VERSION)


@pytest.mark.parametrize("image", ["ami-00000000000000000", "resolve:ssm:/no/such/parameter"])
def test_an_image_that_is_not_there(looks: Looks, image: str) -> None:
    looks.parameters["ImageId"] = image
    assert "there is no" in looks.the_missing("image")


def test_an_image_that_a_parameter_names(looks: Looks) -> None:
    ssm = looks.aws.client("ssm", HOME)
    ssm.put_parameter(Name=f"/{looks.factory}/image", Value=LINUX, Type="String")
    looks.parameters["ImageId"] = f"resolve:ssm:/{looks.factory}/image"
    assert state_of(looks.rows(), "image") == {"ok"}


def test_an_image_of_another_platform_and_architecture(looks: Looks) -> None:
    looks.parameters["ImageId"] = WINDOWS
    assert "of windows, the sector of linux" in looks.the_missing("image")
    made = looks.aws.client("ec2", HOME).register_image(
        Name=f"{looks.factory}-arm", Architecture="arm64", RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot(looks)}}],
    )  # fmt: skip
    looks.parameters["ImageId"] = made["ImageId"]
    assert "runs x86_64" in looks.the_missing("instance type")


def snapshot(looks: Looks) -> str:
    ec2 = looks.aws.client("ec2", HOME)
    volume = ec2.create_volume(AvailabilityZone=f"{HOME}a", Size=8)["VolumeId"]
    return str(ec2.create_snapshot(VolumeId=volume)["SnapshotId"])


def test_a_key_pair_that_is_not_there(looks: Looks) -> None:
    looks.parameters["KeyName"] = looks.factory
    assert f"there is no key pair {looks.factory}" in looks.the_missing("key pair")
    looks.aws.client("ec2", HOME).create_key_pair(KeyName=looks.factory)
    assert state_of(looks.rows(), "key pair") == {"ok"}


def test_a_type_that_is_not_offered_there(looks: Looks) -> None:
    looks.parameters["InstanceType"] = "p5.48xlarge"
    assert f"p5.48xlarge is not offered in {HOME}" in looks.the_missing("instance type")


@dataclass(frozen=True)
class Network:
    """A VPC with a subnet and a security group."""

    vpc: str
    subnet: str
    group: str


def network(looks: Looks, block: str = "10.9.0.0/16") -> Network:
    ec2 = looks.aws.client("ec2", HOME)
    vpc = ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=block.replace("/16", "/24"), AvailabilityZone=f"{HOME}b")
    group = ec2.create_security_group(GroupName=f"{looks.factory}{block}", Description="of a test", VpcId=vpc)
    return Network(vpc, subnet["Subnet"]["SubnetId"], group["GroupId"])


def test_subnets_and_security_groups(looks: Looks) -> None:
    here, elsewhere = network(looks), network(looks, "10.8.0.0/16")
    looks.parameters |= {"SubnetId": here.subnet, "SecurityGroupIds": [here.group]}
    rows = looks.rows()
    assert state_of(rows, "subnet") == state_of(rows, "security group") == {"ok"}
    assert any(f"offered in {HOME}b" in one["detail"] for one in rows)
    looks.parameters["SecurityGroupIds"] = [elsewhere.group]
    assert elsewhere.vpc in looks.the_missing("security group")
    looks.parameters["SecurityGroupIds"] = ["sg-00000000000000000"]
    assert "there is no security group" in looks.the_missing("security group")
    looks.parameters |= {"SecurityGroupIds": [here.group], "SubnetId": "subnet-00000000000000000"}
    assert "there is no subnet" in looks.the_missing("subnet")


def test_https_has_to_get_out_or_to_endpoints(looks: Looks) -> None:
    ec2, here = looks.aws.client("ec2", HOME), network(looks)
    looks.parameters |= {"SubnetId": here.subnet, "SecurityGroupIds": [here.group]}
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=here.group, IpPermissions=[everything])
    assert "lets HTTPS out" in looks.the_missing("security group")
    inside = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}
    ec2.authorize_security_group_egress(GroupId=here.group, IpPermissions=[inside])
    assert "no endpoint of logs, s3, sqs, ssm, dynamodb" in looks.the_missing("security group")
    for service in ("logs", "s3", "sqs", "ssm", "dynamodb"):
        ec2.create_vpc_endpoint(VpcId=here.vpc, ServiceName=f"com.amazonaws.{HOME}.{service}")
    assert state_of(looks.rows(), "security group") == {"ok"}


# Permissions


@pytest.fixture
def enforced(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looks]:
    with running(tmp_path_factory.mktemp("emulator"), enforced=True) as emulator:
        emulator.bootstrap(HOME)
        yield Looks(emulator, tmp_path, "may")


@pytest.mark.slow
def test_permissions_are_simulated_and_each_that_is_missing_is_named(enforced: Looks) -> None:
    documents = json.loads(enforced.run("permissions", "--format", "json", code=0).stdout)
    enforced.variables = keys_of_user(enforced.aws, documents)
    rows = enforced.rows()
    simulated = [one for one in rows if one["check"] == "permissions"]
    assert len(simulated) > 15 and {one["state"] for one in simulated} == {"ok"}
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*"}]}
    enforced.aws.client("iam").put_user_policy(UserName="deployer", PolicyName="no", PolicyDocument=json.dumps(deny))
    assert "may not iam:CreateRole" in enforced.the_missing("permissions")
    silent = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:Simulate*", "Resource": "*"}]}
    enforced.aws.client("iam").put_user_policy(UserName="deployer", PolicyName="no", PolicyDocument=json.dumps(silent))
    (told,) = [one for one in enforced.rows() if one["check"] == "permissions"]
    assert told["state"] == "unknown" and "iam:SimulatePrincipalPolicy" in told["remedy"]


@pytest.mark.slow
def test_a_session_is_looked_at_as_its_role(enforced: Looks) -> None:
    iam = enforced.aws.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(RoleName="deploys", Path="/ours/", AssumeRolePolicyDocument=json.dumps(trust))
    documents = json.loads(enforced.run("permissions", "--format", "json", code=0).stdout)
    for number, document in enumerate(documents):
        iam.put_role_policy(RoleName="deploys", PolicyName=f"p{number}", PolicyDocument=json.dumps(document))
    role = iam.get_role(RoleName="deploys")["Role"]["Arn"]
    keys = enforced.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="i-0")["Credentials"]
    enforced.variables = {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    assert state_of(enforced.rows(), "permissions") == {"ok"}


# Quotas, which the emulator has not


@contextmanager
def service_quotas(value: float) -> Iterator[str]:
    """The URL of a service that answers every GetServiceQuota with `value`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"Quota": {"QuotaCode": asked["QuotaCode"], "Value": value}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_vcpus_have_to_fit_into_the_quota(looks: Looks) -> None:
    looks.region = "eu-central-2"  # where no other test runs instances
    looks.aws.bootstrap(looks.region)
    with service_quotas(2) as url:
        looks.variables = {"AWS_ENDPOINT_URL_SERVICE_QUOTAS": url}
        assert state_of(looks.rows(), "vCPU quota") == {"ok"}
        looks.aws.client("ec2", looks.region).run_instances(
            ImageId=LINUX, InstanceType="t3.micro", MinCount=1, MaxCount=1
        )
        assert "2 vCPUs of the stage and 2 of others that run, of 2" in looks.the_missing("vCPU quota")


@pytest.mark.parametrize(
    ("instance_type", "family"),
    [
        ("t3.micro", "standard"),
        ("m7g.large", "standard"),
        ("im4gn.large", "standard"),
        ("g5.xlarge", "g"),
        ("vt1.3xlarge", "g"),
        ("p5.48xlarge", "p"),
        ("inf2.xlarge", "inf"),
        ("trn1.2xlarge", "trn"),
        ("hpc7g.4xlarge", "hpc"),
        ("dl1.24xlarge", "dl"),
        ("x2gd.large", "x"),
    ],
)
def test_the_family_of_a_type(instance_type: str, family: str) -> None:
    assert quota_class(instance_type, spot=False).family == family


# What build does with it


def test_a_build_is_refused_before_anything_is_uploaded(looks: Looks) -> None:
    looks.parameters |= {"KeyName": looks.factory, "ImageId": "ami-00000000000000000"}
    before = objects(looks)
    said = looks.run("build", "--yes", code=1).stderr
    assert "there is no image ami-00000000000000000" in said and f"there is no key pair {looks.factory}" in said
    assert "aws ec2 import-key-pair" in said
    assert objects(looks) == before
    path = f"/factory-cdk/{looks.factory}"
    assert looks.aws.client("ssm", HOME).get_parameters_by_path(Path=path, Recursive=True)["Parameters"] == []


def test_what_is_not_known_is_said_in_one_line_with_what_it_takes() -> None:
    rows = [
        CheckRow("image", HOME, "ami-1", State.UNKNOWN, "these credentials need ec2:DescribeImages", "see there"),
        CheckRow("vCPU quota", AWAY, "standard", State.UNKNOWN, "x:Y in r: Code: a long text"),
        CheckRow("key pair", HOME, "ops", State.MISSING, "there is no key pair ops", "import it", "north"),
    ]
    said: list[str] = []
    with pytest.raises(FactoryError, match="there is no key pair ops") as refused:
        refuse_missing(rows, (), said.append)
    assert refused.value.remedy == "import it" and said == []
    refuse_missing(rows, ("north",), said.append)
    goes_on, unknown = said
    assert "there is no key pair ops; the instance that is there goes on" in goes_on
    assert "image in eu-west-2 (these credentials need ec2:DescribeImages)" in unknown
    assert "vCPU quota in eu-west-1 (x:Y in r: Code)" in unknown
    assert "a long text" not in unknown


def objects(looks: Looks) -> int:
    return int(looks.aws.client("s3", HOME).list_objects_v2(Bucket=assets_bucket(HOME))["KeyCount"])
