# Runs as root on a sector's instance, at every boot: brings the instance to the sector's release and tells
# CloudFormation how that went. Standard library only, Python 3.8 or newer.
#
# The way of a release: the SSM parameter that sector.json names says
#     {"release": digest, "bucket": …, "key": …, "sha256": …, "signal": URL of the wait handle}
# and the object at `key` is the release's manifest, which says
#     {"format": 1, "release": digest, "install": {"key": …, "sha256": …},
#      "bots": {name: {"bundle": {"key": …, "sha256": …}, …}}, …}
# Every bundle is fetched, its SHA-256 checked, and unpacked in bundles/<sha256>/; then the release's install
# script is run. The install script travels with the release and not with the user-data, because EC2 stops an
# instance whose user-data changes and does not run it again.
#
# Credentials come from the instance's metadata and stay in this process: they are in no argument vector, no
# environment, no file, no log line, and neither is the wait handle's URL.
#
# factory_cdk.bootstrap.compact() puts this file into the user-data without its comments, blank lines and
# one-line docstrings, so explanations cost nothing on the instance. Explain here.
#
# ruff: noqa: D100, D101, D103, PTH123, UP

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

# For tests, and honoured only when set; the first two are the AWS tools' own names.
IMDS = (os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254").rstrip("/")
ENDPOINT = (os.environ.get("AWS_ENDPOINT_URL") or "").rstrip("/")
# Seconds for which one request is repeated, and for which all of this may run.
PATIENCE = float(os.environ.get("FACTORY_CDK_PATIENCE") or 120)
LIMIT = float(os.environ.get("FACTORY_CDK_LIMIT") or 3600)
# CloudFormation's quota for the data of a wait condition is 4,096 bytes.
SIGNAL_BYTES = 4096

SECTOR = json.loads((ROOT / "sector.json").read_text())
STATE = {"step": "start"}
LOG = []
SECRETS = set()


# The step in hand cannot be done, and trying again would not help.
class Failure(Exception):
    pass


def say(text):
    """Log `text` in ASCII and without secrets."""
    for secret in SECRETS:
        text = text.replace(secret, "***")
    LOG.append(text.encode("ascii", "backslashreplace").decode())
    print("factory-cdk: " + LOG[-1], flush=True)


def begin(step):
    """Name the step that starts now; a failure is reported under its name."""
    STATE["step"] = step
    say("step: " + step)


# http.client and not urllib: no proxy between us and the metadata, no redirect that takes the signed headers
# elsewhere, and no Content-Type of its own, which would break the wait handle's presigned URL. Of an error's
# body only the code is kept: S3 echoes signed headers, the session token among them.
def request(method, url, headers=(), body=b"", file=None):
    """The body of the answer, or nothing when it was written to `file`; OSError unless it is complete and 200."""
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


# Anything may fail for a while on an instance this young: the network, a role that has not reached every
# service yet (403), a clock not yet set. So everything is tried again, whatever it answered.
def patiently(what, attempt):
    """What `attempt` returns, tried again with growing pauses for PATIENCE seconds."""
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
    """What the instance's metadata service says at `path`; IMDSv2 alone, so a token comes first."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
    token = request("PUT", IMDS + "/latest/api/token", ttl).decode().strip()
    SECRETS.update({token} - {""})
    return request("GET", f"{IMDS}/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token}).decode().strip()


# Asked again for every request, so that they are never stale.
def credentials():
    """The role's AccessKeyId, SecretAccessKey and Token."""
    roles = "iam/security-credentials/"
    keys = json.loads(metadata(roles + metadata(roles)))
    SECRETS.update({keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"]} - {""})
    return keys


# Signature Version 4, the session token signed with the rest.
def signed(method, url, service, headers, body):
    """`headers` with those that authorise the request."""
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


# The domain (amazonaws.com, amazonaws.com.cn, …) is the metadata's, so every partition works.
def read_release():
    """The sector's release as its SSM parameter says it."""
    url = (ENDPOINT or f"https://ssm.{SECTOR['region']}.{STATE['domain']}") + "/"
    body = json.dumps({"Name": SECTOR["release_parameter"]}).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameter"}
    answer = request("POST", url, signed("POST", url, "ssm", headers, body), body)
    release = json.loads(json.loads(answer)["Parameter"]["Value"])
    SECRETS.update({release["signal"]} - {""})
    return release


# Path-style where there is a test endpoint, or where dots in the name would not match S3's certificate.
def fetch(item, path):
    """Save the object of `item` (key, sha256) of the assets bucket as `path`, once its SHA-256 is right."""
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
    """Unpack the zip `archive` in `folder`: files and folders below it, nothing else."""
    with zipfile.ZipFile(archive) as bundle:
        for item in bundle.infolist():
            name, mode = item.filename, item.external_attr >> 16
            outside = name.startswith("/") or "\\" in name or ".." in name.split("/")
            if outside or stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Failure(f"the bundle holds {name!r}, which is outside it or no plain file")
            Path(bundle.extract(item, folder)).chmod(0o700 if item.is_dir() or mode & 0o111 else 0o600)


# Beside, then renamed: the folder of a bundle exists whole or not at all, after a crash too.
def install_bundle(item):
    """The bundle of `item` in a folder named by its SHA-256; nothing to do where that exists."""
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


# The release's manifest becomes release.json, which the runner reads, only when the install has succeeded:
# a failed one leaves what runs alone.
def follow():
    """Bring the instance to its release; what install.sh said last."""
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
    """Run the release's install script; the last lines that it wrote."""
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


# One signal for one wait handle: its URL expires, and CloudFormation listens to the first. So a later boot
# does not repeat it. Only a hash of the URL is kept.
def report(status, reason):
    """Signal the wait handle; True when CloudFormation has been told, now or earlier."""
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
    """The signal as JSON, the middle of a reason that is too long cut out."""
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
    """Log that the step in hand failed, and why."""
    kind = "" if isinstance(error, Failure) else type(error).__name__ + ": "
    say(f"step {STATE['step']!r} failed: {kind}{error}")


# The alarm bounds everything at once: slow answers, many bundles, an install script that hangs.
def main():
    """Bring the instance to its release and report it; the exit status, 0 or 1."""
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
