# What first.py and bootstrap.py share: the instance's metadata, signed requests, objects by their SHA-256, and the
# signal to a wait handle. Standard library only, Python 3.8 or newer. factory_cdk.bootstrap puts it in front of both;
# with first.py it is frozen in user-data, so a change of this file is a change of first.py (see there).
#
# Credentials come from the instance's metadata and stay in this process: they are in no argument vector, no
# environment, no file, no log line, and neither is the URL of a wait handle.
#
# factory_cdk.bootstrap.compact() takes out comments, blank lines and one-line docstrings, so explanations cost nothing
# on the instance. Explain here.
#
# ruff: noqa: D100, D101, D103, PTH123, UP

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

# For tests, and honoured only when set; the first two are the AWS tools' own names.
IMDS = (os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254").rstrip("/")
ENDPOINT = (os.environ.get("AWS_ENDPOINT_URL") or "").rstrip("/")
# Seconds for which one request is repeated, and for which a release may take to install.
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


# Of the APIs that speak JSON. The domain (amazonaws.com, amazonaws.com.cn, …) is the metadata's, as every partition has
# its own.
def ask(service, target, content):
    """The answer of an API of `service` to a request of `content`."""
    url = (ENDPOINT or f"https://{service}.{SECTOR['region']}.{STATE['domain']}") + "/"
    body = json.dumps(content).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
    return json.loads(request("POST", url, signed("POST", url, service, headers, body), body) or "{}")


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


# One signal for one wait handle: CloudFormation listens to the first. So every URL that was told is remembered, by a
# hash: after a rollback the parameter names an earlier one again, whose URL may have expired (403).
def tell(url, status, reason):
    """Signal the wait handle of `url`, unless it was told before; Failure when it does not take the signal."""
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


def whole_log():
    """Why the step in hand failed, and what was logged before that."""
    return "\n".join([LOG[-1], "The log before that:", *LOG[:-1]])
