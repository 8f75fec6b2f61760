# Runs as root on a sector's instance, at every boot and every few seconds after that: runs bootstrap.py of the sector's
# release when there is something to do. Standard library only, Python 3.8 or newer.
#
# FROZEN: this is in the user-data of every instance. EC2 stops an instance whose user-data changes, and does not run it
# again, so a change of this file (or of aws.py) interrupts the jobs of every instance at its next update. A test holds
# its bytes. Whatever may change belongs into bootstrap.py, which travels with the release.
#
# The SSM parameter that sector.json names says
#     {"release": digest, "bucket": …, "key": …, "sha256": …, "booted": URL, "signal": URL, …}
# (the URLs are of wait handles: that this instance is up, and that the release is installed), and the object at `key`
# is the release's manifest, which says
#     {"bootstrap": {"key": …, "sha256": …}, …}
# bootstrap.py is run with what has been read on its standard input. It ends with 0, or with 3 after it has told
# CloudFormation why it failed; it writes `mark` into the file `settled` when nothing is left to do for it.
#
# ruff: noqa: D100, UP

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from aws import (
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
    metadata,
    patiently,
    tell,
    too_long,
    whole_log,
)

BOOT = Path("/proc/sys/kernel/random/boot_id")
TOLD_WHY = 3


# Both in one request, so that following them costs one every time. The gate's parameter may be missing.
def parameters():
    """The values of the parameters of the release and of the gate, by their names."""
    names = [SECTOR["release_parameter"], SECTOR["gate_parameter"]]
    found = ask("ssm", "AmazonSSM.GetParameters", {"Names": names})["Parameters"]
    values = {one["Name"]: one["Value"] for one in found}
    if names[0] not in values:
        raise LookupError("ParameterNotFound")
    return values


# Quiet until there is something to do: most runs find nothing new.
def follow():
    """Bring the instance to its release, unless this boot has done that; the exit status."""
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


# The alarm bounds everything at once; bootstrap.py has one of its own, which comes first.
def main():
    """Follow the release; a failure that bootstrap.py cannot tell is told here. The exit status, 0 or another."""
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
