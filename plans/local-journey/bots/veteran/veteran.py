"""Sorts releases with packaging 21.3, the last one that takes any name for a version."""

import packaging
from packaging.version import parse


def sort(releases):
    """Oldest first; names that are no versions come before all others."""
    return {"packaging": packaging.__version__, "sorted": sorted(releases, key=parse)}
