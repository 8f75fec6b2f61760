"""What root does for an agent: `python -m factory_cdk.agent.setup ROOT`, at the end of a release's install script.

It makes the agent's user and folder, closes the metadata service to bots, and has systemd run the agent: now, after
every boot, and again whenever it ends. Running it again changes nothing. Where another version of this package was
installed, the agent finishes the jobs in hand, however long that takes, and begins again as the new one.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from factory_cdk.agent.sector import FILE
from factory_cdk.agent.users import NUMBERS
from factory_cdk.atomic import replace_file
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk
from factory_cdk.version import __version__

USER = "factory-cdk"
STATE = Path("/var/lib/factory-cdk")
UNIT = Path("/etc/systemd/system/factory-cdk-agent.service")
RULES = Path("/etc/factory-cdk/metadata.nft")

FINISH = 110
"""Seconds in which jobs in hand are finished when systemd ends the agent; EC2 gives an instance about two minutes."""

CAPABILITIES = "CAP_SETUID CAP_SETGID CAP_KILL CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE"
"""What starting, ending and cleaning up after processes of other users takes."""


def rules() -> str:
    """The nftables rules that close the metadata service, IPv4 and IPv6, to bots."""
    users = f"{NUMBERS.start}-{NUMBERS.stop - 1}"
    return f"""table inet factory_cdk
delete table inet factory_cdk
table inet factory_cdk {{
    chain output {{
        type filter hook output priority 0; policy accept;
        meta skuid {users} ip daddr 169.254.169.254 reject
        meta skuid {users} ip6 daddr fd00:ec2::254 reject
    }}
}}
"""


def _program(path: str) -> str:
    """The program `path` as the first word of a command in a unit (systemd.syntax(7)), in which no variables are
    expanded. Of one with quotes or backslashes in it systemd says that it cannot be.
    """
    word = path.replace("%", "%%")
    return f'"{word}"' if re.search(r"\s", word) else word


def unit(python: Path, nft: str, version: str) -> str:
    """The unit of the agent, whose interpreter is `python`; `version` is what of the package is installed."""
    return f"""[Unit]
Description=factory_cdk: run the bots of this instance's sector
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0
# version {version}

[Service]
ExecStartPre=+{_program(nft)} -f {RULES}
ExecStart={_program(str(python))} -P -m factory_cdk.agent {STATE}
User={USER}
Group={USER}
StateDirectory=factory-cdk
StateDirectoryMode=0711
UMask=0077
Restart=always
RestartSec=5
KillMode=mixed
TimeoutStopSec={FINISH}
OOMScoreAdjust=-900
OOMPolicy=continue
TasksMax=infinity
LimitNOFILE=65536
AmbientCapabilities={CAPABILITIES}
CapabilityBoundingSet={CAPABILITIES}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""


Run = Callable[[Sequence[str]], None]


def run(command: Sequence[str]) -> None:
    """Run `command`. FactoryError with the end of what it said when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise FactoryError(f"{' '.join(command)} ended with {done.returncode}: {said}", "see the instance's console")


def tool(name: str, package: str, which: Callable[[str], str | None] = shutil.which) -> str:
    """The path of the program `name`, of the distribution's `package`, which is installed if need be. FactoryError."""
    managers = {"dnf": ["dnf", "install", "-y", package], "apt-get": ["apt-get", "install", "-y", package]}
    if which(name) is None:
        for manager, command in managers.items():
            if which(manager) is not None:
                run(command)
                break
    found = which(name)
    if found is None:
        raise FactoryError(f"there is no {name}, and it could not be installed", f"choose an image that has {package}")
    return found


def set_up(root: Path, version: str) -> str:
    """Set the agent up on the instance whose files are in `root`; what was done, in words. FactoryError."""
    nft = tool("nft", "nftables")
    for name in ("choom", "setpriv"):
        tool(name, "util-linux")
    _make_user()
    user = pwd.getpwnam(USER)
    with disk(STATE):
        root.chmod(0o711)  # the interpreter is below it
        STATE.mkdir(mode=0o711, exist_ok=True)
        os.chown(STATE, user.pw_uid, user.pw_gid)
        replace_file(STATE / FILE, (root / FILE).read_bytes(), mode=0o444)
        RULES.parent.mkdir(parents=True, exist_ok=True)
        replace_file(RULES, rules().encode(), mode=0o644)
        wanted = unit(Path(sys.executable), nft, version)
        before = UNIT.read_text(encoding="utf-8") if UNIT.exists() else None
        changed = before != wanted
        replace_file(UNIT, wanted.encode(), mode=0o644)
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "enable", UNIT.name])
    if before is not None and changed:  # not `restart`, which gives jobs in hand no more than FINISH seconds
        subprocess.run(["systemctl", "kill", "--kill-who=main", UNIT.name], check=False)  # it may not run
    run(["systemctl", "--no-block", "start", UNIT.name])
    removed = remove_old_runners(root)
    if removed:
        print(f"deleted: {', '.join(removed)}")
    return (
        "the agent begins again once its jobs in hand are done" if before is not None and changed else "the agent runs"
    )


def remove_old_runners(root: Path, proc: Path = Path("/proc")) -> list[str]:
    """Delete the environments of runners in `root`, and the builds of Python that they were made with, but the present
    one, the one before it, to which a rollback leads, and those that a process below `proc` runs from: an agent
    finishes its jobs, however long they take. The names of what was deleted. OSError.
    """
    present = (root / "runner").resolve()
    complete = sorted(root.glob("runner-*/complete"), key=lambda marker: marker.stat().st_mtime, reverse=True)
    before = next((marker.parent for marker in complete if marker.parent.resolve() != present), None)
    kept = {present, before} | {path for path in root.glob("runner-*") if _is_run_from(path, proc)}
    kept.discard(root / "runner-files")
    pythons = "".join((path / "pyvenv.cfg").read_text() for path in kept if path and (path / "pyvenv.cfg").exists())
    gone = [path for path in root.glob("runner-*") if path.name != "runner-files" and path.resolve() not in kept]
    gone += [path for path in root.glob("python-*") if f"{path}/" not in pythons and not _is_run_from(path, proc)]
    for path in gone:
        shutil.rmtree(path)
    return sorted(path.name for path in gone)


def _is_run_from(folder: Path, proc: Path) -> bool:
    """Whether a process has started from a program in `folder`, whatever link led to it, or a script there."""
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            said = (process / "cmdline").read_bytes() + os.fsencode((process / "exe").readlink())
            if f"{folder}/".encode() in said:
                return True
    return False


def _make_user() -> None:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        home = ["--no-create-home", "--home-dir", str(STATE)]
        run(["useradd", "--system", "--user-group", *home, "--shell", "/usr/sbin/nologin", USER])


def main() -> int:
    """Set the agent up; the exit code is 1 for what is said on stderr."""
    try:
        print(set_up(Path(sys.argv[1]).absolute(), __version__))
    except FactoryError as error:
        print(f"{error.message}\n{error.remedy or ''}".rstrip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
