"""What a project needs of its source outside of the plan's subdirectory, and the version that git gives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_projects import archive, below, built, installed
from pack_sources import Repository, at_path, bot, git, git_source, names, pack_one, refusal, wheel, write_files

from factory_cdk.pack import Lock
from factory_cdk.pack.requirements.outside import refers_outside
from factory_cdk.pack.sources.version import version_of_tag


@pytest.fixture(autouse=True)
def library(index: Path) -> None:
    wheel(index, "one")


DEEP = "[tool.uv.sources]\ndeep = {path = '../deep'}\n"
SIBLINGS = {
    "a file above": {**below("app", built("app", "one", version="../VERSION")), "VERSION": "1.5"},
    "a file above, of another spelling": {
        **below("app", built("app", "one", version="../conf/VERSION")),
        "app/setup.cfg": "[metadata]\nversion = file: ../conf/VERSION\n",
        "conf/VERSION": "1.5",
    },
    "a folder of uv's sources": {
        **below("app", built("app", "one", "lib", more="[tool.uv.sources]\nlib = {path = '../lib'}\n")),
        "app/VERSION": "1.5", **below("lib", built("lib")), "lib/VERSION": "2.0",
    },
    "an editable folder": {
        **below("app", built("app", "one", "lib", more="[tool.uv.sources]\nlib={path='../libs/lib', editable=true}\n")),
        "app/VERSION": "1.5", **below("libs/lib", built("lib")), "libs/lib/VERSION": "2.0",
    },
    "a member of a workspace": {
        "pyproject.toml": "[tool.uv.workspace]\nmembers = ['app', 'lib']\n",
        **below("app", built("app", "one", "lib", more="[tool.uv.sources]\nlib = {workspace = true}\n")),
        "app/VERSION": "1.5", **below("lib", built("lib")), "lib/VERSION": "2.0",
    },
    "a workspace that names its members as sources": {
        "pyproject.toml": "[tool.uv.workspace]\nmembers=['app', 'lib']\n[tool.uv.sources]\nlib={workspace=true}\n",
        **below("app", built("app", "one", "lib")),
        "app/VERSION": "1.5", **below("lib", built("lib")), "lib/VERSION": "2.0",
    },
    "a sibling of a sibling": {
        **below("app", built("app", "lib", more="[tool.uv.sources]\nlib = {path = '../lib'}\n")),
        "app/VERSION": "1.5", **below("lib", built("lib", "one", "deep", more=DEEP)),
        "lib/VERSION": "2.0", **below("deep", built("deep")), "deep/VERSION": "3.0",
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", SIBLINGS)
@pytest.mark.parametrize("kind", ["path", "git"])
def test_what_is_around_the_subdirectory_is_there_at_pack_and_at_install(
    case: str, kind: str, repository: Repository, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**SIBLINGS[case], "other/large.bin": "x"}
    if kind == "git":
        repository.commit(files)
        source = git_source(repository, subdirectory="app")
    else:
        source = at_path(write_files(tmp_path / "code", files), subdirectory="app")
    packed = pack_one(tmp_path, bot(source, "app:run"), env)
    archive(packed).close()
    assert packed.bundle is not None
    assert [line.partition(" ")[0] for line in packed.bundle.requirements] == ["one==1.0"]
    assert "pyproject.toml" in names(packed)
    found = installed(packed, tmp_path / "home", monkeypatch, env)
    assert {"app-1.5", "one-1.0"} <= found
    wanted = {path.split("/")[-2] for path in files if path.endswith("backend.py")} - {"app"}
    assert {one.partition("-")[0] for one in found} - {"app", "one"} == wanted


def test_the_whole_source_is_packed_only_where_something_refers_to_it(tmp_path: Path, env: dict[str, str]) -> None:
    files = {**below("app", built("app", "one")), "app/VERSION": "1", "other/large.bin": "x"}
    code = write_files(tmp_path / "code", files)
    packed = pack_one(tmp_path, bot(at_path(code, subdirectory="app"), "app:run"), env)
    assert not [name for name in names(packed) if "large" in name]


def test_a_bundle_of_a_commit_is_reused_only_where_it_has_what_a_bot_needs(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit({**SIBLINGS["a file above"], "app/other/plain.py": "def run(p): return p\n",
                       "app/other/requirements.txt": "one\n"})  # fmt: skip
    source = git_source(repository, subdirectory="app")
    plain = bot(source, "other.plain:run", requirements_path="other/requirements.txt")
    assert not [name for name in names(pack_one(tmp_path, plain, env)) if "around" in name]
    packed = pack_one(tmp_path, bot(source, "app:run"), env)
    assert ".factory_cdk/around/VERSION" in names(packed)
    assert not [name for name in names(pack_one(tmp_path, plain, env)) if "around" in name]


def test_requirements_are_included_from_around_the_subdirectory(tmp_path: Path, env: dict[str, str]) -> None:
    files = {"base.txt": "-r app/more.txt\n", "app/requirements.txt": "-r ../base.txt\n", "app/more.txt": "one\n",
             "app/b.py": "def run(p): return p\n"}  # fmt: skip
    code = write_files(tmp_path / "code", files)
    packed = pack_one(tmp_path, bot(at_path(code, subdirectory="app"), "b:run"), env)
    archive(packed).close()
    assert packed.bundle is not None and len(packed.bundle.requirements) == 1
    assert packed.read == ("requirements.txt", ".factory_cdk/around/base.txt", "more.txt")


@pytest.mark.parametrize("line", ["-r ../../base.txt", "-r /etc/passwd", "-r ../gone.txt"])
def test_requirements_from_outside_of_the_source_are_refused(line: str, tmp_path: Path, env: dict[str, str]) -> None:
    write_files(tmp_path, {"base.txt": "one\n"})
    code = write_files(tmp_path / "code", {"app/requirements.txt": f"{line}\n", "app/b.py": "def run(p): return p\n"})
    assert "the source of b" in refusal(pack_one(tmp_path, bot(at_path(code, subdirectory="app"), "b:run"), env))


def test_a_folder_outside_of_the_source_is_named(tmp_path: Path, env: dict[str, str]) -> None:
    write_files(tmp_path, {**below("lib", built("lib")), "lib/VERSION": "2.0"})
    more = "[tool.uv.sources]\nlib = {path = '../../lib'}\n"
    files = {**below("app", built("app", "lib", more=more)), "app/VERSION": "1"}
    code = write_files(tmp_path / "code", files)
    said = refusal(pack_one(tmp_path, bot(at_path(code, subdirectory="app"), "app:run"), env))
    assert "inside its source" in said


@pytest.mark.parametrize(
    ("text", "depth", "refers"),
    [
        ("open('../VERSION')", 0, True),
        ('readme = "../README.md"', 0, True),
        ("path = '../lib'", 1, False),
        ("path = '../../lib'", 1, True),
        ("root = Path(__file__).parent", 0, False),
        ("root = Path(__file__).parent.parent", 0, True),
        ("Path(__file__).resolve().parents[1]", 0, True),
        ("Path(__file__).resolve().parents[0]", 0, False),
        ("os.path.dirname(os.path.dirname(__file__))", 0, True),
        ("lib @ {root:parent:uri}/lib", 0, True),
        ("lib = { workspace = true }", 0, True),
        ("print('...')  # and so on...", 0, False),
        ("version = '1.0..2'", 0, False),
        ("a = b[..., 0]", 0, False),
    ],
)  # fmt: skip
def test_references_to_what_is_around_are_read(text: str, depth: int, refers: bool) -> None:
    assert refers_outside([text], depth) == refers


def test_the_version_comes_from_the_tags_of_a_work_tree(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = write_files(tmp_path / "code", built("app", "one", uses_git=True))
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"], ["tag", "v1.2.3"]):
        git(code, *arguments)
    packed = pack_one(tmp_path, bot(at_path(code), "app:run"), env)
    assert (packed.version, packed.notes) == ("1.2.3", ())
    assert "app-1.2.3" in installed(packed, tmp_path / "home", monkeypatch, env)
    git(code, "commit", "-q", "--allow-empty", "-m", "two")
    later = pack_one(tmp_path, bot(at_path(code), "app:run"), env)
    assert later.version is not None and later.version.startswith("1.2.4.dev1+g")


def test_the_version_comes_from_the_tags_of_a_remote_and_stays_with_the_lock(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit({"old": "x"})
    git(repository.folder, "tag", "release-2.0", "main")
    for number in range(3):
        repository.commit({**built("app", "one", uses_git=True), "number": str(number)})
    one = bot(git_source(repository, branch="main"), "app:run")
    packed = pack_one(tmp_path, one, env)
    assert (packed.version is not None and packed.version.startswith("2.1.dev3+g")) or packed.version.startswith(
        "2.0.1.dev3"
    )
    assert packed.locked is not None and packed.locked.version == packed.version
    git(repository.folder, "tag", "v9.9", "main")
    lock = Lock("works", {"b": packed.locked})
    again = pack_one(tmp_path / "elsewhere", one, env, lock)
    assert again.error is None, again.error
    assert again.bundle is not None and packed.bundle is not None
    assert (again.version, again.bundle.digest) == (packed.version, packed.bundle.digest)


def test_without_git_a_version_from_git_is_said_to_be_unknown(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", built("app", "one", uses_git=True))
    packed = pack_one(tmp_path, bot(at_path(code), "app:run"), env)
    assert packed.error is None, packed.error
    assert any("its version comes from git" in note for note in packed.notes)


@pytest.mark.parametrize("tool", ["versioneer", "versioningit", "setuptools-git-versioning"])
def test_a_tool_that_cannot_be_told_a_version_is_named(tool: str, tmp_path: Path, env: dict[str, str]) -> None:
    files = {**built("app", "one"), "VERSION": "1"}
    code = write_files(tmp_path / "code", {**files, "pyproject.toml": f"{files['pyproject.toml']}[tool.{tool}]\n"})
    packed = pack_one(tmp_path, bot(at_path(code), "app:run"), env)
    assert any(tool in note for note in packed.notes), packed


@pytest.mark.parametrize(
    ("tag", "distance", "version"),
    [
        ("v1.2.3", 0, "1.2.3"), ("1.2", 0, "1.2"), ("release-1.2.3", 0, "1.2.3"), ("lib/v0.9", 0, "0.9"),
        ("v1.2.3", 4, "1.2.4.dev4+gabc"), ("v1.2", 1, "1.3.dev1+gabc"), ("v2.0.0rc1", 0, "2.0.0rc1"),
        ("v2.0.0rc1", 2, "2.0.0rc2.dev2+gabc"), ("v1.0.post1", 2, "1.0.post2.dev2+gabc"),
        ("2026.11.29", 0, "2026.11.29"),
        ("v1.2.3+local", 0, "1.2.3"), ("deploy-prod-2", 0, "2"), ("not-a-version", 0, None), ("v1.x", 0, None),
    ],
)  # fmt: skip
def test_a_tag_is_read_as_setuptools_scm_reads_it(tag: str, distance: int, version: str | None) -> None:
    assert version_of_tag(tag, distance, "abc") == version


def test_what_install_is_told_is_in_the_bundle(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", SIBLINGS["a folder of uv's sources"])
    with archive(pack_one(tmp_path, bot(at_path(code, subdirectory="app"), "app:run"), env)) as file:
        assert json.loads(file.read(".factory_cdk/source.json")) == {"projects": ["lib"], "subdirectory": "app"}
