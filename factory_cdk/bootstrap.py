"""What an instance is told when it starts: bootstrap_scripts/ rendered for one sector, within EC2's limit.

User-data is frozen (linux/first.py says why): it fetches the program of the sector's release and runs it whenever the
release changes. What changes travels with the release: that program, the install script, the runner and the bundles,
all of which the release's manifest names by key and SHA-256.

The release parameter (SSM) is JSON: `release`, `bucket`, `key` and `sha256` of the manifest, `booted` and `signal`
(URLs of wait handles), `alarm`, and what the stage's stores are called. The manifest is JSON: `format` (1), `bootstrap`
and `install` (`key`, `sha256`), `runner` (file names with their `key` and `sha256`), `bots` (per bot a `bundle`, which
the agent fetches, or null, which fails the instance as never packed) and whatever the runner reads.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Offline, Platform

if TYPE_CHECKING:
    from jinja2 import Environment

USER_DATA_LIMIT = 16_384
"""Bytes of user-data that EC2 takes, counted before base64 (EC2 user guide, "Run commands at launch")."""

BOOTSTRAP_LIMIT = 3_600
"""Seconds after which bootstrap.py gives up and signals a failure; a wait condition should wait longer."""

_TEMPLATES = {
    Platform.LINUX: ("linux/user-data.sh.j2", "linux/install.sh.j2"),
    Platform.WINDOWS: ("windows/user-data.ps1.j2", "windows/install.ps1.j2"),
}


@dataclass(frozen=True, slots=True)
class SectorFacts:
    """What an instance must know of its sector: the content of its sector.json.

    `release_parameter` and `gate_parameter` are names of SSM parameters, `parameters_path` is the path under
    which its bots' config lies, `log_group` is CloudWatch's.
    """

    factory: str
    stage: str
    sector: str
    region: str
    release_parameter: str
    gate_parameter: str
    parameters_path: str
    log_group: str

    def for_instance(self) -> dict[str, str]:
        """The content of sector.json."""
        return asdict(self)


def render_user_data(facts: SectorFacts, platform: Platform) -> str:
    """The user-data of the sector's instance as plain text, before base64; a CloudFormation template may hold
    it in `Fn::Base64` (never in `Fn::Sub`). Same facts, same bytes, on every machine.

    Raises FactoryError when it is larger than EC2 takes.
    """
    text = _render(_TEMPLATES[platform][0], sector=facts.for_instance())
    size = len(text.encode())
    if size > USER_DATA_LIMIT:
        raise FactoryError(
            f"the user-data of sector {facts.sector!r} is {size:,} bytes, EC2 takes {USER_DATA_LIMIT:,}",
            "shorten the names of the factory, the stage and the sector",
        )
    return text


@cache
def shared_user_data(platform: Platform) -> str:
    """The end of every sector's user-data on `platform`: from the first blank line on it is the same for all.

    A template with many instances can hold it once, in a mapping, and join it to each sector's own lines.
    """
    nothing = SectorFacts("", "", "", "", "", "", "", "")
    text = render_user_data(nothing, platform)
    return text[text.index("\n\n") :]


def render_install(wheel: str, sha256: str, platform: Platform, offline: Offline | None = None) -> str:
    """The install script of a release, which its manifest names as `install`; an asset of the stack.

    `wheel` is the name of the runner's file and `sha256` its digest in hex; the sectors of a stage share the script,
    but those that are `offline`.
    """
    python = offline.python if offline is not None else ""
    build = offline.build.sha256 if offline is not None and offline.build is not None else ""
    return _render(_TEMPLATES[platform][1], wheel=wheel, sha256=sha256, python=python, build=build)


@cache
def bootstrap_program(platform: Platform) -> str:
    """The program of a release that user-data fetches and runs, which its manifest names as `bootstrap`."""
    return (
        _joined("windows/aws.ps1", "windows/bootstrap.ps1")
        if platform is Platform.WINDOWS
        else _joined("linux/aws.py", "linux/bootstrap.py")
    )


def compact(source: str) -> str:
    """Python source without full-line comments, blank lines and one-line docstrings, indented by one space.

    first.py has to fit into user-data next to everything else. Text rules and not gzip, whose bytes
    differ between zlib and zlib-ng, and not ast.unparse, whose text differs between versions of Python. The
    source keeps to them: no string over several lines, one-line docstrings, indentation by four.
    """
    lines = (line for line in source.splitlines() if not re.fullmatch(r'\s*(#.*|""".*""")?', line))
    return "\n".join(re.sub(r"^( {4})+", lambda indent: " " * (len(indent[0]) // 4), line) for line in lines)


class _Quoted(str):
    """Text that a filter has made safe for the language that it stands in."""

    __slots__ = ()


def _only_quoted(value: object) -> _Quoted:
    if not isinstance(value, _Quoted):
        raise TypeError(f"a bootstrap script prints {value!r} without a quoting filter")
    return value


def _as_json(value: object) -> str:
    """JSON in ASCII, on one line, without the characters that could end an HTML-like tag or a quoted string."""
    text = json.dumps(value, sort_keys=True)
    return re.sub(r"[<>&']", lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_sh(value: str) -> _Quoted:
    """One word of POSIX sh."""
    _refuse_nul(value)
    return _Quoted(shlex.quote(value))


def _as_powershell(value: str) -> _Quoted:
    """A PowerShell string. PowerShell ends one at typographic quotes too; a tag would end the whole script."""
    _refuse_nul(value)
    if "<" in value:
        raise ValueError(f"{value!r} could end the script that it stands in: pass it through `json` first")
    doubled = re.sub("['\u2018-\u201b]", lambda quote: quote[0] * 2, value)
    return _Quoted(f"'{doubled}'")


def _as_heredoc(value: str, terminator: str) -> _Quoted:
    """The body of a here-document whose quoted terminator is `terminator`."""
    if terminator in value:
        raise ValueError(f"the text of a here-document holds its terminator {terminator}")
    return _Quoted(value)


def _as_herestring(value: str) -> _Quoted:
    """The body of a literal here-string of PowerShell."""
    if any(line.startswith("'@") for line in value.splitlines()):
        raise ValueError("the text of a here-string holds its terminator")
    return _Quoted(value)


def _refuse_nul(value: str) -> None:
    if "\0" in value:
        raise ValueError(f"{value!r} holds a NUL, which no script can hold: pass it through `json` first")


def scripts_folder() -> Path:
    """bootstrap_scripts/: inside the package in an installed wheel, beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "bootstrap_scripts", package.parent / "bootstrap_scripts"):
        if folder.is_dir():
            return folder
    raise FactoryError("factory_cdk is installed without its bootstrap_scripts", "install it again")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 -- only an aws sector needs it

    environment = Environment(
        loader=FileSystemLoader(scripts_folder()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 -- shell and PowerShell, not HTML; `finalize` refuses what is not quoted
        finalize=_only_quoted,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": _as_json, "sh": _as_sh, "ps": _as_powershell, "heredoc": _as_heredoc}
    environment.filters["herestring"] = _as_herestring
    return environment


@cache
def _first(platform: Platform) -> str:
    """The program that is frozen in user-data."""
    if platform is Platform.WINDOWS:
        text = _joined("windows/aws.ps1", "windows/first.ps1")
        return "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    return compact(_joined("linux/aws.py", "linux/first.py"))


def _joined(*names: str) -> str:
    """Scripts as one program: what one imports from `aws` stands before it."""
    texts = [(scripts_folder() / name).read_text(encoding="utf-8") for name in names]
    return re.sub(r"^from aws import (\([^)]*\)|.*)\n", "", "\n".join(texts), flags=re.MULTILINE)


def _render(template: str, **values: object) -> str:
    platform = Platform(template.partition("/")[0])
    return _environment().get_template(template).render(first=_first(platform), **values)
