"""What is rendered: whole, within EC2's limit, the same everywhere, and safe whatever the names are."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell
from bootstrap_cloud import FACTS

from factory_cdk.bootstrap import (
    BOOTSTRAP_LIMIT,
    USER_DATA_LIMIT,
    SectorFacts,
    bootstrap_program,
    compact,
    render_install,
    render_user_data,
    shared_user_data,
)
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Platform
from factory_cdk.version import __version__

HERE = Path(__file__).parent
SCRIPTS = HERE.parent.parent / "bootstrap_scripts"
SOURCE = bootstrap_program(Platform.LINUX)
WHEEL = ("factory_cdk-0.1.0-py3-none-any.whl", "5" * 64)
RENDERED = {
    "user-data.sh": render_user_data(FACTS, Platform.LINUX),
    "install.sh": render_install(*WHEEL, Platform.LINUX),
    "user-data.ps1": render_user_data(FACTS, Platform.WINDOWS),
    "install.ps1": render_install(*WHEEL, Platform.WINDOWS),
}
HOSTILE = [
    "it's",
    "'; touch escaped; '",
    "$(touch escaped)",
    "`touch escaped`",
    "${HOME} $env:PATH %PATH%",
    "line\nEND_OF_BOOTSTRAP\ntouch escaped\n",
    '"double" \\ back\\slash',
    "</powershell><persist>false</persist>",
    "\u2018typographic\u2019; Remove-Item escaped \u201a\u201b",
    "\x00\x1b[31m\r\n\t",
    "größe 日本 \U0001f600",
    "{{ 7 * 7 }}{% raw %}",
    "-n",
]


def powershell_errors(script: str) -> list[str]:
    """What a PowerShell parser cannot make sense of in `script`."""
    found = re.fullmatch(r"<powershell>\n(.*)</powershell>\n<persist>true</persist>\n", script, re.DOTALL)
    text = (found[1] if found else script).encode()
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    nodes, errors = [parser.parse(text).root_node], []
    while nodes:
        node = nodes.pop()
        nodes += node.children
        if node.type == "ERROR" or node.is_missing:
            errors.append(f"{node.start_point}: {text[node.start_byte : node.end_byte]!r}")
    return errors


@pytest.mark.parametrize("name", RENDERED)
def test_what_is_rendered_is_what_was_reviewed(name: str) -> None:
    """After a change on purpose: `python tests/bootstrap/test_bootstrap.py` writes the golden files."""
    assert RENDERED[name] == (HERE / "golden" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["user-data.sh", "install.sh"])
def test_shellcheck_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(RENDERED[name])
    shellcheck = [str(Path(sys.executable).parent / "shellcheck"), "--enable=all", "--exclude=SC2250,SC2310", str(path)]
    done = subprocess.run(shellcheck, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("name", ["user-data.ps1", "install.ps1", "bootstrap.ps1", "first.ps1"])
def test_powershell_parses(name: str) -> None:
    text = {**RENDERED, "bootstrap.ps1": bootstrap_program(Platform.WINDOWS), "first.ps1": first_ps1()}[name]
    assert powershell_errors(text) == []
    assert text.isascii()


def first_ps1() -> str:
    """The program inside the user-data, which is only text there."""
    found = re.search(r"@'\n(.*?)\n'@", RENDERED["user-data.ps1"], re.DOTALL)
    assert found
    return found[1]


def test_the_powershell_parser_sees_errors() -> None:
    assert powershell_errors("if ($true) { 'open }") != []


def test_the_programs_are_python_3_8_and_the_instance_gets_the_same_first_one() -> None:
    ast.parse(SOURCE, feature_version=(3, 8))
    parts = [(SCRIPTS / "linux" / name).read_text(encoding="utf-8") for name in ("aws.py", "first.py")]
    first = re.sub(r"^from aws import (\([^)]*\)|.*)\n", "", "\n".join(parts), flags=re.MULTILINE)
    whole = ast.parse(first, feature_version=(3, 8))
    for node in ast.walk(whole):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    assert ast.dump(ast.parse(compact(first))) == ast.dump(whole)
    assert compact(first) in RENDERED["user-data.sh"]


def test_user_data_is_frozen() -> None:
    """A change of these bytes stops every instance at its next update, and starts it without running the new ones."""
    digests = {name: hashlib.sha256(RENDERED[name].encode()).hexdigest() for name in ("user-data.sh", "user-data.ps1")}
    assert digests == json.loads((HERE / "golden" / "frozen.json").read_text()), "is stopping every instance meant?"


def test_bootstrap_py_imports_the_standard_library_alone() -> None:
    imported = {
        name.name.split(".")[0] if isinstance(node, ast.Import) else str(node.module).split(".")[0]
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= sys.stdlib_module_names


def test_the_limit_that_is_told_is_the_one_that_bootstrap_py_keeps() -> None:
    assert f'"FACTORY_CDK_LIMIT") or {BOOTSTRAP_LIMIT})' in SOURCE


@pytest.mark.parametrize("platform", Platform)
def test_sectors_differ_in_their_first_lines_alone(platform: Platform) -> None:
    other = SectorFacts(*(f"other-{field.name}" for field in fields(SectorFacts)))
    shared = shared_user_data(platform)
    for facts in (FACTS, other):
        text = render_user_data(facts, platform)
        assert text.endswith(shared)
        assert "\n\n" not in text.removesuffix(shared)
        assert len(text) - len(shared) < 600


@pytest.mark.parametrize("platform", Platform)
def test_a_new_version_does_not_change_user_data(platform: Platform) -> None:
    assert __version__ not in render_user_data(FACTS, platform)
    later = render_install("factory_cdk-9.9-py3-none-any.whl", "9" * 64, platform)
    assert later != render_install(*WHEEL, platform)


def test_rendering_is_the_same_in_another_process_with_another_hash_seed() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from bootstrap_cloud import FACTS; "
        "from factory_cdk.bootstrap import render_user_data; sys.stdout.write(render_user_data(FACTS, sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, str(HERE), Platform.LINUX]
    env = {"PYTHONHASHSEED": "7", "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, check=True, cwd="/", env=env)
    assert done.stdout.decode() == RENDERED["user-data.sh"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out_of_the_shell_script(name: str, tmp_path: Path) -> None:
    facts = replace(FACTS, factory=name, stage=name, sector=name, release_parameter=name, log_group=name)
    text = render_user_data(facts, Platform.LINUX)
    own = text.removesuffix(shared_user_data(Platform.LINUX))
    assert text != own and text.isascii()
    script = own + "\nprintf '%s\\n' \"$sector\" >sector.json\n"
    subprocess.run(["sh", "-eu", "-c", script], cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "sector.json").read_text()) == facts.for_instance()
    assert [path.name for path in tmp_path.iterdir()] == ["sector.json"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out_of_the_powershell_script(name: str) -> None:
    facts = replace(FACTS, factory=name, stage=name, sector=name, release_parameter=name, log_group=name)
    text = render_user_data(facts, Platform.WINDOWS)
    assert powershell_errors(text) == [] and text.isascii()
    assert text.count("</powershell>") == 1
    literal = re.match(r"<powershell>\n\$sector = ConvertFrom-Json '([^'\n]*)'\n\n", text)
    assert literal and json.loads(literal[1]) == facts.for_instance()


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\0" not in name and "<" not in name])
def test_no_name_of_a_wheel_breaks_out_of_an_install_script(name: str, tmp_path: Path) -> None:
    assert powershell_errors(render_install(name, "5" * 64, Platform.WINDOWS)) == []
    text = render_install(name, "5" * 64, Platform.LINUX)
    line = re.search(r"^wheel=.*?(?=^sha256=)", text, re.DOTALL | re.MULTILINE)
    assert line
    script = line[0] + 'printf %s "$wheel" >runner\n'
    subprocess.run(["sh", "-eu", "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "runner").read_bytes() == name.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["runner"]


@pytest.mark.parametrize("platform", Platform)
def test_user_data_over_the_limit_is_refused_with_the_sector_and_the_size(platform: Platform) -> None:
    with pytest.raises(FactoryError, match=r"user-data of sector 'ec2_box_1' is [\d,]+ bytes, EC2 takes 16,384"):
        render_user_data(replace(FACTS, log_group="x" * USER_DATA_LIMIT), platform)


def test_a_template_that_prints_without_quoting_does_not_render(tmp_path: Path) -> None:
    """The package is copied as an installed wheel has it, with a template that forgets the filter."""
    package = tmp_path / "factory_cdk"
    source = HERE.parent.parent / "factory_cdk"
    for name in ("__init__.py", "bootstrap.py", "diagnostics.py", "plan/__init__.py", "plan/model.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text((source / name).read_text() if "__init__" not in name else "")
    for path in SCRIPTS.rglob("*.*"):
        copy = package / "bootstrap_scripts" / path.relative_to(SCRIPTS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text().replace("sector | json | ps", "sector.sector"))
    program = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]; from bootstrap_cloud import FACTS; "
        "from factory_cdk.bootstrap import render_user_data; from factory_cdk.plan.model import Platform; "
        "print(len(render_user_data(FACTS, Platform.LINUX))); render_user_data(FACTS, Platform.WINDOWS)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(HERE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == str(len(RENDERED["user-data.sh"]))
    assert "TypeError: a bootstrap script prints 'ec2_box_1' without a quoting filter" in done.stderr


if __name__ == "__main__":
    for golden, content in RENDERED.items():
        (HERE / "golden" / golden).write_text(content, encoding="utf-8")
    frozen = {name: hashlib.sha256(RENDERED[name].encode()).hexdigest() for name in ("user-data.sh", "user-data.ps1")}
    (HERE / "golden" / "frozen.json").write_text(json.dumps(frozen, indent=1) + "\n", encoding="utf-8")
