# Runs as root on a sector's instance, after first.py has fetched it: brings the instance to the sector's release and
# tells CloudFormation how that went. Standard library only, Python 3.8 or newer. It is an asset that the release's
# manifest names, so it may change with every version without an instance being restarted.
#
# Standard input says {"state": what first.py has read, "gate": text or null, "mark": …, "log": […]}. The manifest, in
# next.json, is
#     {"format": 1, "install": {"key": …, "sha256": …}, "runner": {name: {"key": …, "sha256": …}, …},
#      "bots": {name: {"bundle": {"key": …, "sha256": …}, …}}, "logs": {"boot": group, "retention": days}, …}
# The runner's files are fetched into runner-files/, their SHA-256 checked; then the release's install script is run.
# Bundles are for the agent, which fetches, checks and unpacks them itself: here is only seen that each bot has one.
#
# ruff: noqa: D100, PTH123, UP

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from aws import (
    ENDPOINT,
    LIMIT,
    LOG,
    PATIENCE,
    ROOT,
    SECRETS,
    SECTOR,
    STATE,
    Failure,
    ask,
    begin,
    explain,
    fetch,
    patiently,
    request,
    say,
    signed,
    tell,
    too_long,
    whole_log,
)

TOLD_WHY = 3
AGENT = Path("/etc/systemd/system/factory-cdk-agent.service")
BOOT = Path("/proc/sys/kernel/random/boot_id")


# Names come from the manifest, whose SHA-256 the release says; they are plain nevertheless. What is
# there already and right is kept: of a release that changes bots alone, nothing of the runner is fetched again.
def fetch_runner(items):
    """The runner's files in a folder that holds nothing else."""
    folder = ROOT / "runner-files"
    folder.mkdir(exist_ok=True)
    for name in items:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
            raise Failure(f"{name!r} is no name of a file of the runner")
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in items or digest_of(path) != items[path.name]["sha256"]:
            path.unlink()
    for name, item in items.items():
        if not (folder / name).exists():
            fetch(item, folder / name)


def digest_of(path):
    """The SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


# The release's manifest becomes release.json, which the runner reads, only when the install has succeeded:
# a failed one leaves what runs alone. What this boot has installed is not installed again: another signal or a changed
# gate is no other release.
def follow(manifest):
    """Bring the instance to the release of `manifest`; what install.sh said last."""
    begin("manifest")
    if manifest["format"] != 1:
        raise Failure(f"the manifest has format {manifest['format']!r}, this instance reads 1")
    installed, mark = ROOT / "installed.json", [BOOT.read_text(), STATE["release"]["sha256"]]
    if installed.exists():
        before = json.loads(installed.read_text())
        if before["mark"] == mark:
            say("installed before")
            return before["said"]
    for name, bot in manifest["bots"].items():
        if not bot["bundle"]:
            begin("bundle of " + name)
            raise Failure("the bot has no bundle: it was never packed")
    shutil.rmtree(ROOT / "bundles", ignore_errors=True)  # an earlier version unpacked them here, and nobody reads them
    begin("runner")
    fetch_runner(manifest.get("runner", {}))
    begin("install")
    fetch(manifest["install"], ROOT / "install.sh")
    lines = install()
    (ROOT / "next.json").replace(ROOT / "release.json")
    said = lines[-1] if lines else "the install script said nothing"
    installed.write_text(json.dumps({"mark": mark, "said": said}))
    return said


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


# A group beside the stack: that of the sector goes with a stack whose creation fails, and this is why it failed.
def keep_log(logs):
    """Put what has been logged into the stage's log of boots; that it cannot is logged, and no failure."""
    lines, group = list(LOG), logs["boot"]
    stream = f"{SECTOR['sector']}/{STATE['instance']}/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    known = "ResourceAlreadyExistsException"
    try:
        for target, content in (
            ("CreateLogGroup", {"logGroupName": group}),
            ("PutRetentionPolicy", {"logGroupName": group, "retentionInDays": logs["retention"]}),
            ("CreateLogStream", {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                ask("logs", "Logs_20140328." + target, content)
            except OSError as error:
                if known not in str(error):
                    raise
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line or " "} for line in lines]
        content = {"logGroupName": group, "logStreamName": stream, "logEvents": events}
        ask("logs", "Logs_20140328.PutLogEvents", content)
    except Exception as error:
        say(f"the log is only here: {type(error).__name__}: {error}")


# The agent reads it the same way (factory_cdk/agent/gate.py); what neither understands changes nothing.
def is_open(gate):
    """Whether the text of the gate's parameter (None: there is none) lets bots run."""
    if gate is None:
        return True
    said = json.loads(gate)["gate"] if gate.lstrip().startswith("{") else gate.strip()
    if said not in ("run", "stop"):
        raise Failure(f"the gate is {said!r}")
    return said == "run"


# Its template makes the alarm last, and with its actions off: an instance that idles while it installs, before the
# gate opens, or while the stage is stopped, must not be stopped for idling.
def switch_alarm(name, acts):
    """Have the sector's alarm act, or not; False when there is none yet that could."""
    if not name:
        return True
    begin("alarm")

    def call(action):
        url = (ENDPOINT or f"https://monitoring.{SECTOR['region']}.{STATE['domain']}") + "/"
        body = urlencode({"Action": action, "Version": "2010-08-01", "AlarmNames.member.1": name}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        return request("POST", url, signed("POST", url, "monitoring", headers, body), body)

    found = patiently("alarm", lambda: call("DescribeAlarms"))
    if b"<AlarmName>" not in found:
        say("the alarm is not there yet")
        return not acts
    patiently("alarm", lambda: call("EnableAlarmActions" if acts else "DisableAlarmActions"))
    say("the alarm acts" if acts else "the gate is closed: the alarm does not act")
    return True


# That a release is at work is the agent's to tell (factory_cdk/agent), once its bots are loaded; what fails before is
# told here. The alarm bounds everything at once: slow answers, many bundles, an install script that hangs.
def main():
    """Bring the instance to its release and report it; the exit status, 0, 3 (failed, and told) or 1."""
    os.umask(0o077)
    given = json.load(sys.stdin)
    STATE.update(given["state"])
    LOG.extend(given["log"])
    release = STATE["release"]
    SECRETS.update({release["signal"], release.get("booted", "")} - {""})
    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    manifest = {}
    try:
        manifest = json.loads((ROOT / "next.json").read_text())
        status, reason = "SUCCESS", follow(manifest)
    except Exception as error:
        explain(error)
        status, reason = "FAILURE", whole_log()
    signal.setitimer(signal.ITIMER_REAL, 4 * PATIENCE + 30)
    settled = False
    try:
        begin("signal")
        if status == "SUCCESS" and AGENT.exists():
            say("the agent tells when the bots are loaded: " + reason)
        else:
            tell(release["signal"], status, reason)
        acts = is_open(given["gate"])
        # Where this release could not be installed, the one before may be at work, and be stopped.
        settled = switch_alarm(release.get("alarm"), acts) if status == "SUCCESS" or not acts else True
    except Exception as error:
        explain(error)
        status = "FAILURE"
    if manifest.get("logs"):
        keep_log(manifest["logs"])
    if settled:
        (ROOT / "settled").write_text(given["mark"])
    return 0 if status == "SUCCESS" else TOLD_WHY


sys.exit(main())
