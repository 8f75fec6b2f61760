"""The start of `factory-cdk`, also as `python -m factory_cdk`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a Ctrl-C while it is still being imported is no traceback either."""
    try:
        from factory_cdk.cli import main as run  # noqa: PLC0415 - importing is what may be interrupted

        run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.__stderr__ or sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
