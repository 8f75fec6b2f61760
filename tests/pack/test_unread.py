"""Where requirements are read, which files that list some are not read, and that each of these is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from made_projects import built
from pack_sources import BOT, TARGET, at_path, bot, names, pack_all, pack_one, refusal, wheel, write_files

from factory_cdk.bundle import Bundle, Layout, missed, told_as_not_installed
from factory_cdk.pack import PackedBot
from factory_cdk.pack.left_out import LeftOut, summary

PLAIN = {"b.py": "def run(p): return p\n"}
SCRIPT = (
    "# /// script\n# requires-python = '>=3.11'\n# dependencies = [\n#   'three',\n# ]\n# ///\ndef run(p): return p\n"
)
PROJECT = "[project]\nname = 'b'\nversion = '1'\ndependencies = [{}]\n"
EMPTY = PROJECT.format("")
GROUPS = "[dependency-groups]\nbots = ['one']\ndev = ['three']\n"


@pytest.fixture(autouse=True)
def libraries(index: Path) -> None:
    for name in ("one", "three"):
        wheel(index, name)


def pack_files(
    files: dict[str, str], tmp_path: Path, env: dict[str, str], target: str = "b:run", **rest: str
) -> PackedBot:
    packed = pack_one(tmp_path, bot(at_path(write_files(tmp_path / "code", files)), target, **rest), env)
    assert packed.error is None, (packed.error.message, packed.error.remedy)
    return packed


def required(packed: PackedBot) -> list[str]:
    assert packed.bundle is not None
    return [line.partition("==")[0] for line in packed.bundle.requirements]


READ = [
    ("a script's metadata", {"b.py": SCRIPT}, None, ["three"], "b.py"),
    (
        "a script before its project",
        {"b.py": SCRIPT, "pyproject.toml": PROJECT.format("'one'")},
        None,
        ["three"],
        "b.py",
    ),
    ("what is explicit before a script", {"b.py": SCRIPT, "r.txt": "one\n"}, "r.txt", ["one"], "r.txt"),
    (
        "what is explicit before a project",
        {**PLAIN, "pyproject.toml": EMPTY, "r.txt": "one\n"},
        "r.txt",
        ["one"],
        "r.txt",
    ),
    (
        "what is explicit before setup.py",
        {**PLAIN, "setup.py": "raise SystemExit", "r.txt": "one\n"},
        "r.txt",
        ["one"],
        "r.txt",
    ),
    ("a requirements.in", {**PLAIN, "requirements.in": "one\n"}, "requirements.in", ["one"], "requirements.in"),
    (
        "requirements before a setup.cfg alone",
        {**PLAIN, "setup.cfg": "[options]\n", "requirements.txt": "one\n"},
        None,
        ["one"],
        "requirements.txt",
    ),
    ("requirements before a setup.cfg of tools", {**PLAIN, "setup.cfg": "[flake8]\n"}, None, [], None),
    (
        "a virtual project of uv",
        {**PLAIN, "pyproject.toml": PROJECT.format("'one'") + "[tool.uv]\npackage = false\n"},
        None,
        ["one"],
        "pyproject.toml",
    ),
]


@pytest.mark.parametrize(("case", "files", "path", "expected", "read"), READ, ids=[case[0] for case in READ])
def test_requirements_are_read_from_the_nearest_that_says_them(
    case: str,
    files: dict[str, str],
    path: str | None,
    expected: list[str],
    read: str | None,
    tmp_path: Path,
    env: dict[str, str],
) -> None:
    packed = pack_files(files, tmp_path, env, **({"requirements_path": path} if path else {}))
    assert (required(packed), packed.read) == (expected, (read,) if read else ())


NAMED = [
    (
        "requirements.txt beside a project",
        {**PLAIN, "pyproject.toml": EMPTY, "requirements.txt": "one\n"},
        None,
        [
            "pyproject.toml says what is required, and requirements.txt is not read",
            "`requirements_path: requirements.txt`",
        ],
    ),
    (
        "a project beside what is explicit",
        {**PLAIN, "pyproject.toml": PROJECT.format("'one'"), "r.txt": ""},
        "r.txt",
        ["r.txt says what is required, and pyproject.toml is not read"],
    ),
    ("Pipfile", {**PLAIN, "Pipfile": "[packages]\nsix = '*'\n"}, None, ["Pipfile is not read", "pipenv requirements"]),
    ("environment.yml", {**PLAIN, "environment.yml": "dependencies: [six]\n"}, None, ["environment.yml is not read"]),
    (
        "environment.yaml",
        {**PLAIN, "environment.yaml": "dependencies: [six]\n"},
        None,
        ["environment.yaml is not read"],
    ),
    ("requirements.in", {**PLAIN, "requirements.in": "one\n"}, None, ["`requirements_path: requirements.in` reads it"]),
    ("requirements-prod.txt", {**PLAIN, "requirements-prod.txt": "one\n"}, None, ["requirements-prod.txt is not read"]),
    (
        "a folder of requirements",
        {**PLAIN, "requirements/prod.txt": "one\n"},
        None,
        ["requirements/prod.txt is not read"],
    ),
    (
        "a group",
        {**PLAIN, "pyproject.toml": EMPTY + GROUPS},
        None,
        ["pyproject.toml's [dependency-groups] bots is not"],
    ),
    (
        "groups, some of them of development",
        {
            **PLAIN,
            "pyproject.toml": f"{EMPTY}[dependency-groups]\ndocs-auto = []\nbots = []\npre-commit = []\ngpu = []\n",
        },
        None,
        ["pyproject.toml's [dependency-groups] bots, gpu are not read: list in `dependencies`"],
    ),
    (
        "many groups",
        {**PLAIN, "pyproject.toml": EMPTY + "[dependency-groups]\n" + "".join(f"g{at} = []\n" for at in range(9))},
        None,
        ["[dependency-groups] g0, g1, g2 and 6 more are not read"],
    ),
    *(
        (
            name,
            {**PLAIN, "pyproject.toml": EMPTY, name: ""},
            None,
            [f"pyproject.toml says what is required, and {name} is not read", "`requirements_path`"],
        )
        for name in ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
    ),
    (
        "programs of a project that is not installed",
        {**PLAIN, "pyproject.toml": EMPTY + "[project.scripts]\nbx = 'b:run'\nby = 'b:run'\n"},
        None,
        ["pyproject.toml has no [build-system]", "[project.scripts] bx, by are not there", "add a [build-system]"],
    ),
    (
        "an entry point of a project that is not installed",
        {**PLAIN, "pyproject.toml": EMPTY + "[project.entry-points.acme]\nbx = 'b:run'\n"},
        None,
        ["[project.entry-points] acme is not there"],
    ),
    ("a script's metadata", {"b.py": SCRIPT, "r.txt": "one\n"}, "r.txt", ["b.py (its script metadata) is not read"]),
    ("a file beside the module", {"bots/Pipfile": "", **BOT}, None, ["bots/Pipfile is not read"]),
]


@pytest.mark.parametrize(("case", "files", "path", "said"), NAMED, ids=[case[0] for case in NAMED])
def test_a_file_that_lists_requirements_and_is_not_read_is_named(
    case: str, files: dict[str, str], path: str | None, said: list[str], tmp_path: Path, env: dict[str, str]
) -> None:
    target = TARGET if "bots/first.py" in files else "b:run"
    packed = pack_files(files, tmp_path, env, target, **({"requirements_path": path} if path else {}))
    assert len(packed.notes) == 1, packed.notes
    for part in said:
        assert part in packed.notes[0]


QUIET = [
    (
        "groups of development of many names",
        {
            **PLAIN,
            "pyproject.toml": EMPTY
            + "[dependency-groups]\n"
            + "".join(
                f"{name} = ['one']\n" for name in ("docs-auto", "gha-update", "pre-commit", "typechecking", "mypy")
            ),
        },
    ),
    ("development groups alone", {**PLAIN, "pyproject.toml": EMPTY + "[dependency-groups]\ndev = ['one']\n"}),
    (
        "included requirements",
        {**PLAIN, "requirements.txt": "-r requirements-base.txt\n", "requirements-base.txt": "one"},
    ),
    ("a pyproject of tools", {**PLAIN, "pyproject.toml": "[tool.ruff]\n", "requirements.txt": "one\n"}),
    ("requirements elsewhere", {**PLAIN, "docs/requirements.txt": "one\n"}),
    ("a setup.cfg of tools", {**PLAIN, "setup.cfg": "[flake8]\nmax-line-length = 120\n"}),
    ("a broken setup.cfg", {**PLAIN, "setup.cfg": "no section\n"}),
    (
        "requirements that a project reads",
        {
            **PLAIN,
            "requirements.txt": "one\n",
            "pyproject.toml": "[project]\nname='b'\nversion='1'\n# dependencies = {file = ['requirements.txt']}\n",
        },
    ),
]


@pytest.mark.parametrize(("case", "files"), QUIET, ids=[case[0] for case in QUIET])
def test_nothing_is_said_of_files_that_nobody_misses(
    case: str, files: dict[str, str], tmp_path: Path, env: dict[str, str]
) -> None:
    assert pack_files(files, tmp_path, env).notes == ()


@pytest.mark.parametrize(
    "metadata", ["# dependencies = [three]", "# dependencies = 'three", "# [[[", "# dependencies = ['x @ ${HOME}/x']"]
)
def test_metadata_of_a_script_that_is_wrong_is_told(metadata: str, tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {"b.py": f"# /// script\n{metadata}\n# ///\ndef run(p): return p\n"})
    said = refusal(pack_one(tmp_path, bot(at_path(code), "b:run"), env))
    assert "not valid TOML" in said or "${HOME}" in said


def test_code_around_the_metadata_of_a_script_may_change_without_a_new_lock(
    tmp_path: Path, env: dict[str, str]
) -> None:
    first = pack_files({"b.py": SCRIPT}, tmp_path, env)
    second = pack_files({"b.py": f"{SCRIPT}X = 1\n"}, tmp_path, env)
    assert first.locked is not None and second.locked is not None
    assert (first.locked.manifest, second.fetched) == (second.locked.manifest, False)


def test_what_ignore_files_leave_out_is_counted_and_named(tmp_path: Path, env: dict[str, str]) -> None:
    ignored = {"config.json": "{}", "_version.py": "", "data/a": "", "data/b/c": "", "pkg/cache/x": "", "empty.log": ""}
    rules = {".gitignore": "*.json\n_version.py\ndata/\n", ".factoryignore": "*.log\n", "pkg/.gitignore": "cache\n"}
    packed = pack_files({**PLAIN, "pkg/m.py": "", **rules, **ignored}, tmp_path, env)
    assert packed.left_out == (
        LeftOut("_version.py"),
        LeftOut("config.json"),
        LeftOut("data/", 2),
        LeftOut("empty.log"),
        LeftOut("pkg/cache/", 1),
    )
    assert packed.summary is not None
    assert packed.summary.left_out == "6 files: _version.py, config.json, data/ (2), empty.log and 1 more"
    again = pack_one(tmp_path, bot(at_path(tmp_path / "code"), "b:run"), env)
    assert (again.fetched, again.left_out) == (False, packed.left_out)
    assert not {"config.json", "data/a"} & set(names(packed))


def test_nothing_left_out_is_nothing_to_say() -> None:
    assert summary([]) == summary([LeftOut("empty/", 0)]) == ""


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("ModuleNotFoundError: No module named '_version'", "_version.py"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'config.json'", "config.json"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/opt/b/config.json'", "config.json"),
        ("FileNotFoundError: [Errno 2] No such file or directory: './data/model.bin'", "data/"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/home/x/data/model.bin'", "data/"),
        ("ModuleNotFoundError: No module named 'pkg.generated.pb2'", "pkg/generated/"),
        ("ImportError: cannot import name 'tables' from 'pkg'", "pkg/tables.py"),
        ("ModuleNotFoundError: No module named 'numpy'", None),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/etc/b.json'\n\n"
            "During handling of the above exception, another exception occurred:\n\n"
            "FileNotFoundError: [Errno 2] No such file or directory: 'config.json'",
            "config.json",
        ),
        ("ValueError: config.json", None),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'other.json'", None),
    ],
)
def test_what_a_bot_misses_is_found_among_what_was_left_out(message: str, path: str | None) -> None:
    left_out = ["_version.py", "config.json", "data/", "pkg/generated/", "pkg/tables.py"]
    assert missed(left_out, message) == path


ONLINE = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "HTTPS_PROXY")
POETRY = """
[tool.poetry]
package-mode = false
{more}
[tool.poetry.dependencies]
python = "^3.11"
six = "1.16.0"
"""
BACKEND = "[build-system]\nrequires = ['poetry-core']\nbuild-backend = 'poetry.core.masonry.api'\n"
BUILT: dict[str, dict[str, str]] = {
    "a poetry application": {
        "pyproject.toml": POETRY.format(more="name = 'b'\nversion = '1'\ndescription = ''\nauthors = []") + BACKEND
    },
    "a poetry application without a name": {"pyproject.toml": POETRY.format(more="") + BACKEND},
    "a poetry application with packages": {
        "pyproject.toml": POETRY.format(more="name = 'b'\nversion = '1'\npackages = [{include = 'b.py'}]") + BACKEND
    },
    "a setup.cfg alone": {
        "setup.cfg": "[metadata]\nname = b\nversion = 1\n[options]\npy_modules = b\ninstall_requires =\n  six==1.16.0\n"
    },
    "a setup.py that takes its version from git": {
        "setup.py": "from setuptools import setup\nsetup(name='s', use_scm_version=True, "
        "setup_requires=['setuptools_scm'], py_modules=['b'], install_requires=['six==1.16.0'])\n"
    },
}


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("case", BUILT)
def test_a_project_that_only_its_build_backend_can_read_is_read(case: str, tmp_path: Path, env: dict[str, str]) -> None:
    online = {name: value for name, value in env.items() if not name.startswith("PIP_")}
    online |= {name: os.environ[name] for name in ONLINE if name in os.environ}
    code = write_files(tmp_path / "code", {**PLAIN, **BUILT[case]})
    report = pack_all(tmp_path, [bot(at_path(code), "b:run")], {**online, "PIP_CONFIG_FILE": os.devnull})
    if any("check the network" in str(error.remedy) for _, error in report.failures):
        pytest.skip("no index can be reached from here")
    report.refuse_failures()
    assert required(report.bots[0]) == ["six"]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("ModuleNotFoundError: No module named 'pkg.more'", "src/pkg/more.py"),
        ("ModuleNotFoundError: No module named 'pkg.sub'", "src/pkg/sub/__init__.py"),
        ("[Errno 2] No such file or directory: '/e/lib/python3.11/site-packages/pkg/a.json'", "src/pkg/a.json"),
        ("[Errno 2] No such file or directory: '/e/lib/python3.11/site-packages/pkg/b.json'", None),
        ("[Errno 2] No such file or directory: 'a.json'", None),
        ("ModuleNotFoundError: No module named 'other'", None),
    ],
)
def test_what_is_in_the_source_and_not_in_what_is_installed_is_named(message: str, path: str | None) -> None:
    files = ["src/pkg/__init__.py", "src/pkg/more.py", "src/pkg/sub/__init__.py", "src/pkg/a.json"]
    bundle = Bundle("b", "0", True, "path", "code", layout=Layout(("src", ""), "pyproject.toml", project=""))
    said = told_as_not_installed(bundle, files, message)
    assert said is None if path is None else said is not None and said.startswith(f"{path} is in the source of b")
    assert told_as_not_installed(replace(bundle, layout=Layout(("src", ""))), files, message) is None


def test_modules_with_the_name_of_a_standard_one_are_named(tmp_path: Path, env: dict[str, str]) -> None:
    files = {
        "src/b.py": PLAIN["b.py"],
        "src/signal.py": "",
        "email/__init__.py": "",
        "src/pkg/types.py": "",
        "csv/a": "",
    }
    rename = "of Python's standard library: `import {}` may give either of them; rename the file"
    said = (
        f"src/signal.py has the name of a module {rename.format('signal')}",
        f"email/__init__.py has the name of a module {rename.format('email')} or folder",
    )
    assert pack_files(files, tmp_path, env).notes == said
    again = pack_one(tmp_path, bot(at_path(tmp_path / "code"), "b:run"), env)
    assert (again.fetched, again.notes) == (False, said)


def test_dependencies_of_a_poetry_project_without_a_build_system_are_named(tmp_path: Path, env: dict[str, str]) -> None:
    poetry = "[tool.poetry]\nname = 'b'\nversion = '1'\n[tool.poetry.dependencies]\npython = '^3.11'\n"
    packed = pack_files({**PLAIN, "pyproject.toml": f"{poetry}one = '*'\n"}, tmp_path, env)
    assert packed.notes == (
        "no requirements were found, and pyproject.toml's [tool.poetry.dependencies] is not read: "
        "add the [build-system] of poetry-core, and it is read",
    )
    assert pack_files({**PLAIN, "pyproject.toml": poetry}, tmp_path, env).notes == ()


def test_a_lock_file_beside_what_the_plan_names_is_where_that_may_come_from(
    tmp_path: Path, env: dict[str, str]
) -> None:
    files = {**PLAIN, "pyproject.toml": EMPTY, "uv.lock": "", "requirements.txt": "one\n"}
    assert pack_files(files, tmp_path, env, requirements_path="requirements.txt").notes == ()


def test_what_pbr_reads_is_not_said_to_be_unread(tmp_path: Path, env: dict[str, str]) -> None:
    files = {**PLAIN, **built("app"), "VERSION": "1", "setup.cfg": "# pbr\n", "requirements.txt": "one\n"}
    assert not [note for note in pack_files(files, tmp_path, env).notes if "requirements.txt" in note]


RUNS_GIT = {
    "setup.py": {"setup.py": "subprocess.check_output(['git', 'describe'])"},
    "a module that setup.py imports": {"setup.py": "from ver import v", "ver.py": "os.popen('git rev-parse HEAD')"},
    "a hook of hatch": {"hatch_build.py": "import git\n"},
}


@pytest.mark.parametrize("case", RUNS_GIT)
def test_a_build_that_runs_git_itself_is_named(case: str, tmp_path: Path, env: dict[str, str]) -> None:
    files = {**built("app"), "VERSION": "1", **RUNS_GIT[case]}
    notes = pack_files(files, tmp_path, env, "app:run").notes
    assert len(notes) == 1
    assert "runs git when the project is built, and a bundle has no git repository" in notes[0]


def test_a_build_that_only_speaks_of_git_is_not_named(tmp_path: Path, env: dict[str, str]) -> None:
    files = {**built("app"), "VERSION": "1", "setup.py": "url = 'git+https://h.io/x'  # see git\nimport gitlab\n"}
    assert pack_files(files, tmp_path, env, "app:run").notes == ()
