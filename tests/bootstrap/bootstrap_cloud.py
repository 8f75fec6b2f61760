"""What an instance sees of AWS, as one real HTTP server on loopback: IMDSv2, SSM, S3 and a wait handle.

SSM and S3 answer only a request whose Signature Version 4 botocore computes alike, session token signed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import subprocess
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from factory_cdk.bootstrap import SectorFacts, bootstrap_program
from factory_cdk.plan.model import Platform

Done = subprocess.CompletedProcess[str]
Boot = Callable[..., Done]
"""What the `boot` fixture gives: run the user-data, see conftest.py."""

IMDS_TOKEN = "imds-token-AQAEAF7xVq=="
ACCESS_KEY = "ASIATESTTESTTESTTEST"
SECRET_KEY = "secret/key+wJalrXUtnFEMI"
SESSION_TOKEN = "session//token+IQoJb3JpZ2luX2VjE=="
SIGNAL_TOKEN = "presigned-signature-of-the-wait-handle"
SECRETS = (IMDS_TOKEN, ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, SIGNAL_TOKEN)

BUCKET = "cdk-hnb659fds-assets-111111111111-eu-west-2"
RUNNER_FILE, RUNNER = "runner-1.0.whl", b"what an instance installs of the runner"
INSTANCE = "i-0123456789abcdef0"
FACTS = SectorFacts(
    factory="my_factory_name",
    stage="dev",
    sector="ec2_box_1",
    region="eu-west-2",
    release_parameter="/factory-cdk/my-factory-name/dev/ec2_box_1/release",
    gate_parameter="/factory-cdk/my-factory-name/dev/ec2_box_1/gate",
    parameters_path="/factory-cdk/my-factory-name/dev/ec2_box_1/",
    log_group="/factory-cdk/my_factory_name/dev/ec2_box_1",
)


def zipped(files: Mapping[str, bytes], links: Mapping[str, str] | None = None, runnable: str = "") -> bytes:
    """A zip of `files` and symbolic `links`; `runnable` names the file with a run bit."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            item = zipfile.ZipInfo(name)
            item.external_attr = (stat.S_IFREG | (0o755 if name == runnable else 0o644)) << 16
            bundle.writestr(item, data)
        for name, target in (links or {}).items():
            item = zipfile.ZipInfo(name)
            item.external_attr = (stat.S_IFLNK | 0o777) << 16
            bundle.writestr(item, target)
    return content.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Cloud(ThreadingHTTPServer):
    """The server. `faults` holds, by path, the statuses that are answered first; a path in `cut` gets half of
    its body so many times; `imds_v1_only` knows no tokens; `log` is every request as "METHOD path"; `alarms` says
    which alarms act, `logs` what CloudWatch Logs was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.parameters: dict[str, str] = {}
        self.objects: dict[str, bytes] = {}
        self.signals: list[dict[str, Any]] = []
        self.signal_types: list[str | None] = []
        self.faults: dict[str, list[int]] = {}
        self.cut: Counter[str] = Counter()
        self.imds_v1_only = False
        self.alarms: dict[str, bool] = {}
        self.logs: list[tuple[str, Any]] = []
        self.log: list[str] = []
        self.lock = threading.Lock()

    def put(self, key: str, content: bytes) -> dict[str, str]:
        """Put an object into the assets bucket; its key and SHA-256 as a manifest names them."""
        self.objects[f"/{BUCKET}/{key}"] = content
        return {"key": key, "sha256": sha256(content)}

    def release(
        self, bots: Mapping[str, bytes | dict[str, str] | None], install: str = "echo installed\n", **other: Any
    ) -> None:
        """Publish a release of these bundles (bytes are put into the bucket), this install script and, unless `runner`
        says which, one file of the runner.
        """
        bundles = {
            name: self.put(f"bundles/{name}.zip", bundle) if isinstance(bundle, bytes) else bundle
            for name, bundle in bots.items()
        }
        manifest = {
            "format": 1,
            "release": "r" * 64,
            "bootstrap": self.put("bootstrap.py", bootstrap_program(Platform.LINUX).encode()),
            "install": self.put("install/über +&.sh", install.encode()),
            "bots": {name: {"bundle": bundle} for name, bundle in bundles.items()},
            "runner": {RUNNER_FILE: self.put(f"runner/{RUNNER_FILE}", RUNNER)},
            **other,
        }
        item = self.put("releases/manifest.json", json.dumps(manifest).encode())
        self.point_at(item)

    def point_at(self, manifest: Mapping[str, str], signal: str = "/signal", **other: str) -> None:
        """Make the release parameter name this manifest; `other` are its further keys."""
        release = {
            "release": "r" * 64,
            "bucket": BUCKET,
            **manifest,
            "signal": f"{self.url}{signal}?X-Amz-Signature={SIGNAL_TOKEN}",
            **other,
        }
        self.parameters[FACTS.release_parameter] = json.dumps(release)


class _Handler(BaseHTTPRequestHandler):
    server: Cloud
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing: the tests read Cloud.log."""

    def handle_any(self) -> None:
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.log.append(f"{self.command} {path}")
            faults = self.server.faults.get(path, [])
            fault = faults.pop(0) if faults else 0
        if fault:
            self.answer(fault, b"not now")
        elif path.startswith("/latest/"):
            self.answer_metadata(path.removeprefix("/latest/"))
        elif path.startswith("/signal"):
            self.server.signal_types.append(self.headers.get("Content-Type"))
            self.server.signals.append({**json.loads(body), "size": len(body)})
            self.answer(200)
        elif not self.is_signed(body):
            # S3 echoes what it was sent, the session token among it.
            self.answer(403, f"<Code>SignatureDoesNotMatch</Code><Request>{self.headers}</Request>".encode())
        elif self.command == "POST":
            self.answer_api(body)
        elif unquote(path) in self.server.objects:
            cut = self.server.cut[path] > 0
            self.server.cut[path] -= cut
            self.answer(200, self.server.objects[unquote(path)], cut=cut)
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_PUT = do_POST = handle_any  # noqa: N815 -- the names that http.server looks for

    def answer(self, status: int, body: bytes = b"", *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = True

    def answer_metadata(self, path: str) -> None:
        if self.server.imds_v1_only and self.command == "PUT":
            self.answer(405)
        elif (self.command, path) == ("PUT", "api/token"):
            wanted = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            self.answer(200 if wanted else 400, IMDS_TOKEN.encode())
        elif self.headers.get("X-aws-ec2-metadata-token") != IMDS_TOKEN and not self.server.imds_v1_only:
            self.answer(401)
        else:
            keys = {"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": SESSION_TOKEN}
            known = {
                "meta-data/instance-id": INSTANCE,
                "meta-data/services/domain": "amazonaws.com",
                "meta-data/iam/security-credentials/": "sector-role",
                "meta-data/iam/security-credentials/sector-role": json.dumps({"Code": "Success", **keys}),
            }
            self.answer(200 if path in known else 404, known.get(path, "").encode())

    def is_signed(self, body: bytes) -> bool:
        """Whether botocore signs this request with the same signature, and every header that matters is in it."""
        match = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([\w-]+)/(\w+)/aws4_request, "
            r"SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})",
            self.headers.get("Authorization") or "",
        )
        if not match:
            return False
        access_key, day, region, service, names, signature = match.groups()
        headers = {name: self.headers[name] for name in names.split(";")}
        request = AWSRequest(self.command, self.server.url + self.path, headers=headers, data=body)
        request.context["timestamp"] = headers["x-amz-date"]
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(
            Credentials(ACCESS_KEY, SECRET_KEY, SESSION_TOKEN), service, region
        )
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return (
            signature == expected
            and access_key == ACCESS_KEY
            and region == FACTS.region
            and headers["x-amz-date"].startswith(day)
            and headers["x-amz-security-token"] == SESSION_TOKEN
            and headers["x-amz-content-sha256"] == sha256(body)
            and {"host", "x-amz-date"} <= set(headers)
        )

    def answer_api(self, body: bytes) -> None:
        target, kind = self.headers["X-Amz-Target"] or "", self.headers["Content-Type"]
        if kind == "application/x-www-form-urlencoded; charset=utf-8":
            self.answer_cloudwatch({key: value for key, (value,) in parse_qs(body.decode()).items()})
        elif kind != "application/x-amz-json-1.1":
            self.answer(400, b'{"__type":"UnknownOperationException"}')
        elif target == "AmazonSSM.GetParameters":
            known = self.server.parameters
            names = json.loads(body)["Names"]
            found = [{"Name": name, "Value": known[name]} for name in names if name in known]
            missing = [name for name in names if name not in known]
            self.answer(200, json.dumps({"Parameters": found, "InvalidParameters": missing}).encode())
        elif target.startswith("Logs_20140328."):
            self.server.logs.append((target.partition(".")[2], json.loads(body)))
            self.answer(200)
        else:
            self.answer(400, b'{"__type":"UnknownOperationException"}')

    def answer_cloudwatch(self, asked: Mapping[str, str]) -> None:
        name, alarms = asked["AlarmNames.member.1"], self.server.alarms
        if asked["Action"] in ("EnableAlarmActions", "DisableAlarmActions") and name in alarms:
            alarms[name] = asked["Action"] == "EnableAlarmActions"
        self.answer(200, f"<AlarmName>{name}</AlarmName>".encode() if name in alarms else b"<MetricAlarms/>")
