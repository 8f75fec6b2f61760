"""Draws the Markdown of an example report as a pull request shows it: docs/review.png.

    python tools/picture_of_review.py                                  # the picture of the page
    python tools/picture_of_review.py --example mixed -o /tmp/mixed.png --width 380 --open

Needs Chromium (Debian: apt-get install chromium fonts-noto-color-emoji), which is no dependency of the project.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "review"))

from rendered import by_github  # noqa: E402 - of the tests
from reports import EXAMPLES  # noqa: E402

from factory_cdk.review.formats.markdown import as_markdown  # noqa: E402

STYLE = """
body { margin: 0; padding: 16px; background: #ffffff; color: #1f2328; overflow-wrap: break-word;
       font: 14px/1.5 "Noto Sans", "Liberation Sans", Helvetica, Arial, sans-serif, "Noto Color Emoji"; }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; }
.by { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0; padding: 8px 16px;
      color: #59636e; }
.by b { color: #1f2328; }
.body { padding: 16px; }
.body > :last-child { margin-bottom: 0; }
h3 { font-size: 1.25em; line-height: 1.25; margin: 0 0 16px; }
h4 { font-size: 1em; line-height: 1.25; margin: 24px 0 16px; }
p, ul, table, pre, details { margin: 0 0 16px; }
ul { padding-left: 2em; }
li + li { margin-top: 0.25em; }
code { font: 85%/1.5 "Liberation Mono", Menlo, monospace; background: #818b981f; border-radius: 6px;
       padding: 0.2em 0.4em; white-space: break-spaces; }
pre { background: #f6f8fa; border-radius: 6px; padding: 16px; overflow: auto; }
pre code { background: none; padding: 0; white-space: pre; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0;
        border-collapse: collapse; }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left; }
th { font-weight: 600; }
tr:nth-child(2n) td { background: #f6f8fa; }
summary { cursor: pointer; }
a { color: #0969da; }
"""
"""What GitHub's own stylesheet does to a comment, as far as a report's elements go."""

PAGE = """<!doctype html><meta charset="utf-8"><style>{style}</style>
<div class="comment"><div class="by"><b>github-actions</b> (bot) commented</div><div class="body">{body}</div></div>
"""


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--example", choices=[*EXAMPLES], default="mixed")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "review.png")
    parser.add_argument("--width", type=int, default=780, help="pixels")
    parser.add_argument("--height", type=int, default=1160, help="pixels")
    parser.add_argument("--open", action="store_true", help="with the details open")
    given = parser.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("Chromium is needed (Debian: apt-get install chromium fonts-noto-color-emoji)")
    body = by_github(as_markdown(EXAMPLES[given.example]()))
    if given.open:
        body = body.replace("<details>", "<details open>")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "review.html"
        page.write_text(PAGE.format(style=STYLE, body=body), encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--user-data-dir={folder}/profile", f"--window-size={given.width},{given.height}",
                   f"--screenshot={given.output}", page.as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    print(given.output)


if __name__ == "__main__":
    main()
