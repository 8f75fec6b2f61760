"""The wheel of this package, as an instance installs it: the same bytes on every machine that has the same package.

It is made of the files of the package that is running, whether they come from a wheel or a checkout, without network
and without a build backend. It is not compressed: zlib and zlib-ng write different bytes for one content. It declares
no requirements, because what it needs is locked beside it (`runner_requirements`).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from factory_cdk.bootstrap import scripts_folder
from factory_cdk.diagnostics import FactoryError
from factory_cdk.version import __version__
from factory_cdk.wheels import Target, WheelArchive, archive_from_json

PACKAGE = "factory_cdk"
REQUIREMENTS = "runner_requirements.txt"
"""The base requirements of this package, locked with hashes: `python tools/lock_runner.py` writes it."""
WHEELS = "runner_wheels.json"
"""The wheels of these, an archive for each target: written with them."""

_DIST_INFO = f"{PACKAGE}-{__version__}.dist-info"
_METADATA = f"Metadata-Version: 2.1\nName: factory-cdk\nVersion: {__version__}\nRequires-Python: >=3.11\n"
_WHEEL = f"Wheel-Version: 1.0\nGenerator: {PACKAGE}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_ENTRY_POINTS = "[console_scripts]\nfactory-cdk = factory_cdk.__main__:main\n"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel: `name` is that of its file, `sha256` that of `content` in hex."""

    name: str
    sha256: str
    content: bytes


@cache
def runner_wheel() -> Wheel:
    """The wheel of the package that is running."""
    files = {name: path.read_bytes() for name, path in sorted(_files())}
    files |= {
        f"{_DIST_INFO}/METADATA": _METADATA.encode(),
        f"{_DIST_INFO}/WHEEL": _WHEEL.encode(),
        f"{_DIST_INFO}/entry_points.txt": _ENTRY_POINTS.encode(),
    }
    record = f"{_DIST_INFO}/RECORD"
    lines = [f"{name},{_hash(content)},{len(content)}" for name, content in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            item = zipfile.ZipInfo(name)  # of 1980, whatever the time
            item.external_attr = 0o100644 << 16
            item.create_system = 3  # Unix, on Windows too
            archive.writestr(item, content)
    whole = written.getvalue()
    return Wheel(f"{PACKAGE}-{__version__}-py3-none-any.whl", hashlib.sha256(whole).hexdigest(), whole)


def runner_requirements() -> str:
    """The locked requirements of the runner, as pip and uv read them."""
    return (Path(__file__).parent / REQUIREMENTS).read_text(encoding="utf-8")


def requirement_lines() -> list[str]:
    """The same, one line for each requirement."""
    lines = runner_requirements().replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def runner_wheels(target: Target) -> WheelArchive:
    """The archive of the wheels of `runner_requirements` for `target`. FactoryError where there are none."""
    said = json.loads((Path(__file__).parent / WHEELS).read_text(encoding="utf-8"))
    if str(target) not in said:
        message = f"there are no wheels of the runner for {target}"
        raise FactoryError(message, f"the `python` of an offline sector can be one of these: {', '.join(said)}")
    return archive_from_json(said[str(target)])


def _files() -> Iterator[tuple[str, Path]]:
    """The files of the package by their names in a wheel."""
    package = Path(__file__).parent
    for folder, prefix in ((package, PACKAGE), (scripts_folder(), f"{PACKAGE}/bootstrap_scripts")):
        for path in folder.rglob("*"):
            inner = path.relative_to(folder)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in inner.parts)
            if not hidden and path.suffix != ".pyc" and path.is_file():
                yield f"{prefix}/{inner.as_posix()}", path


def _hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
