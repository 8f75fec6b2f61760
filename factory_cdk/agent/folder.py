"""Where an agent keeps what it needs to go on after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AgentFolder:
    """The folder `home` of an agent; below it are the bundles and environments, too (install/)."""

    home: Path

    @property
    def lock(self) -> Path:
        """Held by the agent as long as it lives."""
        return self.home / "agent.lock"

    @property
    def installed(self) -> Path:
        """The release that the agent starts from (release.py)."""
        return self.home / "installed.json"

    @property
    def previous(self) -> Path:
        """The release that it ran before that one, and could run."""
        return self.home / "previous.json"

    @property
    def install_lock(self) -> Path:
        """Held while a release is installed, and while those that are gone are deleted."""
        return self.home / "install.lock"

    @property
    def signalled(self) -> Path:
        """The wait handles that have been answered (wait_handle.py)."""
        return self.home / "signalled"

    @property
    def archives(self) -> Path:
        """The archives of bundles, by their SHA-256."""
        return self.home / "cache" / "archives"

    @property
    def bytecode(self) -> Path:
        """The compiled files of bots."""
        return self.home / "cache" / "bytecode"

    @property
    def work(self) -> Path:
        """The working folders of bots."""
        return self.home / "work"

    @property
    def users(self) -> Path:
        """The users of bots (users.py)."""
        return self.home / "users.json"

    @property
    def spool(self) -> Path:
        """Log lines that CloudWatch does not have yet."""
        return self.home / "spool"


def agent_folder(root: Path) -> AgentFolder:
    """The agent's own folder on an instance whose files are in `root`."""
    return AgentFolder(root / "agent")
