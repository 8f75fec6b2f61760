"""F2 and F4: where code comes from, what of it is called, and names that nothing defines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from plan_texts import AWS, LOCAL, Case, errors, load, prove

from factory_cdk.codes import HOLDS_SECRET
from factory_cdk.diagnostics import Severity
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import GitSource, PathSource, PypiSource
from factory_cdk.plan.schema.plan_schema import GIT_OPTIONS
from factory_cdk.plan.sources import REFUSED_GIT_OPTIONS

SOURCE = "first:\n      source: {path: .}"


def source(text: str) -> str:
    """The source of `first`, rewritten."""
    return f"first:\n      source: {{{text}}}"


CASES = [
    Case(
        "an undefined bot on a sector",
        "F201",
        "          second:\n",
        "          second: {}\n          §secnod:\n",
        ("`here`", "`secnod`"),
        "did you mean `second`?",
    ),
    Case(
        "an undefined bot in a workflow",
        "F201",
        "first: second\n",
        "first: §thrid\n",
        ("`flow`", "`thrid`"),
        "known: `first`, `second`",
        also=("F304",),
    ),
    Case(
        "an undefined bot as a key of a workflow",
        "F201",
        "first: second\n",
        "§frist: second\n",
        ("`flow`", "`frist`"),
        "did you mean `first`?",
        also=("F304",),
    ),
    Case(
        "an undefined bot in a workflow argument",
        "F201",
        "          second:\n            processes",
        "          second:\n            workflow: [§thrid]\n            processes",
        ("`second`", "`thrid`"),
        "known",
    ),
    Case(
        "an undefined workflow",
        "F202",
        "workflow: flow",
        "workflow: §flwo",
        ("`test`", "`flwo`"),
        "did you mean `flow`?",
    ),
    Case(
        "an undefined alarm",
        "F203",
        "alarm: idle",
        "alarm: §idel",
        ("`box`", "`idel`"),
        "did you mean `idle`?",
        base=AWS,
    ),
    # kinds of source
    Case(
        "no kind of source",
        "F210",
        SOURCE,
        source("subdirectory: a").replace("source", "§source"),
        ("the source of `first` has no `url`, `path` or `pypi`",),
        "pypi",
    ),
    Case("two kinds of source", "F210", SOURCE, source("path: ., §pypi: tool"), ("`path` and `pypi`",), "keep one"),
    Case(
        "three kinds of source",
        "F210",
        SOURCE,
        source("path: ., §pypi: tool, url: 'https://h/r'"),
        ("`path` and `pypi` and `url`",),
        "keep one",
    ),
    Case(
        "a branch of a path",
        "F210",
        SOURCE,
        source("path: ., §branch: main"),
        ("`branch`", "with `url`", "`path`"),
        "remove",
    ),
    Case("a depth of a package", "F210", SOURCE, source("pypi: tool, §depth: 1"), ("`depth`", "`pypi`"), "remove"),
    Case(
        "a version of a repository",
        "F210",
        SOURCE,
        source("url: 'https://h/r', §version: 1.0"),
        ("`version`", "`url`"),
        "branch",
    ),
    Case(
        "a folder of a package", "F210", SOURCE, source("pypi: tool, §subdirectory: a"), ("`subdirectory`",), "remove"
    ),
    # names of packages and versions
    Case(
        "a package with a version in its name",
        "F213",
        SOURCE,
        source("pypi: §tool==1.0"),
        ("`tool==1.0`", "PEP 508"),
        "`version`",
    ),
    Case("a package with an address", "F213", SOURCE, source("pypi: §'tool @ https://h/t.whl'"), ("PEP 508",), "PyPI"),
    Case(
        "a package with a marker",
        "F213",
        SOURCE,
        source("pypi: §\"tool; python_version < '3'\""),
        ("PEP 508",),
        "PyPI",
    ),
    Case(
        "a package that is an option",
        "F213",
        SOURCE,
        source("pypi: §--index-url=https://h"),
        ("`--index-url=https://h`",),
        "PyPI",
    ),
    Case("a package that is a path", "F213", SOURCE, source("pypi: §./tool"), ("`./tool`",), "PyPI"),
    Case("a package with a space", "F213", SOURCE, source("pypi: §my tool"), ("`my tool`",), "PyPI"),
    Case(
        "a version that is none",
        "F214",
        SOURCE,
        source("pypi: tool, version: §latest"),
        ("`latest`", "PEP 440"),
        "1.5.9",
    ),
    Case(
        "a specifier that is none",
        "F214",
        SOURCE,
        source("pypi: tool, version: §'>>1'"),
        ("`>>1`", "PEP 440"),
        ">=1.5,<2",
    ),
    # what is called
    Case(
        "a bot_path without a colon",
        "F215",
        "bot_path: works:first",
        "bot_path: §works.first",
        ("`works.first`", "module.path:attribute"),
        "did you mean `works:first`?",
    ),
    Case(
        "a bot_path with a dash",
        "F215",
        "bot_path: works:first",
        "bot_path: §my-works:first",
        ("`my-works:first`",),
        "colon",
    ),
    Case(
        "a bot_path with a keyword",
        "F215",
        "bot_path: works:first",
        "bot_path: §works.class:first",
        ("`works.class:first`",),
        "colon",
    ),
    Case(
        "a bot_path with code",
        "F215",
        "bot_path: works:first",
        "bot_path: §\"os:system('id')\"",
        ("os:system",),
        "colon",
    ),
    Case("a bot_path with two colons", "F215", "bot_path: works:first", "bot_path: §a:b:c", ("`a:b:c`",), "colon"),
    Case(
        "a bot_path without an attribute",
        "F215",
        "bot_path: works:first",
        "bot_path: §'works:'",
        ("`works:`",),
        "colon",
    ),
    Case(
        "a class that is no path",
        "F217",
        "processes: 2",
        "entity-class: §MyEntity",
        ("`entity-class`", "`MyEntity`"),
        "class",
    ),
    # paths
    Case(
        "a requirements file outside",
        "F216",
        "bot_path: works:first",
        "bot_path: works:first\n      requirements_path: §../r.txt",
        ("`../r.txt`",),
        "inside",
    ),
    Case(
        "an absolute requirements file",
        "F216",
        "bot_path: works:first",
        "bot_path: works:first\n      requirements_path: §/etc/passwd",
        ("`/etc/passwd`",),
        "inside",
    ),
    Case("a folder of Windows", "F216", SOURCE, source("path: ., subdirectory: §'C:\\x'"), ("`C:\\x`",), "`/`"),
    Case(
        "a folder that climbs out",
        "F216",
        SOURCE,
        source("url: 'https://h/r', subdirectory: §a/../../b"),
        ("`a/../../b`",),
        "inside",
    ),
    Case(
        "a folder with a NUL",
        "F216",
        SOURCE,
        source('path: ., subdirectory: §"a\\0b"'),
        ("`subdirectory` of `first`", "non-printable"),
        "use single quotes",
    ),
    Case(
        "a path with a NUL",
        "F216",
        SOURCE,
        source('path: §"a\\0b"'),
        ("the path of `first`", "non-printable"),
        "use single quotes",
    ),
    # passwords
    Case(
        "a password in a url",
        "F218",
        SOURCE,
        source("url: §'https://me:hunter2@h/r'"),
        ("`first`", "password"),
        "credential helper",
    ),
    Case(
        "a password with a slash",
        "F218",
        SOURCE,
        source("url: §'https://me:hun/ter2@h/r'"),
        ("`first`", "password"),
        "credential helper",
    ),
    # warnings
    Case(
        "an unpinned branch",
        "F402",
        SOURCE,
        source("url: 'https://h/r', branch: develop").replace("source", "§source"),
        ("`first`", "`develop`"),
        "factory-cdk lock",
    ),
    Case(
        "no branch at all",
        "F402",
        SOURCE,
        source("url: 'https://h/r'").replace("source", "§source"),
        ("`first`", "default branch"),
        "factory-cdk lock",
    ),
    Case(
        "a package without a version",
        "F402",
        SOURCE,
        source("pypi: tool").replace("source", "§source"),
        ("`first`", "latest version"),
        "factory-cdk lock",
    ),
    Case(
        "a package with a range",
        "F402",
        SOURCE,
        source("pypi: tool, version: '>=1,<2'").replace("source", "§source"),
        ("`>=1,<2`",),
        "factory-cdk lock",
    ),
    Case(
        "a path that does not exist", "F403", SOURCE, source("path: §nowhere"), ("`first`", "nowhere"), "plan's folder"
    ),
    Case(
        "a subdirectory that does not exist",
        "F403",
        SOURCE,
        source("path: ., subdirectory: §nowhere"),
        ("`first`", "nowhere"),
        "relative to `path`",
    ),
    Case(
        "a path longer than any", "F403", SOURCE, source("path: §" + "x" * 5000), ("`first`", "xxx…"), "plan's folder"
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


EVIL_URLS = [
    "ext::sh -c id",
    "ext::sh",
    "EXT::sh",
    "fd::17",
    "transport-helper::address",
    "-u./payload",
    "--upload-pack=./payload",
    "ssh://-oProxyCommand=id/r",
    "ssh://-oProxyCommand=id@h/r",
    "ssh://me@-oProxyCommand=id/r",
    "-oProxyCommand=id:r",
    "me@-oProxyCommand=id:r",
    "git@h:-oProxyCommand=id",
    "ftp://h/r",
    "foo://h/r",
    "http+unix://h/r",
    "https:///r",
    "https://[::1/r",
    "https://h:port/r",
    "https://h/r --upload-pack=id",
    "https://h/r\nhost=evil",
    "https://h/\x1b[2Jr",
    "https://h/\u202er",
]


@pytest.mark.parametrize("url", EVIL_URLS, ids=ascii)
def test_a_url_that_is_an_option_or_runs_a_command_is_refused(url: str, tmp_path: Path) -> None:
    quoted = '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in url) + '"'
    loaded = load(LOCAL.replace(SOURCE, source(f"url: {quoted}")), tmp_path)
    (error,) = errors(loaded)
    assert (error.code, error.line, error.column) == ("F211", 5, 21)
    assert "`first`" in error.message and error.hint and "https://host/repo.git" in error.hint
    assert error.message.isprintable()
    assert (" " in url) == ("`%20`" in error.hint)


GOOD_URLS = [
    "https://github.com/some/repo.git",
    "http://h:8080/r",
    "https://h:8443/path@x",
    "ssh://fredsmith@bitbucket.org/my-bots-repo",
    "ssh://git@h:22/r",
    "git@bitbucket.org/my-bots-repo",
    "git@h:some/repo.git",
    "[::1]:repo",
    "git://h/r",
    "file:///srv/r.git",
    "git+ssh://git@h/r",
    "../sibling",
    "/srv/r.git",
    "https://tökén@hóst/r",
    "https://fred.smith@bitbucket.org/team/my-bots-repo.git",
    "https://a-team-of-engineers@dev.azure.com/org/project/_git/repo",
    "ssh://APKAEIBAERJR2EXAMPLE@git-codecommit.eu-west-2.amazonaws.com/v1/repos/r",
]


TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
TOKEN_URLS = [
    f"https://{TOKEN}@github.com/some/repo.git",
    f"https://{TOKEN}:x-oauth-basic@github.com/some/repo.git",
    f"https://x-access-token:{TOKEN}@github.com/some/repo.git",
    f"ssh://{TOKEN}@github.com/some/repo.git",
    f"{TOKEN}@github.com:some/repo.git",
    "https://glpat-abcdefghij0123456789@gitlab.com/some/repo.git",
    "https://glpat-short@gitlab.com/some/repo.git",
    "https://0123456789abcdef0123456789abcdef01234567@github.com/some/repo.git",
    "https://gq2x7o5p3mz6f4t1v9w8k2j5h7g3d1s6a4l9q0w2e8r5t7y@dev.azure.com/some/_git/repo",
    "https://h/r.git?private_token=abc123",
    "https://h/r.git?x=1&access_token=abc123",
    f"https://h/r.git#{TOKEN}",
]


@pytest.mark.parametrize("url", TOKEN_URLS)
def test_a_token_in_a_git_url_is_refused_and_never_shown(url: str, tmp_path: Path) -> None:
    result = load(LOCAL.replace(SOURCE, source(f"url: '{url}'")), tmp_path)
    (error,) = [found for found in result.diagnostics if found.severity is Severity.ERROR]
    assert error.code == "F218"
    assert error.code in HOLDS_SECRET
    said = " ".join(f"{found.message} {found.hint}" for found in result.diagnostics)
    assert not re.search(r"ghp_|glpat|abc123|0123456789|gq2x", said)


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_url_that_git_only_fetches_from_is_taken(url: str, tmp_path: Path) -> None:
    plan = load(LOCAL.replace(SOURCE, source(f"url: '{url}'")), tmp_path).plan
    assert plan is not None
    assert plan.bots["first"].source == GitSource(url)


@pytest.mark.parametrize("option", sorted(REFUSED_GIT_OPTIONS))
@pytest.mark.parametrize("spelled", ["{}", "--{}", "-{}"])
def test_a_clone_option_that_runs_or_writes_elsewhere_is_refused_with_a_reason(
    option: str, spelled: str, tmp_path: Path
) -> None:
    name = spelled.format(option)
    loaded = load(LOCAL.replace(SOURCE, source(f"url: 'https://h/r', '{name}': x")), tmp_path)
    (error,) = errors(loaded)
    assert (error.code, error.line, error.column) == ("F212", 5, 36)
    assert f"`{name}`" in error.message and REFUSED_GIT_OPTIONS[option] in error.message
    assert error.hint and all(f"`{allowed}`" in error.hint for allowed in GIT_OPTIONS)


@pytest.mark.parametrize(
    "branch", ["-x", "--upload-pack=id", "a..b", "a b", "x.lock", "/x", "x/", "a@{1}", "a:b", "x^"]
)
def test_a_branch_that_git_would_not_take_as_a_name_is_refused(branch: str, tmp_path: Path) -> None:
    loaded = load(LOCAL.replace(SOURCE, source(f"url: 'https://h/r', branch: '{branch}'")), tmp_path)
    (error,) = errors(loaded)
    assert (error.code, error.line, error.column) == ("F212", 5, 44)
    assert f"`{branch}`" in error.message and error.hint


@pytest.mark.parametrize("option", ["origin", "filter", "shallow-since"])
def test_a_clone_option_whose_value_is_an_option_is_refused(option: str, tmp_path: Path) -> None:
    loaded = load(LOCAL.replace(SOURCE, source(f"url: 'https://h/r', {option}: --config=core.pager=id")), tmp_path)
    (error,) = errors(loaded)
    assert error.code == "F212" and f"`{option}`" in error.message and "--config" in error.message


def test_every_allowed_clone_option_is_kept_as_written(tmp_path: Path) -> None:
    options = "branch: 1.10, bare: true, quiet: true, depth: 1, no-tags: true, filter: 'blob:none', jobs: 4"
    plan = load(LOCAL.replace(SOURCE, source(f"url: 'https://h/r', {options}, subdirectory: bots/a")), tmp_path).plan
    assert plan is not None
    kept = {"bare": True, "quiet": True, "depth": 1, "no-tags": True, "filter": "blob:none", "jobs": 4}
    assert plan.bots["first"].source == GitSource("https://h/r", "1.10", kept, "bots/a")


@pytest.mark.parametrize("version", ["1.10", "1.5.9", "2026.11", "1", "1.0.dev1+local", "'>=1.5,<2'", "!!str 3.10"])
def test_a_version_is_taken_as_it_is_written(version: str, tmp_path: Path) -> None:
    plan = load(LOCAL.replace(SOURCE, source(f"pypi: 'tool[fast]', version: {version}")), tmp_path).plan
    assert plan is not None
    assert plan.bots["first"].source == PypiSource("tool[fast]", version.removeprefix("!!str ").strip("'"))


def test_a_relative_path_starts_at_the_plan_and_an_absolute_one_is_kept(tmp_path: Path) -> None:
    plan = load(LOCAL.replace(SOURCE, source(f"path: {tmp_path}/x y")), tmp_path).plan
    assert plan is not None
    assert plan.bots["first"].source == PathSource(f"{tmp_path}/x y", tmp_path / "x y")
    assert plan.bots["second"].source == PathSource(".", tmp_path)


@pytest.mark.parametrize(
    "pinned",
    [
        "url: 'https://h/r', branch: " + "0123456789abcdef0123456789abcdef01234567",
        "pypi: tool, version: 1.5",
        "path: .",
    ],
)
def test_a_pinned_source_gets_no_warning(pinned: str, tmp_path: Path) -> None:
    assert load(LOCAL.replace(SOURCE, source(pinned)), tmp_path).diagnostics == ()


def test_a_lock_beside_the_plan_pins_its_sources(tmp_path: Path) -> None:
    (tmp_path / "plan.lock").write_text("{}")
    assert load(LOCAL.replace(SOURCE, source("pypi: tool")), tmp_path).diagnostics == ()


@pytest.mark.parametrize(
    "url",
    [
        "https://ghp" + "_0123456789abcdefghijABCDEFGHIJ012345@github.com/o/r.git",
        "https://glpat" + "-0123456789abcdefghij@gitlab.com/o/r.git",
        "https://0123456789abcdef0123456789abcdef01234567@git.example.com/r.git",
        "HTTPS://a1b2c3d4e5f6g7h8i9j0k1l2@host/r",
        "https://host/r.git?private_token=0123456789",
        "https://x-access-token:abc@github.com/o/r.git",
    ],
)
def test_a_token_in_a_git_url_is_refused_and_never_quoted(url: str, tmp_path: Path) -> None:
    secret = url.split("//")[1].split("@", maxsplit=1)[0] if "@" in url else "0123456789"
    (error,) = errors(load(LOCAL.replace(SOURCE, source(f"url: '{url}'")), tmp_path))
    assert error.code == "F218" and "insteadOf" in (error.hint or "")
    assert secret not in error.message + (error.hint or "")


@pytest.mark.parametrize(
    "url", ["https://git@host/r", "https://organisation@dev.azure.com/organisation/p/_git/r", "ssh://git@host:22/r"]
)
def test_a_user_in_a_git_url_is_no_secret(url: str, tmp_path: Path) -> None:
    assert errors(load(LOCAL.replace(SOURCE, source(f"url: '{url}'")), tmp_path)) == []


@pytest.mark.parametrize("old", ["source: {path: .}", "path: ."])
def test_a_url_in_the_wrong_place_is_a_secret_all_the_same(old: str, tmp_path: Path) -> None:
    url = "https://0123456789abcdefghij01234567@host/r.git"
    new = old.replace("{path: .}", url) if old.startswith("source") else old.replace("path: .", f"pypi: '{url}'")
    found = errors(load(LOCAL.replace(old, new), tmp_path))
    assert {one.code for one in found} <= {"F101", "F218"}  # no report shows the line of an F218
    assert found and "0123456789abc" not in "".join(f"{one.message}{one.hint}" for one in found)


def test_a_package_may_have_requirements_beside_the_plan(tmp_path: Path) -> None:
    bots = "bots: {b: {source: {pypi: tool}, bot_path: 'b:run', requirements_path: more.txt}}"
    stage = "stages: {dev: {here: {type: local, bots: {b: }}}}"
    (tmp_path / "plan.yml").write_text(f"factory: {{name: f, {bots}, {stage}}}\n")
    assert read_plan(tmp_path / "plan.yml").bots["b"].requirements_path == "more.txt"
