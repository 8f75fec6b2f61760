from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootstrap_cloud import FACTS, SECRETS, Boot, Cloud, Done
from patience import PATIENCE

from factory_cdk.bootstrap import render_user_data
from factory_cdk.plan.model import Platform


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    server = Cloud()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where /opt/factory-cdk is for an instance under test."""
    return tmp_path / "opt"


@pytest.fixture
def boot(cloud: Cloud, root: Path, tmp_path: Path) -> Boot:
    """Run the rendered user-data as cloud-init would.

    `around` is the command, "{}" in it the script. Every secret must stay out of its log, its signals and its files
    (all but those that a test exempts).
    """

    def run(
        patience: float = 0.2,
        exempt: frozenset[str] = frozenset(),
        around: tuple[str, ...] = ("sh", "{}"),
        **variables: str,
    ) -> Done:
        script = tmp_path / "user-data"
        script.write_text(render_user_data(FACTS, Platform.LINUX))
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "FACTORY_CDK_ROOT": str(root),
            "FACTORY_CDK_PATIENCE": str(patience),
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url,
            **variables,
        }
        command = [str(script) if part == "{}" else part for part in around]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        done = subprocess.run(command, env=env, text=True, timeout=PATIENCE, check=False, **output)
        files = [path for path in root.rglob("*") if path.is_file() and path.name not in exempt]
        kept = [done.stdout, *map(str, cloud.signals), *(path.read_text(errors="replace") for path in files)]
        assert not [secret for secret in SECRETS for text in kept if secret in text]
        return done

    return run
