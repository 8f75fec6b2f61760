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
cat >"$root/bootstrap.py" <<'END_OF_BOOTSTRAP'
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
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
def read_release():
 url = (ENDPOINT or f"https://ssm.{SECTOR['region']}.{STATE['domain']}") + "/"
 body = json.dumps({"Name": SECTOR["release_parameter"]}).encode()
 headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameter"}
 answer = request("POST", url, signed("POST", url, "ssm", headers, body), body)
 release = json.loads(json.loads(answer)["Parameter"]["Value"])
 SECRETS.update({release["signal"]} - {""})
 return release
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
def unpack(archive, folder):
 with zipfile.ZipFile(archive) as bundle:
  for item in bundle.infolist():
   name, mode = item.filename, item.external_attr >> 16
   outside = name.startswith("/") or "\\" in name or ".." in name.split("/")
   if outside or stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
    raise Failure(f"the bundle holds {name!r}, which is outside it or no plain file")
   Path(bundle.extract(item, folder)).chmod(0o700 if item.is_dir() or mode & 0o111 else 0o600)
def install_bundle(item):
 if not item:
  raise Failure("the bot has no bundle: it was never packed")
 if not re.fullmatch("[0-9a-f]{64}", item["sha256"]):
  raise Failure(f"{item['sha256']!r} is no SHA-256")
 bundles = ROOT / "bundles"
 if not (bundles / item["sha256"]).is_dir():
  bundles.mkdir(exist_ok=True)
  with tempfile.TemporaryDirectory(dir=bundles, prefix=".") as beside:
   archive, tree = Path(beside, "zip"), Path(beside, "tree")
   tree.mkdir()
   fetch(item, archive)
   unpack(archive, tree)
   os.sync()
   tree.rename(bundles / item["sha256"])
def follow():
 begin("instance metadata")
 STATE["instance"] = patiently("instance metadata", lambda: metadata("instance-id"))
 STATE["domain"] = patiently("instance metadata", lambda: metadata("services/domain"))
 begin("release")
 STATE["release"] = release = patiently(SECTOR["release_parameter"], read_release)
 for leftover in ROOT.glob("bundles/.*"):
  shutil.rmtree(leftover)
 begin("manifest")
 fetch(release, ROOT / "next.json")
 manifest = json.loads((ROOT / "next.json").read_text())
 if manifest["format"] != 1:
  raise Failure(f"the manifest has format {manifest['format']!r}, this instance reads 1")
 for name, bot in manifest["bots"].items():
  begin("bundle of " + name)
  install_bundle(bot["bundle"])
 begin("install")
 fetch(manifest["install"], ROOT / "install.sh")
 lines = install()
 (ROOT / "next.json").replace(ROOT / "release.json")
 return lines[-1] if lines else "the install script said nothing"
def install():
 path = ROOT / "install.log"
 env = {**os.environ, "FACTORY_CDK_ROOT": str(ROOT), "FACTORY_CDK_PYTHON": sys.executable}
 command = ["/bin/sh", str(ROOT / "install.sh")]
 with open(path, "wb") as log:
  status = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
 lines = path.read_text(errors="replace").splitlines()[-40:]
 for line in lines:
  say(line)
 if status:
  raise Failure(f"the install script ended with {status}")
 return lines
def report(status, reason):
 begin("signal")
 release = STATE.get("release")
 if not release:
  say("no release was read, so there is no wait handle to signal")
  return False
 told, mark = ROOT / "signalled", hashlib.sha256(release["signal"].encode()).hexdigest()
 if told.exists() and told.read_text() == mark:
  say("signalled before")
  return True
 say(status)
 patiently("wait handle", lambda: request("PUT", release["signal"], body=signal_body(status, reason)))
 told.write_text(mark)
 return True
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
def main():
 os.umask(0o077)
 signal.signal(signal.SIGALRM, too_long)
 signal.setitimer(signal.ITIMER_REAL, LIMIT)
 try:
  status, reason = "SUCCESS", follow()
 except Exception as error:
  explain(error)
  status, reason = "FAILURE", "\n".join([LOG[-1], "The log before that:", *LOG[:-1]])
 signal.setitimer(signal.ITIMER_REAL, 2 * PATIENCE + 30)
 try:
  told = report(status, reason)
 except Exception as error:
  explain(error)
  told = False
 return 0 if told and status == "SUCCESS" else 1
sys.exit(main())
END_OF_BOOTSTRAP

if [ -n "${FACTORY_CDK_ROOT:-}" ] || ! [ -d /run/systemd/system ]; then
    exec "$python" "$root/bootstrap.py"
fi

cat >/etc/systemd/system/factory-cdk.service <<END_OF_UNIT
[Unit]
Description=factory_cdk: bring this instance to its sector's release
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=$python $root/bootstrap.py

[Install]
WantedBy=multi-user.target
END_OF_UNIT
chmod 644 /etc/systemd/system/factory-cdk.service
systemctl daemon-reload
systemctl enable factory-cdk.service
systemctl start factory-cdk.service
