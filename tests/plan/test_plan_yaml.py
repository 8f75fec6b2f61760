"""F0: the file and its YAML."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plan_texts import LOCAL, Case, errors, load, prove, unmarked

from factory_cdk.plan.load import load_plan
from factory_cdk.plan.yaml.text import MAX_BYTES

CASES = [
    Case(
        "a bracket that is not closed",
        "F010",
        "{path: .}\n      bot_path: works:first",
        "{path: .\n      bot_path§: works:first",
        ("YAML syntax error", "it started on line 5"),
        "bracket",
    ),
    Case(
        "a colon in a plain value",
        "F010",
        "name: demo",
        "name: demo§: again",
        ("mapping values are not allowed",),
        "quote",
    ),
    Case(
        "a line that has slipped, before one that has not",
        "F010",
        "    first:\n      source: {path: .}\n      bot_path: works:first\n    second:",
        "  first:\n      source: {path: .}\n      bot_path: works:first\n    §second:",
        ("YAML syntax error",),
        "check the indentation of line 4 above it",
    ),
    Case(
        "a quote that is not closed",
        "F010",
        "      first: second\n",
        "      first: §'second\n",
        ("this quote is never closed",),
        "close it",
    ),
    Case(
        "a value that starts with a reserved character",
        "F010",
        "name: demo",
        "name: §@demo",
        ("cannot start any token",),
        "quote the value",
    ),
    Case(
        "a backslash in double quotes",
        "F010",
        "bot_path: works:first",
        'bot_path: "a§\\p"',
        ("unknown escape",),
        "backslash",
    ),
    Case(
        "a lone surrogate as an escape",
        "F010",
        "name: demo",
        'name: "\\u§d800"',
        ("Unicode character escape",),
        "surrogate",
    ),
    Case(
        "a key that is indented like none beside it",
        "F010",
        "  workflows:\n",
        "   §workflows:\n",
        ("YAML syntax error",),
        "indent this line",
    ),
    Case(
        "no space after a colon",
        "F010",
        "        type: local\n        bots:",
        "        type:local\n        bots§:",
        ("mapping values",),
        "put a space after the colon in line 14: `type: …`",
    ),
    Case(
        "an equals sign for a colon",
        "F010",
        "        type: local\n        bots:",
        "        type = local\n        bots§:",
        ("mapping values",),
        "write a colon and a space in line 14: `type: …`",
    ),
    Case(
        "a Windows path in double quotes",
        "F010",
        "{path: .}\n      bot_path: works:first",
        '{path: "C:\\U§sers\\me"}\n      bot_path: works:first',
        ("hexdecimal",),
        "use single quotes",
    ),
    Case(
        "a path with an escape that exists",
        "F216",
        "{path: .}\n      bot_path: works:first",
        '{path: §"C:\\bots"}\n      bot_path: works:first',
        ("non-printable",),
        "use single quotes",
    ),
    Case("a pattern as a value", "F010", "name: demo", "name: *§.csv", ("alias",), "quote the value: `*`"),
    Case(
        "an extra comma",
        "F010",
        "      first: second",
        "      {first: second,§, }",
        ("did not find expected node",),
        "remove the extra comma",
    ),
    Case(
        "text that starts with braces",
        "F016",
        "name: demo",
        "name: demo\n  meta: {a: {§{ x }}}",
        ("used as a key",),
        "quote text that starts with `{`",
    ),
    Case(
        "a number with a leading zero in quotes",
        "F103",
        "processes: 2",
        "processes: §'010'",
        ("whole number",),
        "without quotes: 10",
    ),
    Case(
        "a decimal number with a leading zero",
        "F021",
        "name: demo",
        "name: demo\n  config: {A: §00123}",
        ("the number 83",),
        "123 if it is a decimal number",
    ),
    Case("a tab that indents", "F011", "  name: demo", "§\tname: demo", ("tab",), "spaces"),
    Case(
        "a tab among the spaces that indent",
        "F011",
        "        type: local",
        "      § \ttype: local".replace("§ ", " §"),
        ("tab",),
        "spaces",
    ),
    Case(
        "a duplicate key",
        "F012",
        "  name: demo\n",
        "  name: demo\n  §name: other\n",
        ("duplicate key `name`",),
        "line 2",
    ),
    Case(
        "a duplicate bot argument in another spelling",
        "F012",
        "processes: 2",
        "processes: 2\n            §-p: 3",
        ("duplicate argument: `-p`", "`processes`"),
        "remove one",
    ),
    Case(
        "a second merge key",
        "F012",
        "          first:\n",
        "          first: &a {}\n          second: {<<: *a, §<<: *a}\n",
        ("`<<`",),
        "<<: [*first, *second]",
        also=("F012",),
    ),
    Case(
        "a duplicate secret",
        "F012",
        "  name: demo\n",
        "  name: demo\n  secrets: [TOKEN, §TOKEN]\n",
        ("duplicate secret `TOKEN`",),
    ),
    Case(
        "a Python tag",
        "F013",
        "name: demo",
        "name: §!!python/object/apply:os.system ['id']",
        ("!!python/object/apply:os.system",),
        "without a tag",
        also=("F103",),
    ),
    Case("a tag of one's own", "F013", "name: demo", "name: §!secret demo", ("!secret",), "without a tag"),
    Case("a tag for sets", "F013", "name: demo", "name: demo\n  meta: §!!set {a}", ("!!set",), "without a tag"),
    Case(
        "a list's tag on a mapping",
        "F013",
        "name: demo",
        "name: demo\n  meta: §!!seq {a: b}",
        ("!!seq",),
        "without a tag",
    ),
    Case("an alias without an anchor", "F015", "name: demo", "name: §*nowhere", ("&nowhere",), "before its aliases"),
    Case(
        "an alias inside its own anchor",
        "F015",
        "name: demo",
        "name: demo\n  meta: &loop {again: §*loop}",
        ("*loop", "inside its own anchor"),
        "another anchor",
    ),
    Case("a number as a key", "F016", "      here:\n", "      §12: {}\n      here:\n", ("`12`", "12"), "'12'"),
    Case("Norway as a key", "F016", "      here:\n", "      §no: {}\n      here:\n", ("`no`", "false"), "'no'"),
    Case("an `on` as a key", "F016", "      here:\n", "      §on: {}\n      here:\n", ("`on`", "true"), "'on'"),
    Case("a null as a key", "F016", "      here:\n", "      §~: {}\n      here:\n", ("`~`", "null"), "'~'"),
    Case(
        "a list as a key",
        "F016",
        "      here:\n",
        "      ? §[a, b]\n      : {}\n      here:\n",
        ("a list or mapping",),
        "text",
    ),
    Case(
        "a mapping as a key",
        "F016",
        "      here:\n",
        "      ? §{a: b}\n      : {}\n      here:\n",
        ("a list or mapping",),
        "text",
    ),
    Case(
        "a missing key",
        "F016",
        "name: demo",
        "name: demo\n  meta: {? §: x}",
        ("a key is missing",),
        "write the key",
    ),
    Case(
        "another document",
        "F017",
        "      first: second\n",
        "      first: second\n§---\nfactory: {}\n",
        ("one YAML document",),
        "---",
    ),
    Case(
        "an infinite number",
        "F019",
        "name: demo",
        "name: demo\n  meta: {x: §.inf}",
        ("`.inf`", "9,007,199,254,740,992"),
        "quote it",
    ),
    Case("a number that is none", "F019", "name: demo", "name: demo\n  meta: {x: §.nan}", ("`.nan`",), "quote it"),
    Case(
        "a whole number that JSON readers round",
        "F019",
        "name: demo",
        "name: demo\n  meta: {x: §9007199254740993}",
        ("`9007199254740993`", "9,007,199,254,740,992"),
        "'9007199254740993'",
    ),
    Case(
        "a number with the bits of a CDK token",
        "F019",
        "name: demo",
        "name: demo\n  meta: {x: §-1.8881545897087626e+289}",
        ("exactly",),
        "quote it",
    ),
    Case(
        "a number of many digits",
        "F019",
        "processes: 2",
        "processes: §" + "9" * 100,
        ("100 characters", "64"),
        "quote it",
        also=("F103",),
    ),
    Case(
        "a hexadecimal number without digits",
        "F019",
        "processes: 2",
        "processes: §0x_",
        ("`0x_`", "not a valid number"),
        "quote it",
        also=("F103",),
    ),
    Case(
        "a tag that its text does not fit",
        "F019",
        "processes: 2",
        "processes: §!!int two",
        ("`two`", "not a valid number"),
        "without a tag",
        also=("F103",),
    ),
    Case("a merge of something else", "F020", "name: demo", "name: demo\n  meta: {<<: §text}", ("`<<`",), "&name"),
    Case(
        "a merge of a list that holds something else",
        "F020",
        "name: demo",
        "name: demo\n  meta: {<<: §[text, {a: b}]}",
        ("`<<`",),
        "&name",
    ),
    Case("an octal number", "F021", "processes: 2", "processes: §010", ("`010`", "the number 8"), "'010'"),
    Case("minutes and seconds", "F021", "processes: 2", "timeout: §1:30", ("`1:30`", "the number 90"), "'1:30'"),
    Case(
        "a version in config",
        "F021",
        "name: demo",
        "name: demo\n  config: {VERSION: §1.10}",
        ("`1.10`", "the number 1.1"),
        "'1.10'",
    ),
    Case("a yes in config", "F021", "name: demo", "name: demo\n  config: {COUNTRY: §no}", ("`no`", "false"), "'no'"),
    Case("a truth deep in meta", "F021", "name: demo", "name: demo\n  meta: {a: [{b: §on}]}", ("`on`", "true"), "'on'"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


FILE_CODES = {"F001", "F002", "F003", "F004", "F005", "F006", "F014", "F018"}
"""Codes that the tests below cause."""


def only(file: Path | str) -> tuple[str, str, str, int, int]:
    """Code, message, hint, line and column of the one diagnostic that loading `file` gives."""
    loaded = load_plan(file)
    assert loaded.plan is None
    (found,) = loaded.diagnostics
    return found.code, found.message, found.hint or "", found.line, found.column


def test_the_base_plan_has_nothing_wrong(tmp_path: Path) -> None:
    assert load(LOCAL, tmp_path).diagnostics == ()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    code, message, hint, *_ = only(tmp_path / "absent.yml")
    assert code == "F001" and "absent.yml" in message and "--plan" in hint


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    code, message, hint, *_ = only(tmp_path)
    assert code == "F003" and str(tmp_path) in message and "inside" in hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(LOCAL)
    file.chmod(0)
    code, message, hint, *_ = only(file)
    assert code == "F002" and "Permission denied" in message and "permissions" in hint


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "plan.yml/below"])
def test_a_path_that_cannot_be_opened_says_why(name: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text(LOCAL)
    code, _, hint, *_ = only(f"{tmp_path}/{name}")
    assert code == "F002" and hint


def test_a_file_over_the_limit_is_refused_and_one_at_the_limit_is_read(tmp_path: Path) -> None:
    at_limit = LOCAL + "#" * (MAX_BYTES - len(LOCAL))
    assert load(at_limit, tmp_path).plan is not None
    assert load(at_limit + "#", tmp_path).plan is None
    code, message, hint, *_ = only(tmp_path / "plan.yml")
    assert code == "F004" and "2,097,152 bytes" in message and "aliases" in hint


def test_an_endless_file_is_read_to_the_limit_only() -> None:
    code, message, *_ = only("/dev/zero")
    assert code == "F004" and "2,097,152" in message


@pytest.mark.parametrize(
    ("data", "words", "line", "column"),
    [
        (b"\x7fELF\x02\x01\x01\x00", "U+007F", 1, 1),
        (b"factory:\n  name: d\xe9mo\n", "not UTF-8 text (byte 19 is 0xe9)", 2, 10),
        ("factory: {}".encode("utf-16"), "UTF-16", 1, 1),
        (b"a: 1\nb: \0\n", "U+0000", 2, 4),
        ("a: 1\nb: é \x1b[2J\n".encode(), "U+001B", 2, 6),
        ("a: \x9b31m\n".encode(), "U+009B", 1, 4),
        ("a: 1\n\ufeffb: 2\n".encode(), "U+FEFF", 2, 1),
        (b"a: \xed\xa0\x80\n", "not UTF-8", 1, 4),
    ],
)
def test_what_is_no_yaml_text_is_refused_at_its_place(
    data: bytes, words: str, line: int, column: int, tmp_path: Path
) -> None:
    (tmp_path / "plan.yml").write_bytes(data)
    code, message, hint, *place = only(tmp_path / "plan.yml")
    assert code == "F005" and words in message and hint
    assert place == [line, column]


@pytest.mark.parametrize("data", [b"", b" \n\n", b"\xef\xbb\xbf", b"# only\n# comments\n"])
def test_an_empty_file_says_what_a_plan_starts_with(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_bytes(data)
    code, message, hint, *_ = only(tmp_path / "plan.yml")
    assert code == "F006" and "plan.yml" in message and "factory:" in hint


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_other_line_ends_and_a_byte_order_mark_are_read_alike(ends: str, tmp_path: Path) -> None:
    text, line, column = unmarked(LOCAL.replace("processes: 2", "processes: §0"))
    loaded = load("\ufeff" + text.replace("\n", ends), tmp_path)
    assert [(found.code, found.line, found.column) for found in loaded.diagnostics] == [("F112", line, column)]


def test_line_ends_that_only_yaml_knows_do_not_shift_places(tmp_path: Path) -> None:
    text, line, column = unmarked(LOCAL.replace("name: demo", "name: demo # a\u2028b\x85c").replace("s: 2", "s: §0"))
    text = text.replace("# a\u2028b\x85c", '\n  meta: {a: "b\u2028c\x85\u2029d"}')
    loaded = load(text, tmp_path)
    assert [(found.code, found.line, found.column) for found in loaded.diagnostics] == [("F112", line + 1, column)]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_what_is_wrong_at_the_end_is_reported_inside_the_file(end: str, tmp_path: Path) -> None:
    (found,) = load(LOCAL + "*box" + end, tmp_path).diagnostics
    assert (found.code, found.line) == ("F010", 22 + bool(end))


BOMBS = {
    "aliases of aliases": "x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)),
    "merges of merges": "x-0: &a0 {k0: 1}\n"
    + "".join(f"x-{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: {{<<: *a{i - 1}}}}}\n" for i in range(1, 500)),
    "one big list a thousand times": f"x-0: &big [{', '.join('1' * 1000)}]\n" + "x-1: [" + "*big, " * 1000 + "1]\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_alias_bomb_is_refused_before_it_is_expanded(name: str, tmp_path: Path) -> None:
    loaded = load(BOMBS[name], tmp_path)
    (found,) = loaded.diagnostics
    assert found.code == "F014" and "250,000 values" in found.message and found.hint


DEEP = {
    "brackets": "[" * (MAX_BYTES - 1),
    "braces": "{" * (MAX_BYTES - 1),
    "dashes": "- " * (MAX_BYTES // 2 - 1),
    "question marks": "? " * (MAX_BYTES // 2 - 1),
    "65 levels": "x-a: " + "[" * 65 + "]" * 65,
    "aliases in lists": "x-0: &a0 [1]\n" + "".join(f"x-{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 5000)),
    "aliases in mappings": "x-0: &a0 {a: 1}\n" + "".join(f"x-{i}: &a{i} {{a: *a{i - 1}}}\n" for i in range(1, 5000)),
    "merged mappings": "x-0: &a0 {a: 1}\n"
    + "".join(f"x-{i}: &a{i} {{<<: {{a: *a{i - 1}}}}}\n" for i in range(1, 5000)),
}


@pytest.mark.parametrize("name", DEEP)
def test_nesting_is_bounded_also_through_aliases(name: str, tmp_path: Path) -> None:
    (found,) = load(DEEP[name], tmp_path).diagnostics
    assert found.code == "F018" and "64 levels" in found.message and found.hint


@pytest.mark.parametrize(
    "number", ["1" + ":1" * 900_000, "1" + ":1" * 900_000 + ".0", "0x" + "f" * 1_800_000, "9" * 1_800_000]
)
def test_numbers_without_end_cost_no_time(number: str, tmp_path: Path) -> None:
    loaded = load(f"factory: {number}\n", tmp_path)
    assert [error.code for error in errors(loaded)] == ["F103"]
    assert all(len(found.message) < 1000 for found in loaded.diagnostics)


EVALUATED = [
    "${Token[AWS.AccountId.4]}",
    "a${Token[TOKEN.1]}b",
    "#{Token[AWS.NotificationARNs.2]}",
    "{{resolve:ssm:/a}}",
]


@pytest.mark.parametrize("text", EVALUATED)
@pytest.mark.parametrize(
    "spot",
    [
        "  name: '{}'\n",
        "  name: demo\n  meta: {{'{}': x}}\n",
        '  name: demo\n  meta: {{x: [{{y: "{}"}}]}}\n',
        "  name: demo\n  config: {{X: '{}'}}\n",
        "  name: demo\n  config: {{'{}': x}}\n",
        "  name: demo\n  tags: {{x: '{}'}}\n",
        "  name: demo\n  tags:\n    x: |\n      {}\n",
        "  name: demo\n  secrets: ['{}']\n",
    ],
)
def test_what_cdk_or_cloudformation_would_evaluate_is_refused_wherever_it_stands(
    text: str, spot: str, tmp_path: Path
) -> None:
    loaded = load(LOCAL.replace("  name: demo\n", spot.format(text)), tmp_path)
    assert "F108" in {error.code for error in errors(loaded)}
    found = next(error for error in errors(loaded) if error.code == "F108")
    assert "evaluate" in found.message and found.hint


def test_several_problems_are_all_found_in_one_run(tmp_path: Path) -> None:
    text = (
        LOCAL.replace("name: demo", "name: 1demo\n  nmae: x")
        .replace("works:first", "works")
        .replace("processes: 2", "processes: 0\n            proceses: 1")
        .replace("workflow: flow", "workflow: flwo")
        .replace("first: second", "first: thrid")
    )
    found = [(error.code, error.line) for error in errors(load(text, tmp_path))]
    assert found == [("F106", 2), ("F102", 3), ("F215", 7), ("F202", 13), ("F112", 19), ("F102", 20), ("F201", 23)]


def test_two_broken_scalars_are_both_found_before_anything_else_is(tmp_path: Path) -> None:
    loaded = load("factory: {name: !a x, bots: !b y, meta: .inf, 1: 2, 1.5: 2, yes: 3}", tmp_path)
    codes = [error.code for error in errors(loaded)]
    assert codes.count("F013") == 2 and codes.count("F016") == 3 and "F019" in codes
