"""Reports why there is no cloud assembly: the CDK CLI passes on what an app writes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from factory_cdk.diagnostics import FactoryError, PlanError


@contextmanager
def reported() -> Iterator[None]:
    """Write a FactoryError, or every diagnostic of a plan that is refused, to stderr and exit, without a traceback."""
    try:
        yield
    except PlanError as error:
        for found in error.diagnostics:
            place = f"{found.file}:{found.line}:{found.column}"
            print(f"{place}: {found.severity}[{found.code}]: {found.message}", file=sys.stderr)
            if found.hint:
                print(f"   help: {found.hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    except FactoryError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.remedy:
            print(f"  help: {error.remedy}", file=sys.stderr)
        sys.exit(error.exit_code)
