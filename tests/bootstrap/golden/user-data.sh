#!/bin/sh
sector='{"factory": "my_factory_name", "gate_parameter": "/factory-cdk/my-factory-name/dev/ec2_box_1/gate", "log_group": "/factory-cdk/my_factory_name/dev/ec2_box_1", "parameters_path": "/factory-cdk/my-factory-name/dev/ec2_box_1/", "region": "eu-west-2", "release_parameter": "/factory-cdk/my-factory-name/dev/ec2_box_1/release", "sector": "ec2_box_1", "stage": "dev"}'

set -eu
umask 077
root=${FACTORY_CDK_ROOT:-/opt/factory-cdk}

say() {
    echo "factory-cdk: $*" >&2
}

find_python() {
    for name in python3 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8; do
        if python=$(command -v "$name") && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))'; then
            return 0
        fi
    done
    return 1
}

install_python() {
    if command -v dnf >/dev/null; then
        dnf install -y python3
    elif command -v apt-get >/dev/null; then
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 ca-certificates
    else
        say 'there is neither dnf nor apt-get'
        return 1
    fi
}

if ! find_python; then
    say 'step: python'
    if ! install_python >&2 || ! find_python; then
        say "step 'python' failed: no python3 of 3.8 or newer, and it could not be installed; choose an AMI that has one"
        exit 1
    fi
fi

mkdir -p "$root"
printf '%s\n' "$sector" >"$root/sector.json"
cat >"$root/first.py" <<'END_OF_FIRST'
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import time
from pathlib import Path
from urllib.parse import quote, urlsplit
ROOT = Path(__file__).resolve().parent
IMDS = (os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254").rstrip("/")
ENDPOINT = (os.environ.get("AWS_ENDPOINT_URL") or "").rstrip("/")
PATIENCE = float(os.environ.get("FACTORY_CDK_PATIENCE") or 120)
LIMIT = float(os.environ.get("FACTORY_CDK_LIMIT") or 3600)
SIGNAL_BYTES = 4096
SECTOR = json.loads((ROOT / "sector.json").read_text())
STATE = {"step": "start"}
LOG = []
SECRETS = set()
class Failure(Exception):
 pass
def say(text):
 for secret in SECRETS:
  text = text.replace(secret, "***")
 LOG.append(text.encode("ascii", "backslashreplace").decode())
 print("factory-cdk: " + LOG[-1], flush=True)
def begin(step):
 STATE["step"] = step
 say("step: " + step)
def request(method, url, headers=(), body=b"", file=None):
 parts = urlsplit(url)
 kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
 connection = kind(parts.netloc, timeout=20)
 try:
  target = parts.path + ("?" + parts.query if parts.query else "")
  connection.request(method, target, body or None, dict(headers))
  answer = connection.getresponse()
  if answer.status != 200:
   code = re.search(rb'<Code>(\w+)|"__type": ?"([\w.#]+)', answer.read(10000))
   code = (code.group(1) or code.group(2)).decode() if code else answer.reason
   raise OSError(f"answered {answer.status} {code}")
  if file is None:
   return answer.read()
  shutil.copyfileobj(answer, file)
  length = answer.headers["Content-Length"]
  if length and int(length) != file.tell():
   raise OSError(f"broke off after {file.tell()} of {length} bytes")
  return b""
 finally:
  connection.close()
def patiently(what, attempt):
 end, pause = time.monotonic() + PATIENCE, min(1, PATIENCE / 8)
 while True:
  try:
   return attempt()
  except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
   problem = f"{what}: {type(error).__name__}: {error}"
  if time.monotonic() + pause > end:
   raise Failure(problem)
  say(problem + "; trying again")
  time.sleep(pause)
  pause = min(2 * pause, 20)
def metadata(path):
 ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
 token = request("PUT", IMDS + "/latest/api/token", ttl).decode().strip()
 SECRETS.update({token} - {""})
 return request("GET", f"{IMDS}/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token}).decode().strip()
def credentials():
 roles = "iam/security-credentials/"
 keys = json.loads(metadata(roles + metadata(roles)))
 SECRETS.update({keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"]} - {""})
 return keys
def signed(method, url, service, headers, body):
 keys, parts = credentials(), urlsplit(url)
 stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
 digest = hashlib.sha256(body).hexdigest()
 headers = {
  **headers,
  "host": parts.netloc,
  "x-amz-content-sha256": digest,
  "x-amz-date": stamp,
  "x-amz-security-token": keys["Token"],
 }
 names = ";".join(sorted(headers))
 lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
 canonical = "\n".join([method, parts.path, "", *lines, "", names, digest])
 scope = f"{stamp[:8]}/{SECTOR['region']}/{service}/aws4_request"
 text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
 key = ("AWS4" + keys["SecretAccessKey"]).encode()
 for part in [*scope.split("/"), text]:
  key = hmac.new(key, part.encode(), "sha256").digest()
 headers["authorization"] = (
  f"AWS4-HMAC-SHA256 Credential={keys['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
 )
 return headers
def ask(service, target, content):
 url = (ENDPOINT or f"https://{service}.{SECTOR['region']}.{STATE['domain']}") + "/"
 body = json.dumps(content).encode()
 headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
 return json.loads(request("POST", url, signed("POST", url, service, headers, body), body) or "{}")
def fetch(item, path):
 bucket, key = STATE["release"]["bucket"], item["key"]
 host = f"s3.{SECTOR['region']}.{STATE['domain']}"
 style = f"https://{host}/{bucket}" if "." in bucket else f"https://{bucket}.{host}"
 url = (f"{ENDPOINT}/{bucket}" if ENDPOINT else style) + "/" + quote(key, safe="/~")
 def attempt():
  with open(path, "wb") as file:
   request("GET", url, signed("GET", url, "s3", {}, b""), file=file)
 patiently(f"s3://{bucket}/{key}", attempt)
 digest = hashlib.sha256()
 with open(path, "rb") as file:
  for block in iter(lambda: file.read(1 << 20), b""):
   digest.update(block)
 if digest.hexdigest() != item["sha256"]:
  raise Failure(f"s3://{bucket}/{key} has SHA-256 {digest.hexdigest()}, the release says {item['sha256']}")
def tell(url, status, reason):
 told, mark = ROOT / "signalled", hashlib.sha256(url.encode()).hexdigest()
 if told.exists() and mark in told.read_text().split():
  say("signalled before")
  return
 say(status)
 try:
  patiently("wait handle", lambda: request("PUT", url, body=signal_body(status, reason)))
 except Failure as error:
  if "answered 403" not in str(error):
   raise
  say("the wait handle takes no signal any more: its URL has expired")
 with open(told, "a") as file:
  file.write(mark + "\n")
def signal_body(status, reason):
 head, tail = reason[:500], reason[500:]
 content = {"Status": status, "UniqueId": STATE["instance"], "Data": STATE["release"]["release"][:100]}
 while True:
  body = json.dumps({**content, "Reason": head + tail}).encode()
  if len(body) <= SIGNAL_BYTES:
   return body
  tail = "\n...\n" + tail[100:]
def too_long(*_):
 raise Failure(f"not done after {LIMIT:.0f} s")
def explain(error):
 kind = "" if isinstance(error, Failure) else type(error).__name__ + ": "
 say(f"step {STATE['step']!r} failed: {kind}{error}")
def whole_log():
 return "\n".join([LOG[-1], "The log before that:", *LOG[:-1]])
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
BOOT = Path("/proc/sys/kernel/random/boot_id")
TOLD_WHY = 3
def parameters():
 names = [SECTOR["release_parameter"], SECTOR["gate_parameter"]]
 found = ask("ssm", "AmazonSSM.GetParameters", {"Names": names})["Parameters"]
 values = {one["Name"]: one["Value"] for one in found}
 if names[0] not in values:
  raise LookupError("ParameterNotFound")
 return values
def follow():
 STATE["step"] = "instance metadata"
 STATE["instance"] = patiently("instance metadata", lambda: metadata("instance-id"))
 STATE["domain"] = patiently("instance metadata", lambda: metadata("services/domain"))
 STATE["step"] = "release"
 values = patiently(SECTOR["release_parameter"], parameters)
 STATE["release"] = release = json.loads(values[SECTOR["release_parameter"]])
 SECRETS.update({release["signal"], release.get("booted", "")} - {""})
 mark = hashlib.sha256(json.dumps([BOOT.read_text(), values], sort_keys=True).encode()).hexdigest()
 settled = ROOT / "settled"
 if settled.exists() and settled.read_text() == mark:
  return 0
 begin("release")
 if release.get("booted"):
  tell(release["booted"], "SUCCESS", "the instance is up and reads its release")
 begin("manifest")
 fetch(release, ROOT / "next.json")
 begin("bootstrap")
 fetch(json.loads((ROOT / "next.json").read_text())["bootstrap"], ROOT / "bootstrap.py")
 told = {"state": STATE, "gate": values.get(SECTOR["gate_parameter"]), "mark": mark, "log": LOG}
 command = [sys.executable, str(ROOT / "bootstrap.py")]
 status = subprocess.run(command, input=json.dumps(told).encode(), check=False).returncode
 if status not in (0, TOLD_WHY):
  raise Failure(f"bootstrap.py ended with {status}")
 return 1 if status else 0
def main():
 os.umask(0o077)
 signal.signal(signal.SIGALRM, too_long)
 signal.setitimer(signal.ITIMER_REAL, LIMIT + 4 * PATIENCE + 60)
 try:
  return follow()
 except Exception as error:
  explain(error)
  reason = whole_log()
 signal.setitimer(signal.ITIMER_REAL, 2 * PATIENCE + 30)
 try:
  begin("signal")
  if "release" in STATE:
   tell(STATE["release"]["signal"], "FAILURE", reason)
 except Exception as error:
  explain(error)
 return 1
sys.exit(main())
END_OF_FIRST

if [ -n "${FACTORY_CDK_ROOT:-}" ] || ! [ -d /run/systemd/system ]; then
    exec "$python" "$root/first.py"
fi

cat >/etc/systemd/system/factory-cdk.service <<END_OF_UNIT
[Unit]
Description=factory_cdk: bring this instance to its sector's release
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=$python $root/first.py

[Install]
WantedBy=multi-user.target
END_OF_UNIT
cat >/etc/systemd/system/factory-cdk.timer <<END_OF_TIMER
[Unit]
Description=factory_cdk: follow the release of this instance's sector

[Timer]
OnUnitInactiveSec=60s
RandomizedDelaySec=10s
AccuracySec=1s

[Install]
WantedBy=timers.target
END_OF_TIMER
chmod 644 /etc/systemd/system/factory-cdk.service /etc/systemd/system/factory-cdk.timer
systemctl daemon-reload
systemctl enable factory-cdk.service factory-cdk.timer
systemctl start factory-cdk.timer
systemctl start factory-cdk.service
