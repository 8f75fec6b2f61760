"""How far a source's requirements reach: to package indexes and git, and not into the machine that packs.

uv fills `${NAME}` in from the environment wherever an address stands, reads files that are included by address, builds
folders that are named by path, and takes settings from the source's own uv.toml and pyproject.toml. Whoever writes a
bot would thereby be told the secrets of whoever packs it, or write where they like, without one line of code being run.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.requirements.outside import AROUND
from factory_cdk.plan.tokens import token_in

_CREDENTIALS = re.compile(r"(?!(?:git\+)?ssh://[^/\s:@]*@)[a-z+]+://[^/\s]*@", re.IGNORECASE)
"""A url with a user or a password; the user of ssh alone is no secret."""
_VARIABLE = re.compile(r"\$\{(?!PROJECT_ROOT\})\w+\}")
_FOLDER = re.compile(
    r"(?P<editable>(?:-e|--editable)(?:\s*=\s*|\s+|(?=\S)))?(?P<name>[A-Za-z0-9][\w.-]*(?:\s*\[[^\]]*\])?\s*@\s*)?"
    r"(?P<place>[^\s@-]\S*)"
)
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[\w.-]+@")
_EXTRAS = re.compile(r"\[[^\]]*\]$")
ARCHIVES = (".whl", ".tar.gz", ".zip")
_FILE = re.compile(r"file:(?://(?:localhost(?=/))?)?", re.IGNORECASE)

_CONFIGURATIONS = ("/uv.toml", "/pyproject.toml")

REFUSED = frozenset(
    {
        "cache-dir",
        "keyring-provider",
        "allow-insecure-host",
        "http-proxy",
        "https-proxy",
        "no-proxy",
        "python-install-mirror",
        "pypy-install-mirror",
        "python-downloads-json-url",
    }
)
"""Settings of uv (https://docs.astral.sh/uv/reference/settings/) that are about the machine and not about the code."""

REFUSED_OF_PIP = frozenset(
    {"target", "prefix", "python", "system", "break-system-packages", "output-file", "keyring-provider",
     "allow-insecure-host", "verify-hashes", "no-verify-hashes", "require-hashes"}
)  # fmt: skip
"""Settings of `uv pip` that decide where it writes, and what it verifies."""


def check_requirement(path: str, line: str, subdirectory: str | None = None) -> None:
    """FactoryError when a line of the requirements file `path` holds credentials, asks for variables of this machine,
    or names a folder or a file outside of the source, whose `subdirectory` such a name starts from.
    """
    _refuse_credentials(path, line)
    _refuse_variables(path, line)
    place = local_place(line)
    if place is not None and leaves(place, subdirectory):
        message = f"{path}: {line.strip()[:80]!r} leaves the source"
        remedy = "name a package of an index, a git address with a commit, or a folder of the source (`./libs/one`)"
        raise FactoryError(message, remedy)


def local_place(line: str) -> str | None:
    """The folder or file of this machine that a line of a requirements file names as a requirement, as it is written
    there, without extras, markers and hashes; None for anything else. uv and pip resolve it from where they run, also
    in a file of another folder.
    """
    found = _FOLDER.match(_COMMENT.sub("", line).strip())
    if found is None:
        return None
    place = found["place"].strip("\"'")
    if _FILE.match(place):
        place = unquote(_FILE.sub("", place))
    elif _ADDRESS.match(place):
        return None
    elif not (found["editable"] or found["name"] or "/" in place or place.startswith((".", "~"))):
        return place if place.endswith(ARCHIVES) else None
    place = _EXTRAS.sub("", place.partition("#")[0].removesuffix(";"))
    return place.replace("${PROJECT_ROOT}", ".") or None


def leaves(place: str, subdirectory: str | None) -> bool:
    """Whether a local place of a requirements file (see `local_place`) is outside of the source."""
    whole = posixpath.normpath(posixpath.join(subdirectory or "", place))
    return place.startswith(("/", "~")) or whole.startswith("..")


def check_include(path: str, file: str) -> None:
    """FactoryError when what the requirements file `path` includes is an address: nobody can hold that still."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", file):
        raise FactoryError(
            f"{path}: it includes the url {file[:80]!r}", "copy that file into the source and include the copy"
        )


def check_pyproject(path: str, said: Mapping[str, Any]) -> None:
    """FactoryError when the pyproject.toml at `path` asks for variables of this machine where uv would fill them in."""
    project = said.get("project")
    places: list[Any] = [said.get("dependency-groups"), said.get("build-system"), _of(said, "tool", "uv")]
    places += [_of(said, "tool", "poetry"), _of(said, "tool", "pdm")]
    if isinstance(project, Mapping):
        places += [project.get("dependencies"), project.get("optional-dependencies")]
    for place in places:
        for text in _texts(place):
            _refuse_credentials(path, text)
            _refuse_variables(path, text)
    _check_settings(path, _of(said, "tool", "uv"))


def check_uv_toml(path: str, said: Mapping[str, Any]) -> None:
    """FactoryError when the uv.toml at `path` sets what is this machine's own affair."""
    for text in _texts(said):
        _refuse_credentials(path, text)
        _refuse_variables(path, text)
    _check_settings(path, said)


def configurations(paths: Collection[str], folder: str, subdirectory: str | None = None) -> Iterator[str]:
    """The files from which uv takes settings when it runs in `folder` of a bundle: those from there upwards, and all of
    what is around its `subdirectory`, where projects may be that are built with it.
    """
    parts = folder.split("/") if folder else []
    for count in range(len(parts), -1, -1):
        for name in ("uv.toml", "pyproject.toml"):
            path = "/".join([*parts[:count], name])
            if path in paths:
                yield path
    if subdirectory is not None:
        around = f"{AROUND}/"
        yield from sorted(path for path in paths if path.startswith(around) and path.endswith(_CONFIGURATIONS))


def _refuse_credentials(path: str, text: str) -> None:
    if _CREDENTIALS.search(text) or token_in(text) is not None:
        raise FactoryError(
            f"{path}: it contains a url with credentials, which would be packed with it",
            "take them out: uv finds them in its own configuration, in pip's, in netrc or in a keyring",
        )


def _refuse_variables(path: str, text: str) -> None:
    if found := _VARIABLE.search(text):
        raise FactoryError(
            f"{path}: {found[0]} in it would be filled in from the environment, which may hold a secret",
            "take it out: uv finds credentials in its own configuration, in pip's, in netrc or in a keyring",
        )


def _check_settings(path: str, said: Any) -> None:
    if not isinstance(said, Mapping):
        return
    of_pip = said.get("pip")
    wrong = sorted(REFUSED & said.keys())
    if isinstance(of_pip, Mapping):
        wrong += [f"pip.{name}" for name in sorted(REFUSED_OF_PIP & of_pip.keys())]
    if wrong:
        raise FactoryError(
            f"{path}: {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} for a machine's own uv configuration",
            "take it out of the source",
        )


def _of(said: Mapping[str, Any], *keys: str) -> Any:
    found: Any = said
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
