"""`python -m factory_cdk.cli.each_plan validate|lint [OPTION…] FILE…`: a command for each plan that is named, as
pre-commit names them. `lint` checks every stage unless `--stage` says which.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence

from factory_cdk.plan.load import load_plan

_PLANS = (".yml", ".yaml")


def run(arguments: Sequence[str]) -> int:
    """Run the command for every plan; the exit code is the highest of them."""
    rest = arguments[1:]
    first = len(rest)
    while first and rest[first - 1].endswith(_PLANS):
        first -= 1
    if not rest[first:]:
        print("usage: python -m factory_cdk.cli.each_plan validate|lint [OPTION…] FILE.yml…", file=sys.stderr)
        return 2
    calls = [call for plan in rest[first:] for call in _calls(arguments[0], rest[:first], plan)]
    codes = [subprocess.run([sys.executable, "-m", "factory_cdk", *call], check=False).returncode for call in calls]
    return max(codes, default=0)


def _calls(command: str, options: Sequence[str], plan: str) -> Iterator[list[str]]:
    """The arguments of each call of factory-cdk for one plan."""
    if command != "lint" or any(one == "--stage" or one.startswith("--stage=") for one in options):
        yield [command, f"--plan={plan}", *options]
        return
    loaded = load_plan(plan).plan
    if loaded is None:
        yield ["validate", f"--plan={plan}"]  # a plan that is refused has no stages: this says why
        return
    for stage in loaded.stages:
        yield [command, f"--plan={plan}", f"--stage={stage}", *options]


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
