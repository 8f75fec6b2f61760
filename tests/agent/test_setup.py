"""What root sets up for an agent, judged by systemd's and the kernel's own tools where this machine has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from factory_cdk.agent.setup import remove_old_runners, rules, unit
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


def a_runner(root: Path, name: str, age: int, python: str = "") -> Path:
    """The environment of a runner that was made so many seconds ago, perhaps with a build of Python."""
    folder = root / f"runner-{name}"
    folder.mkdir()
    (folder / "complete").touch()
    os.utime(folder / "complete", (1_000_000 - age, 1_000_000 - age))
    home = root / f"python-{python}" / "python" / "bin" if python else Path("/usr/bin")
    if python:
        home.mkdir(parents=True, exist_ok=True)
    (folder / "pyvenv.cfg").write_text(f"home = {home}\n")
    return folder


def test_runners_go_but_the_present_one_the_one_before_and_those_that_are_at_work(tmp_path: Path) -> None:
    root, proc = tmp_path / "opt", tmp_path / "proc"
    root.mkdir()
    (root / "runner-files").mkdir()
    for name, age, python in (("a", 40, "1"), ("b", 30, "1"), ("c", 20, "2"), ("d", 10, "3")):
        a_runner(root, name, age, python)
    (root / "runner-half").mkdir()  # of a release whose installation failed
    (root / "runner").symlink_to(root / "runner-d")
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "exe").symlink_to("/usr/bin/python3")
    (proc / "7" / "cmdline").write_bytes(f"{root}/runner-a/bin/python\0-P\0-m\0factory_cdk.agent\0".encode())

    assert remove_old_runners(root, proc) == ["runner-b", "runner-half"]
    (proc / "7" / "cmdline").write_bytes(b"/var/lib/factory-cdk/agent/environments/0123/bin/python\0")
    (proc / "7" / "exe").unlink()
    (proc / "7" / "exe").symlink_to(root / "python-1" / "python" / "bin" / "python3.12")  # a worker of long ago
    assert remove_old_runners(root, proc) == ["runner-a"]
    (proc / "7" / "exe").unlink()
    assert remove_old_runners(root, proc) == ["python-1"]
    assert remove_old_runners(root, proc) == []
    assert sorted(path.name for path in root.iterdir()) == [
        "python-2", "python-3", "runner", "runner-c", "runner-d", "runner-files"
    ]  # fmt: skip


def test_a_process_that_runs_from_a_runner_is_seen(tmp_path: Path) -> None:
    runner = a_runner(tmp_path, "a", 30)
    for name, age in (("b", 20), ("c", 10)):
        a_runner(tmp_path, name, age)
    (tmp_path / "runner").symlink_to(tmp_path / "runner-c")
    (runner / "wait.py").write_text("import sys\nprint('here', flush=True)\nsys.stdin.read()\n")
    command = [sys.executable, str(runner / "wait.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "here\n"
        assert remove_old_runners(tmp_path) == []
        process.communicate()
    assert remove_old_runners(tmp_path) == ["runner-a"]
