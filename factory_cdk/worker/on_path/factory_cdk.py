"""`from factory_cdk import Bot, Job` in a bot's environment, which need not have factory_cdk installed.

The folder of this file is the last on sys.path, so an installed factory_cdk goes before it. multiprocessing hands
sys.path on to the processes that a bot starts, by any start method (spawn, forkserver, fork), so they find it too.
"""

import os
import sys
import types

PACKAGE = "_factory_cdk_worker"
"""The shim's modules (worker/__main__.py), which only the worker itself has loaded already."""

if PACKAGE not in sys.modules:
    _package = types.ModuleType(PACKAGE)
    _package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]  # noqa: PTH100, PTH120
    sys.modules[PACKAGE] = _package

Bot = __import__(PACKAGE + ".bot", fromlist=["Bot"]).Bot
Job = __import__(PACKAGE + ".job", fromlist=["Job"]).Job

__all__ = ["Bot", "Job"]
