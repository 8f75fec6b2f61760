"""`python -m factory_cdk.agent ROOT`: the agent of the instance whose files are in ROOT, in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path

from factory_cdk.agent.service import AgentOptions, serve
from factory_cdk.diagnostics import FactoryError


def main(options: AgentOptions | None = None) -> int:
    """Run; the exit code is 0 after an orderly end, 1 for what is said on stderr."""
    if len(sys.argv) != 2:
        print("usage: python -m factory_cdk.agent ROOT", file=sys.stderr)
        return 2
    try:
        serve(Path(sys.argv[1]).absolute(), options or AgentOptions())
    except FactoryError as error:
        print(f"{error.message}\n{error.remedy or ''}".rstrip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
