"""Sorts releases with packaging 25, which refuses names that are no versions; an asynchronous bot."""

import packaging
from packaging.version import InvalidVersion, Version


async def sort(job):
    """Oldest first; names that are no versions are listed apart."""
    versions, others = [], []
    for name in job.payload:
        try:
            versions.append(Version(name))
        except InvalidVersion:
            others.append(name)
    return {"packaging": packaging.__version__, "sorted": [str(one) for one in sorted(versions)], "others": others}
