"""Prints a digest of the examples that a property of plans is tried on: drawn_examples.py [--as-is] [MODULE…]

The MODULEs are loaded before. `--as-is`: as Hypothesis draws them without `repeatable`.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from typing import Any

from generated_plans import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from repeatable import load_profile
from written_plans import written_plans

if "--as-is" in sys.argv:
    settings.register_profile("as is", derandomize=True, deadline=None)
    settings.load_profile("as is")
else:
    load_profile()

drawn = hashlib.sha256()


@examples(20)
@given(written_plans(), st.tuples(st.integers(0, 2**32), st.text(), st.floats(), st.binary()))
def draw(case: tuple[dict[str, Any], str], scalars: tuple[object, ...]) -> None:
    drawn.update(repr((case[1], scalars)).encode())


if __name__ == "__main__":
    for module in sys.argv[1:]:
        if not module.startswith("-"):
            importlib.import_module(module)
    draw()
    print(drawn.hexdigest())
