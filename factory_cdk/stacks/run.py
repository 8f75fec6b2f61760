"""`python -m factory_cdk.stacks.run app.py [ARGUMENT]…`: a CDK app of one's own, with the Node of the extra `[cdk]`.

For the `app` of a cdk.json. `import aws_cdk` starts a Node, and may come first in the app: so it is chosen before the
app is run. JSII_NODE names another one.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.stacks.node import check_node, choose_node
from factory_cdk.stacks.refusal import reported


def run(app: str, *arguments: str) -> None:
    """Run the Python file `app` as `python app` would. FactoryError without it or without a Node that runs."""
    if not Path(app).is_file():
        raise FactoryError(f"app not found: {app}", "pass the Python file of the app, relative to the current folder")
    choose_node()
    check_node()
    sys.argv = [app, *arguments]
    sys.path[0] = str(Path(app).resolve().parent)
    runpy.run_path(app, run_name="__main__")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print("usage: python -m factory_cdk.stacks.run app.py [ARGUMENT]...", file=sys.stderr)
        sys.exit(2)
    with reported():
        run(*sys.argv[1:])
