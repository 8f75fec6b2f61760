"""Starts the shim by path: `python -I .../factory_cdk/worker/__main__.py FD [PERMITS]`.

FD is the runner's socket and PERMITS the pipe of its permits (permits.py).

The shim's modules are loaded under a private package name, so that neither their names nor their versions can
meet those of the bot, which may have a factory_cdk of its own in its environment.
"""

import os
import sys
import types

PACKAGE = "_factory_cdk_worker"


def main() -> int:
    """Make the private package known and hand over to the shim; returns the exit code."""
    package = types.ModuleType(PACKAGE)
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]  # noqa: PTH100, PTH120
    sys.modules[PACKAGE] = package
    shim = __import__(PACKAGE + ".shim", fromlist=["serve"])
    code: int = shim.serve(*map(int, sys.argv[1:]))
    return code


if __name__ == "__main__":
    sys.exit(main())
