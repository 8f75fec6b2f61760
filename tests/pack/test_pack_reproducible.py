"""The same sources, packed by two people on two machines: the same digests and archives, bit for bit."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pack_sources import BOT, Repository, at_path, bot, pack_one, wheel, write_files

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
FILES = {
    **BOT,
    "requirements.txt": "lib\n",
    "ünïcode/naïve name.txt": "x",
    "B.txt": "", "a.txt": "", "Z/z": "", "_": "", "run.sh": "#!/bin/sh\n", "empty/.keep": "",
}  # fmt: skip

PACKER = """
import json, os, sys
folder = sys.argv[1]
os.umask(int(sys.argv[2], 8))
sys.path.insert(0, {tests!r})
from pathlib import Path
from pack_sources import at_path, bot, package, plan_of
from factory_cdk.pack import locked_anew, pack
from factory_cdk.pack.lockfile import text_of
from factory_cdk.plan.model import GitSource
home = Path(folder)
bots = [bot(GitSource({url!r}), name="g"), bot(at_path(home / "code"), name="p"), bot(package("lib"), "lib:run", "y")]
plan = plan_of(home, *bots)
report = pack(plan, bots, cache=home / "cache")
report.refuse_failures()
made = {{name: [b.digest, b.archive_sha256, b.lock_digest, b.origin, b.size] for name, b in report.bundles.items()}}
print(json.dumps([made, text_of(locked_anew(plan, report, None))]))
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that another user reaches: pytest closes those of its own to all others, whenever any run begins."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder).resolve()


def packed(python: list[str], source: str, folder: Path, umask: str, env: dict[str, str]) -> object:
    """Pack in a process of its own, and return what it made of it."""
    done = subprocess.run([*python, "-c", source, str(folder), umask], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.slow
def test_another_folder_user_umask_locale_time_zone_order_and_times_change_nothing(
    repository: Repository, index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    wheel(index, "lib")
    repository.commit(FILES, executable=["run.sh"], links={"linked": "run.sh"})
    source = PACKER.format(tests=str(HERE), url=repository.url)
    made = []
    for number, (umask, settings) in enumerate(
        [
            ("022", {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"}),
            ("077", {"LC_ALL": "POSIX", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "2", "PYTHONUTF8": "0"}),
        ]
    ):
        home = tmp_path / f"machine {number}"
        names = list(FILES)
        random.Random(number).shuffle(names)  # noqa: S311 - an order, not a secret
        code = write_files(home / "code", {name: FILES[name] for name in names})
        write_files(home, {".gitconfig": "[safe]\n directory = *\n"})
        (code / "run.sh").chmod(0o755 if number else 0o700)
        (code / "linked").symlink_to("run.sh" if number else code / "run.sh")
        for file in code.rglob("*"):
            os.utime(file, (1e9 + number, 1e9 + number), follow_symlinks=False)
        own = {**env, **settings, "HOME": str(home), "UV_CACHE_DIR": str(home / "uv"), "PYTHONPATH": SITES}
        python = somebody_else(home, own) if number else [sys.executable]
        made.append(packed(python, source, home, umask, own))
    assert made[0] == made[1]


SITES = os.pathsep.join([str(CHECKOUT), *(path for path in sys.path if path.endswith("site-packages"))])


def somebody_else(home: Path, env: dict[str, str]) -> list[str]:
    """The command of a Python that another user runs, who then owns `home`; this user's where that cannot be."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return [sys.executable]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for python in (sys.executable, "/usr/bin/python3"):
        works = "import os, sys, factory_cdk.pack; os.path.realpath(sys.executable, strict=True); os.stat(sys.argv[1])"
        command = [*nobody, python, "-c", works, str(home)]
        if subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0:
            for path in [home, *home.rglob("*")]:
                os.chown(path, 65534, 65534, follow_symlinks=False)
            return [*nobody, python]
    return [sys.executable]


def test_the_archive_of_a_known_tree_is_known(tmp_path: Path, env: dict[str, str]) -> None:
    """Written down, so that another Python, zlib or platform that makes other bytes is noticed."""
    packed_one = pack_one(tmp_path, bot(at_path(write_files(tmp_path / "code", BOT))), env)
    assert packed_one.bundle is not None
    assert packed_one.bundle.digest == "00909b34f797df427c30a11f01193786a697c330537260709a9b8109b2e72b2c"
    assert packed_one.bundle.archive_sha256 == "97c7b3a211291daf8faf87a2faa77e60094ee56f636cdbebabccde7dd5a2cef8"


@pytest.mark.parametrize("change", ["content", "name", "run bit", "requirements"])
def test_what_counts_changes_the_digest(change: str, tmp_path: Path, env: dict[str, str], index: Path) -> None:
    wheel(index, "lib")
    code = write_files(tmp_path / "code", BOT)
    one = bot(at_path(code))
    before = pack_one(tmp_path, one, env).bundle
    if change == "content":
        (code / "bots" / "__init__.py").write_text("\n")
    elif change == "name":
        (code / "bots" / "__init__.py").rename(code / "bots" / "init.py")
    elif change == "run bit":
        (code / "bots" / "__init__.py").chmod(0o755)
    else:
        (code / "requirements.txt").write_text("lib\n")
    after = pack_one(tmp_path, one, env).bundle
    assert before is not None
    assert after is not None
    assert before.digest != after.digest
    assert before.archive_sha256 != after.archive_sha256
