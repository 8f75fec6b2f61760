"""Remotes as they are in the world: git daemon, ssh with a key, http that wants a password, and PyPI."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pack_sources import (
    BOT,
    Repository,
    bot,
    git,
    leftovers,
    names,
    pack_all,
    pack_one,
    package,
    refusal,
)
from patience import PATIENCE, until
from ports import listens, reserved_port

from factory_cdk.plan.model import GitSource

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
REPOSITORY = "my-bots-repo"


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(PATIENCE)


@pytest.fixture
def daemon(repository: Repository) -> Iterator[str]:
    """The address of a git daemon on loopback that serves `repository`."""
    helper = Path(git(repository.folder, "--exec-path"), "git-daemon")
    if not helper.exists():
        pytest.skip("git daemon is not installed")
    with reserved_port() as port:
        process = subprocess.Popen(
            [helper, "--listen=127.0.0.1", f"--port={port}", "--export-all", "--reuseaddr",
             f"--base-path={repository.folder.parent}", str(repository.folder.parent)],
            env={"PATH": os.environ["PATH"], "HOME": str(repository.folder.parent)},
        )  # fmt: skip
        until(lambda: listens(port))
    yield f"git://127.0.0.1:{port}/{repository.folder.name}"
    ended(process)


def test_a_bot_comes_from_a_git_daemon(
    daemon: str, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    commit = repository.commit(BOT)
    repository.commit({"later.py": ""})
    by_branch, by_commit = pack_all(
        tmp_path,
        [bot(GitSource(daemon), None, "head", command=("x",)), bot(GitSource(daemon, commit), name="commit")],  # type: ignore[arg-type]
        env,
    ).bots
    assert names(by_branch) == ["later.py"]
    assert names(by_commit) == sorted(BOT)
    said = refusal(pack_one(tmp_path, bot(GitSource(f"{daemon}x")), env))
    assert "git says" in said


def test_a_remote_that_is_not_there_is_told_at_once(tmp_path: Path, env: dict[str, str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        said = refusal(pack_one(tmp_path, bot(GitSource(f"git://127.0.0.1:{nobody.getsockname()[1]}/x")), env))
    assert "unable to connect" in said
    assert leftovers(tmp_path / "cache") == []


@dataclass(frozen=True)
class Ssh:
    """An ssh server on loopback: its host alias, the user's key, and the command that reaches it."""

    url: str
    command: str
    key: Path
    known_hosts: Path


@pytest.fixture
def ssh(repository: Repository, tmp_path: Path) -> Iterator[Ssh]:
    """An sshd of this user on a free port that lets one key in; `git@bot-host` is its address."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed (Debian: openssh-server, openssh-client)")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with reserved_port() as port:
        (folder / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin prohibit-password\nUsePAM no\nSetEnv PATH={os.environ['PATH']}\n"
        )
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL)
        until(lambda: listens(port))
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    me = pwd.getpwuid(os.geteuid()).pw_name
    (folder / "config").write_text(
        f"Host bot-host\n HostName 127.0.0.1\n Port {port}\n User {me}\n IdentityFile {folder}/user\n"
        f" IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile {known}\n GlobalKnownHostsFile /dev/null\n"
    )
    git(repository.folder, "config", "safe.directory", "*")
    yield Ssh(f"{me}@bot-host:{repository.folder}", f"ssh -F {folder}/config", folder / "user", known)
    ended(process)


def test_a_bot_comes_over_ssh_with_the_users_key(
    ssh: Ssh, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    commit = repository.commit(BOT)
    keyed = {**env, "GIT_SSH_COMMAND": ssh.command}
    user, _, rest = ssh.url.partition("@")
    without_colon = f"{user}@{rest.replace(':/', '/', 1)}"
    for number, url in enumerate((ssh.url, without_colon, f"ssh://{without_colon}")):
        packed = pack_one(tmp_path / str(number), bot(GitSource(url)), keyed)
        assert names(packed) == sorted(BOT)
        assert packed.bundle is not None
        assert packed.bundle.origin == f"{url}@{commit}"


def test_without_the_key_ssh_refuses_at_once_instead_of_asking(
    ssh: Ssh, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    ssh.key.unlink()
    said = refusal(pack_one(tmp_path, bot(GitSource(ssh.url)), {**env, "GIT_SSH_COMMAND": ssh.command}))
    assert "Permission denied" in said
    assert "ssh-add" in said


def test_an_unknown_host_is_refused_at_once_instead_of_asking(
    ssh: Ssh, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    ssh.known_hosts.write_text("")
    said = refusal(pack_one(tmp_path, bot(GitSource(ssh.url)), {**env, "GIT_SSH_COMMAND": ssh.command}))
    assert "Host key verification failed" in said
    assert "ssh bot-host" in said


class _Locked(BaseHTTPRequestHandler):
    """A git host that wants to know who asks."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_host_that_wants_a_password_is_not_waited_for(tmp_path: Path, env: dict[str, str]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Locked)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/private.git"
        said = refusal(pack_one(tmp_path, bot(GitSource(url)), env))
        assert "terminal prompts disabled" in said
        assert "credential helper" in said
        helper = "!f() { echo username=u; echo password=hunter2hunter2; }; f"
        Path(env["HOME"], ".gitconfig").write_text(f'[credential]\n helper = "{helper}"\n')
        said = refusal(pack_one(tmp_path, bot(GitSource(url)), env))
        assert "Authentication failed" in said
        assert "hunter2" not in said
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


OF_THE_INDEX = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "HTTPS_PROXY")


@pytest.mark.network
def test_small_packages_of_pypi_are_locked_for_every_platform(tmp_path: Path, env: dict[str, str]) -> None:
    online = {name: value for name, value in env.items() if not name.startswith("PIP_")}
    online |= {name: os.environ[name] for name in OF_THE_INDEX if name in os.environ}
    bots = [bot(package("click", "8.1.8"), "click:command", "c"), bot(package("markupsafe"), "markupsafe:escape", "m")]
    report = pack_all(tmp_path, bots, {**online, "PIP_CONFIG_FILE": os.devnull})
    if any("check the network" in str(error.remedy) for _, error in report.failures):
        pytest.skip("no index can be reached from here")
    report.refuse_failures()
    click, safe = (report.bundles[name].requirements for name in "cm")
    assert click[0].startswith("click==8.1.8 --hash=sha256:")
    assert click[1].startswith("colorama==")
    assert "; sys_platform == 'win32' --hash" in click[1]
    assert safe[0].count("--hash=sha256:") > 20, "the wheels of every platform"
