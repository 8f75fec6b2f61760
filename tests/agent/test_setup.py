"""What root sets up for an agent, judged by systemd's and the kernel's own tools where this machine has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from factory_cdk.agent.setup import rules, unit
from factory_cdk.agent.users import NUMBERS, refuse_without_tools
from factory_cdk.diagnostics import FactoryError

ASK = """
import urllib.request
try:
    print(urllib.request.urlopen("http://169.254.169.254/", timeout=20).status)
except OSError as error:
    print(error)
"""
IN_A_NETWORK_OF_ITS_OWN = """
set -e
ip link set lo up
ip addr add 169.254.169.254/32 dev lo
nft -f "$1"
nft -f "$1"
"$2" -m http.server 80 --bind 169.254.169.254 >/dev/null 2>&1 &
server=$!
until "$2" -c 'import socket; socket.create_connection(("169.254.169.254", 80))' 2>/dev/null; do :; done
shift
python=$1
shift
for user in "$@"; do
    setpriv "--reuid=$user" "--regid=$user" --clear-groups "$python" -c "$ASK"
done
kill $server
"""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("folder", ["plain", "with spaces, $HOME and 100%h"])
def test_systemd_takes_the_unit_and_rates_it_below_five(tmp_path: Path, folder: str) -> None:
    """Wherever the programs are: one that is not where the unit says is an error of `verify`."""
    file, python, nft = tmp_path / "factory-cdk-agent.service", tmp_path / folder / "python", tmp_path / folder / "nft"
    python.parent.mkdir()
    for program in (python, nft):
        program.symlink_to(sys.executable)
    file.write_text(unit(python, str(nft), "1.0"))
    verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", file], capture_output=True, text=True, check=False
    )
    found = re.search(r"exposure level for \S+: ([\d.]+)", rated.stdout)
    assert found, rated.stdout + rated.stderr
    assert float(found[1]) < 5


def test_the_agent_is_ended_last_and_started_always() -> None:
    lines = unit(Path("/python"), "/nft", "1.0").splitlines()
    assert {"Restart=always", "OOMScoreAdjust=-900", "NoNewPrivileges=yes", "User=factory-cdk"} <= {*lines}
    assert unit(Path("/python"), "/nft", "1.0") != unit(Path("/python"), "/nft", "1.1"), "another version begins again"


@pytest.mark.skipif(
    os.getuid() != 0 or not all(map(shutil.which, ("nft", "unshare", "ip", "setpriv"))),
    reason="needs root, nft and iproute2",
)
def test_the_metadata_service_is_closed_to_bots_alone(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(rules())
    users = [0, NUMBERS.start - 1, NUMBERS.start, NUMBERS.stop - 1, NUMBERS.stop]
    done = subprocess.run(
        [
            "unshare",
            "-n",
            "sh",
            "-c",
            IN_A_NETWORK_OF_ITS_OWN,
            "sh",
            tmp_path / "rules",
            "/usr/bin/python3",
            *map(str, users),
        ],
        env={**os.environ, "ASK": ASK},
        capture_output=True,
        text=True,
        check=False,
    )
    refused = "<urlopen error [Errno 111] Connection refused>"
    assert done.stdout.splitlines() == ["200", "200", refused, refused, "200"], done.stderr


def test_without_the_tools_no_bot_is_started_as_somebody_else() -> None:
    with pytest.raises(FactoryError, match="there is no setpriv"):
        refuse_without_tools(lambda tool: None if tool == "setpriv" else f"/usr/bin/{tool}")
