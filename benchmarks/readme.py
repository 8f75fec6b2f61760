"""Writes what benchmarks measured into the README, between its marks.

    python benchmarks/readme.py NAME=FIGURES.json …

`<!-- figures NAME -->` and `<!-- end -->` in the README enclose the table of the figures in that file, written by a
benchmark's `--json`. The README is left alone when a mark is missing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from figures import as_markdown, machine, read_json

README = Path(__file__).parent.parent / "README.md"


def main() -> None:
    """Replace each table named on the command line."""
    text = README.read_text(encoding="utf-8")
    for argument in sys.argv[1:]:
        name, _, file = argument.partition("=")
        before, mark, rest = text.partition(f"<!-- figures {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not end:
            sys.exit(f"{README} has no place for the figures {name!r}")
        text = f"{before}{mark}{as_markdown(read_json(Path(file)))}\n\n{machine()}.\n{end}{after}"
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
