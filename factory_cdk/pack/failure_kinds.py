"""The kinds of failure of uv and git, each by the sentence that it is told in, with what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Part = Literal["error", "cause", "hint"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of failure: its name, the beginning of its sentence, in which parts of uv's error that may stand (git's
    stands in a line of its own), and what to do about it.

    `remedy` may use the groups of `sentence`, `{name}` (the package of the group `of`, without a version), of git
    `{url}` and `{host}`, and of a build `{what}` (its first group) and `{wheel}` (what else to do where a package of an
    index is built).
    """

    name: str
    sentence: re.Pattern[str]
    remedy: str
    parts: tuple[Part, ...] = ("error", "cause")


def _kind(name: str, sentences: str | tuple[str, ...], remedy: str, *parts: Part) -> Kind:
    either = sentences if isinstance(sentences, str) else "|".join(sentences)
    return Kind(name, re.compile(f"(?s:{either})"), remedy, parts or ("error", "cause"))


_BECAUSE = r"(?:.*\b(?:because|Because|and|that) |)"
"""The beginning of an explanation of uv's resolver, a chain of `Because … and …, we can conclude that …`."""

_CREDENTIALS = "the index wants credentials: give them to uv (UV_INDEX_<NAME>_PASSWORD, netrc, a keyring) or to pip"
OUTSIDE = "what a bot needs has to be inside its source: move it there, or name the folder around both as the source"
_NEWER = "{of} needs Python {needs}: name such a `python` for the bot's sectors in the plan, or require another {name}"
_RELEASES = "see the releases of {name} (`pip index versions {name}`)"
_ACCESS = r"fatal: unable to access '[^']*': "

UV_KINDS: tuple[Kind, ...] = (
    _kind(
        "credentials",
        r"An index(?: URL)? \(.*?\) (?:could not be queried due to a lack of valid authentication|returned a 403 )",
        _CREDENTIALS,
        "hint",
    ),
    _kind("credentials", r"HTTP status client error \((?:401|403|407)\b", _CREDENTIALS),
    _kind(
        "offline",
        "Packages were unavailable because the network was disabled",
        "unset UV_OFFLINE, or pack where the network is allowed",
        "hint",
    ),
    _kind(
        "certificate",
        ("invalid peer certificate", "received corrupt message", "received fatal alert"),
        "let uv trust the index's certificate (SSL_CERT_FILE, UV_SYSTEM_CERTS=1), and check that its url is right",
    ),
    _kind(
        "network",
        (
            "dns error",
            "tcp connect error",
            "operation timed out",
            "connection (?:closed|reset|error)",
            "error sending request for url",
            r"client error \(Connect\)",
            "request or response body error",
        ),
        "check the network and the index (UV_DEFAULT_INDEX, UV_INDEX, uv.toml or pip.conf)",
    ),
    _kind("busy index", r"HTTP status client error \(429\b", "the index limits requests: try again later"),
    _kind("broken index", r"HTTP status server error \(", "the index has a fault: try again later, or use another one"),
    _kind("refused by index", r"HTTP status client error \(", "check the url of the index or of the requirement"),
    _kind(
        "hash",
        r"Hash mismatch for `(?P<of>[^`]+)`",
        "{of} is another file now than when it was locked: if you trust it, run `factory-cdk lock --upgrade`",
    ),
    _kind(
        "outside the source",
        (
            "Distribution not found at: file:",
            r"`[^`]+` references a workspace in `tool\.uv\.sources`.* is not a workspace member",
        ),
        OUTSIDE,
    ),
    _kind(
        "no such Python",
        "No interpreter found for ",
        "name a `python` in the plan that uv can find or download (`uv python list`)",
    ),
    _kind("broken Python", "Failed to inspect Python interpreter", "repair or remove that Python (`uv python list`)"),
    _kind(
        "python",
        _BECAUSE
        + r"the (?:requested|current) Python version \([^)]*\) does not satisfy Python(?P<needs>\S+)"
        + r" and (?P<of>\S+) depends on Python",
        _NEWER,
    ),
    _kind("python", _BECAUSE + r"(?P<of>[^\s(]+) requires Python (?P<needs>[<>=~!][^\s,]*)", _NEWER),
    _kind(
        "platform",
        _BECAUSE + r"(?P<of>[^\s(]+) has no (?:wheels? with a matching|usable wheels|wheels are available)",
        "{of} has no wheel for this machine or this Python: require another version, or name another `python`",
    ),
    _kind(
        "no such package",
        _BECAUSE + r"(?P<of>[^\s(]+) was not found in the (?:package registry|provided package locations|cache)",
        "check the name {of}, and whether your index has it (UV_DEFAULT_INDEX, UV_INDEX, uv.toml or pip.conf)",
    ),
    _kind(
        "no such version",
        (
            _BECAUSE + r"there (?:is|are) no versions? of (?P<of>[^\s(]+)",
            _BECAUSE + r"only (?:the following versions of )?(?P<only>[^\s(]+) (?:is|are) available",
        ),
        _RELEASES,
    ),
    _kind(
        "conflict",
        "No solution found when resolving",
        "the requirements contradict each other: change one of those that uv names",
    ),
    _kind("git", "Git operation failed", "try `git ls-remote` with the url of the requirement by hand"),
    _kind("full disk", r".*No space left on device|.*\(os error 28\)", "free some space"),
    _kind(
        "build",
        (
            "Failed to (?:download and )?build `",
            "The build backend returned an error",
            "Call to `",
            "Failed to prepare distributions",
        ),
        "{build}",
    ),
    _kind(
        "requirement",
        ("Couldn't parse requirement", "Unsupported requirement", "Error parsing included file", "Invalid "),
        "correct that line of the requirements",
    ),
)
"""The kinds of uv's failures; the first whose sentence begins one of uv's texts is the one."""

_GONE = r"(?:[\w.]+: )?\[Errno 2\] No such file or directory: "
_NOT_FOUND = r"(?:/bin/)?(?:ba)?sh: (?:line )?(?:[0-9]+: )?(?P<{}>{}): (?:command )?not found"
_PROGRAM = (
    r"cmake3?|ninja|make|meson|go|node|npm|yarn|pnpm|swig|nvcc|pkg-config|protoc|bazel|bison|flex|java|javac|ant|mvn"
    r"|patch|perl|nasm|pandoc|\w+[-_]config"
)
_COMPILER = r"(?:[\w-]+-)?(?:cc|gcc|g\+\+|c\+\+|clang|clang\+\+|gfortran|f77)(?:-[0-9.]+)?"
"""Programs that builds run."""

BUILD_KINDS: tuple[Kind, ...] = (
    _kind(
        "crates",
        (
            "error: failed to (?:get `[^`]+` as a dependency|download from `|fetch `|query replaced source registry)",
            "(?:Caused by: )?(?:error: )?failed to (?:download|load source for dependency|update registry) ",
            r"warning: spurious network error \(",
        ),
        "its build fetches crates of Rust: let cargo reach their registry, by the network or by its "
        "configuration{wheel}",
    ),
    _kind(
        "old Rust",
        (
            r"error: (?:package|rustc) .*\b(?:requires rustc|is not supported)\b",
            r"error: .*\brequires (?:rustc|Rust) [0-9.]+",
            r"(?:error: )?feature `edition20\d\d` is required",
        ),
        "its build needs a newer Rust: `rustup update` on the machine that builds it{wheel}",
    ),
    _kind(
        "Rust",
        (
            "Rust not found, installing into a temporary directory",
            "Cargo, the Rust package manager, is not installed",
            "error: can't find Rust compiler",
            r"Caused by: Cargo metadata failed\. Do you have cargo in your PATH",
            r"(?:Caused by: )?Failed to (?:find|run|execute|get) .*\b(?:rustc|cargo)\b",
            _GONE + "'(?:cargo|rustc|rustup)'",
            _NOT_FOUND.format("program", "cargo|rustc"),
        ),
        "its build needs Rust: install cargo and rustc (with rustup) on the machine that builds it, and put them on "
        "PATH{wheel}",
    ),
    _kind(
        "CMake",
        (
            r"(?:[\w.]+\.)?CMakeNotFoundError\b",
            r"(?:RuntimeError: )?CMake must be installed",
            "Problem with the CMake installation, aborting build",
            r"(?:CMake Error.*: *)?CMake [0-9.]+ or higher is required",
            _GONE + "'cmake3?'",
            _NOT_FOUND.format("program", "cmake"),
        ),
        "its build needs CMake, or a newer one: add `cmake` to `requires` of its [build-system], or install it on the "
        "machine that builds it{wheel}",
    ),
    _kind(
        "compiler",
        (
            "CMake Error: CMAKE_(?P<a>C|CXX|Fortran|CUDA)_COMPILER not set",
            "No CMAKE_(?P<b>C|CXX|Fortran|CUDA)_COMPILER could be found",
            "(?:error: )?command '(?P<c>[^']+)' failed: No such file or directory",
            "(?:error: )?[Uu]nable to execute '?(?P<d>[^':]+)'?: No such file or directory",
            r"(?:\S+ )?ERROR: Unknown compiler\(s\): \[\['?(?P<e>[^',\]]+)",
            rf"{_GONE}'(?P<g>{_COMPILER})'",
            r"error: Microsoft (?P<f>Visual C\+\+) [0-9.]+ or greater is required",
        ),
        "its build needs a compiler ({what}): install it on the machine that builds it{wheel}",
    ),
    _kind(
        "header",
        r"(?:\S+: )?fatal error: '?(?P<a>[\w./+-]+\.(?:h|hpp|hh))'?(?:: No such file or directory| file not found)",
        "its build needs {what}: install the development package that has it (python3-dev has Python.h) on the machine "
        "that builds it{wheel}",
    ),
    _kind(
        "library",
        (
            r"(?:\S+ )?ERROR: Dependency \"(?P<a>[^\"]+)\" not found",
            r"Package '?(?P<b>[\w.+-]+)'?(?:, required by '[^']*',)? (?:was )?not found",
            "No package '(?P<c>[^']+)' found",
        ),
        "its build needs the library {what}: install its development package on the machine that builds it{wheel}",
    ),
    _kind(
        "program",
        (
            rf"{_GONE}'(?P<a>{_PROGRAM})'",
            _NOT_FOUND.format("b", r"[\w.+-]+"),
            rf"(?:Error: )?(?P<c>{_PROGRAM}) (?:executable )?(?:is )?not found",
            'CMake Error: CMake was unable to find a build program corresponding to "(?P<d>[^"]+)"',
        ),
        "its build runs {what}, which is not installed: install it on the machine that builds it{wheel}",
    ),
    _kind(
        "git in a build",
        (
            r"fatal: not a git repository\b",
            "fatal: No (?:names found|tags can describe|annotated tags can describe)",
            _GONE + "'git'",
            r"(?:[\w.]+: )?Command '?\[?'?git\b.*returned non-zero exit status",
            r"(?:git\.exc\.)?InvalidGitRepositoryError\b",
            r"dulwich\.errors\.NotGitRepository\b",
            r"(?:LookupError: )?setuptools-scm was unable to detect version for",
        ),
        "its build asks git, and a bundle has no git repository: write what it asks for, the version perhaps, in a "
        "file of the source, or let setuptools-scm take the version from git, which is told it{wheel}",
    ),
)
"""The kinds of failures of build backends and of the programs that they run, told in lines of their own; the first of
the kinds that has such a line is the one.
"""

GIT_KINDS: tuple[Kind, ...] = (
    _kind(
        "host key",
        r"Host key verification failed\.$",
        "connect once by hand (`ssh {host}`) so that ssh knows the host's key",
    ),
    _kind(
        "ssh key",
        r"\S+: Permission denied \(",
        "add your key to the ssh agent (`ssh-add -l` lists them) and to the host",
    ),
    _kind(
        "credentials",
        (
            "fatal: could not read (?:Username|Password) for",
            "fatal: Authentication failed for",
            "remote: HTTP Basic: Access denied",
            _ACCESS + r"The requested URL returned error: (?:401|403)\b",
        ),
        "git has no credentials for it: set up a credential helper, or use the ssh address",
    ),
    _kind(
        "no such host",
        (
            _ACCESS + "Could not resolve (?:host|proxy)",
            "ssh: Could not resolve hostname",
            "fatal: [Uu]nable to look up ",
        ),
        "check the host and the network",
    ),
    _kind(
        "certificate",
        _ACCESS + "(?:SSL|TLS|server certificate|gnutls|GnuTLS|OpenSSL|LibreSSL|schannel|error setting cert)",
        "let git trust the host's certificate (http.sslCAInfo)",
    ),
    _kind(
        "unreachable",
        (
            _ACCESS + "(?:Failed to connect|Couldn't connect|Connection |Operation timed out|Recv failure|Empty reply)",
            "ssh: connect to host",
            "fatal: unable to connect to",
            "fatal: read error: Connection",
        ),
        "see whether the host can be reached",
    ),
    _kind(
        "no such branch",
        (
            "(?:fatal|warning): (?:Remote branch|Could not find remote branch) ",
            "fatal: couldn't find remote ref",
        ),
        "see `git ls-remote {url}` for its branches and tags",
    ),
    _kind(
        "owner",
        "fatal: detected dubious ownership in repository",
        "let git read it: `git config --global --add safe.directory PATH`",
    ),
    _kind(
        "no such repository",
        (
            r"(?:remote: |fatal: |ERROR: |remote: ERROR: )?[Rr]epository\b.*\b(?:not found|does not exist)",
            "fatal: '.*' does not appear to be a git repository",
            _ACCESS + "The requested URL returned error: 404",
            r"fatal: .* not valid: is this a git repository\?",
        ),
        "check the url, and that you may read it",
    ),
    _kind("full disk", r"(?:fatal|error): .*No space left on device$", "free some space on the disk of the cache"),
)
"""The kinds of git's failures; the first whose sentence begins one of the lines is the one."""
