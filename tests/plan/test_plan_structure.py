"""F1: the structure of a plan, its names, and what may not stand in it as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import AWS, LOCAL, Case, prove

from factory_cdk.plan.load import load_plan

CASES = [
    # required keys: at the key whose mapping lacks them
    Case("no factory", "F101", LOCAL, "§x-factory: {}\n", ("missing key `factory`",), "factory:"),
    Case("no name", "F101", "factory:\n  name: demo\n", "§factory:\n", ("missing key `name` in `factory`",), "`name:`"),
    Case(
        "no bots",
        "F101",
        LOCAL,
        "§factory: {name: demo, stages: {}}\n",
        ("missing key `bots` in `factory`",),
        "bot",
        also=("F107",),
    ),
    Case(
        "no stages",
        "F101",
        LOCAL,
        "§" + LOCAL[: LOCAL.index("  stages")],
        ("missing key `stages` in `factory`",),
        "stage",
    ),
    Case(
        "no source",
        "F101",
        "first:\n      source: {path: .}\n",
        "§first:\n",
        ("missing key `source` in `first`",),
        "pypi",
    ),
    Case("no type", "F101", "here:\n        type: local\n", "§here:\n", ("missing key `type` in `here`",), "local"),
    Case(
        "no bots on a sector",
        "F101",
        "      here:\n",
        "      §there: {type: local}\n      here:\n",
        ("missing key `bots` in `there`",),
        "bot",
    ),
    Case(
        "no bot_path",
        "F111",
        "    first:\n      source: {path: .}\n      bot_path: works:first",
        "    §first:\n      source: {path: .}",
        ("`first`", "bot_path"),
        "module.path:attribute",
    ),
    # unknown keys, at every level
    Case(
        "an unknown key beside factory",
        "F102",
        "factory:",
        "§factroy: 1\nfactory:",
        ("`factroy`",),
        "did you mean `factory`?",
    ),
    Case("a key of one's own without x-", "F102", "factory:", "§shared: 1\nfactory:", ("`shared`",), "`x-shared`"),
    Case(
        "an unknown key of the factory",
        "F102",
        "  stages:",
        "  §stagse: {}\n  stages:",
        ("`stagse`",),
        "did you mean `stages`?",
    ),
    Case(
        "an unknown key of a bot",
        "F102",
        "      bot_path: works:first",
        "      bot_path: works:first\n      §requirement_path: r",
        ("`requirement_path` of `first`",),
        "did you mean `requirements_path`?",
    ),
    Case(
        "an unknown key of a source",
        "F102",
        "first:\n      source: {path: .}",
        "first:\n      source: {path: ., §subdirectroy: x}",
        ("`subdirectroy` of `source`",),
        "did you mean `subdirectory`?",
    ),
    Case(
        "a dashed clone option",
        "F102",
        "first:\n      source: {path: .}",
        "first:\n      source: {url: 'https://h/r', §--depth: 1}",
        ("`--depth`",),
        "did you mean `depth`?",
    ),
    Case(
        "an unknown key of a sector",
        "F102",
        "        region_name: eu-west-2",
        "        §region: eu-west-2",
        ("`region` of `box`",),
        "did you mean `region_name`?",
        base=AWS,
    ),
    Case(
        "a sector inside a sector",
        "F102",
        "        type: local\n",
        "        type: local\n        §inner: {type: local, bots: {first: }}\n",
        ("`inner` of `here`",),
        "known",
    ),
    Case(
        "an unknown bot argument",
        "F102",
        "processes: 2",
        "§proceses: 2",
        ("`proceses` of `second`",),
        "did you mean `processes`?",
    ),
    Case(
        "an unknown debug key",
        "F102",
        "  stages:",
        "  debug: {§demolish_on_falure: true}\n  stages:",
        ("`demolish_on_falure` of `debug`",),
        "did you mean `demolish_on_failure`?",
    ),
    # types
    Case("a name that YAML reads as a truth", "F103", "name: demo", "name: §no", ("`name`", "text", "false"), "'no'"),
    Case(
        "a name that YAML reads as a number",
        "F103",
        "name: demo",
        "name: §2",
        ("`name`", "the number 2"),
        "start it with a letter",
    ),
    Case(
        "a queue name of minutes",
        "F103",
        "processes: 2",
        "queue-name: §12:30",
        ("`queue-name` of `second`", "the number 750"),
        "'12:30'",
    ),
    Case(
        "a bot without anything",
        "F103",
        "    first:\n      source: {path: .}\n      bot_path: works:first",
        "    first:§",
        ("`first` of `bots`", "a mapping, not null"),
        "indent the next lines",
        also=(),
    ),
    Case(
        "a truth for processes",
        "F103",
        "processes: 2",
        "processes: §true",
        ("`processes` of `second`", "a whole number, not true"),
    ),
    Case("a fraction of a process", "F103", "processes: 2", "processes: §1.5", ("a whole number", "1.5")),
    Case(
        "processes in quotes",
        "F103",
        "processes: 2",
        "processes: §'2'",
        ("a whole number", "the text `2`"),
        "without quotes",
    ),
    Case(
        "a debug value in quotes",
        "F103",
        "  stages:",
        "  debug: {demolish_on_failure: §'false'}\n  stages:",
        ("true or false", "the text `false`"),
        "without quotes",
    ),
    Case(
        "debug that is no mapping", "F103", "  stages:", "  debug: §true\n  stages:", ("`debug`", "a mapping, not true")
    ),
    Case(
        "a misspelled key of a stage",
        "F103",
        "workflow: flow",
        "workflw: §flow",
        ("`workflw` of `test`", "a mapping"),
        "did you mean `workflow`?",
    ),
    Case(
        "a sector that is a text",
        "F103",
        "      here:\n",
        "      there: §x\n      here:\n",
        ("`there` of `test`", "a mapping"),
        "the name of a sector",
    ),
    Case(
        "an element of a workflow argument",
        "F103",
        "processes: 2",
        "workflow: [§1]",
        ("element 1 of `workflow`", "text"),
        "'1'",
    ),
    Case("a list of tags", "F103", "  stages:", "  tags: §[a, b]\n  stages:", ("`tags`", "a mapping, not a list")),
    Case("a tag that is a list", "F103", "  stages:", "  tags: {a: §[b]}\n  stages:", ("`a` of `tags`", "not a list")),
    # allowed values
    Case(
        "an unknown sector type",
        "F104",
        "type: local",
        "type: §lambda",
        ("`type` of `here`", "`lambda`", "`local` or `aws`"),
    ),
    Case(
        "an unknown platform",
        "F104",
        "        region_name:",
        "        platform: §windos\n        region_name:",
        ("`platform`", "`windos`"),
        "did you mean `windows`?",
        base=AWS,
    ),
    Case(
        "an unknown launcher",
        "F104",
        "processes: 2",
        "launcher: §qlax",
        ("`launcher` of `second`", "`qlax`"),
        "did you mean `qalx`?",
    ),
    Case("a python of another kind", "F104", "processes: 2", "python: §2.7", ("`2.7`", "Python 3"), "3.12"),
    Case(
        "a python on a sector",
        "F104",
        "        type: local",
        "        type: local\n        python: §three",
        ("`three`",),
        "3.12",
    ),
    # the root
    Case("a list as a plan", "F105", LOCAL, "§- factory\n", ("a mapping", "a list"), "factory:"),
    Case("a text as a plan", "F105", LOCAL, "§hello\n", ("a mapping", "the text `hello`"), "factory:"),
    # names
    Case(
        "a factory's name with a space",
        "F106",
        "name: demo",
        "name: §my factory",
        ("`my factory`", "a letter, then up to 39"),
        "`my_factory`",
    ),
    Case("a factory's name with an escape", "F106", "name: demo", 'name: §"a\\eb"', ("a letter, then up to 39",), ""),
    Case(
        "a factory's name with a line end", "F106", "name: demo", 'name: §"demo\\n"', ("a letter, then up to 39",), ""
    ),
    Case(
        "a bot's name of 41 characters",
        "F106",
        "    second:\n      source",
        f"    §{'b' * 41}: {{source: {{path: .}}, bot_path: 'm:f'}}\n    second:\n      source",
        ("41 characters", "up to 39"),
        "",
    ),
    Case("a stage's name with a dot", "F106", "    test:\n", "    §te.st:\n", ("`te.st`",), ""),
    Case("a stage that is a date", "F106", "    test:\n", "    §2026-01-01:\n", ("`2026-01-01`",), ""),
    Case("a sector's name with a path", "F106", "      here:\n", "      §../here:\n", ("`../here`",), ""),
    Case(
        "a workflow's name with a dollar",
        "F106",
        "    flow:\n",
        "    §$flow: {first: second}\n    flow:\n",
        ("`$flow`",),
        "",
    ),
    Case(
        "an alarm's name with a space",
        "F106",
        "    idle:\n",
        "    §too idle:\n",
        ("`too idle`",),
        "",
        also=("F203",),
        base=AWS,
    ),
    # emptiness
    Case(
        "an empty mapping of bots",
        "F107",
        LOCAL[LOCAL.index("  bots:") : LOCAL.index("  stages:")],
        "  §bots: {}\n",
        ("`bots` is empty",),
        "at least one",
        also=("F201",),
    ),
    Case(
        "an empty mapping of stages",
        "F107",
        LOCAL[LOCAL.index("  stages:") : LOCAL.index("  workflows:")],
        "  §stages: {}\n",
        ("`stages`", "empty"),
        "at least one",
    ),
    Case(
        "a stage without a sector",
        "F107",
        "  workflows:",
        "    §bare: {protect: true}\n  workflows:",
        ("`bare`", "no sector"),
        "type:",
    ),
    Case(
        "a sector without bots",
        "F107",
        "      here:\n",
        "      there: {type: local, §bots: {}}\n      here:\n",
        ("`bots` of `there` is empty",),
        "at least one",
    ),
    Case(
        "an empty text",
        "F107",
        "bot_path: works:first",
        "§bot_path: ''",
        ("`bot_path` of `first` is empty",),
        "remove the key",
    ),
    Case(
        "an empty command",
        "F107",
        "bot_path: works:first",
        "§command: []",
        ("`command` of `first` is empty",),
        "give it a value",
    ),
    # what would be evaluated (the texts are in test_plan_yaml)
    Case(
        "a Ref in meta",
        "F108",
        "  stages:",
        "  meta: {a: [{§Ref: x}]}\n  stages:",
        ("CloudFormation", "`Ref`"),
        "another key",
    ),
    Case(
        "a tag without a value",
        "F107",
        "  stages:",
        "  tags: {§a: ''}\n  stages:",
        ("`a` of `tags`",),
        "give it a value",
    ),
    Case(
        "a control character in meta",
        "F114",
        "  stages:",
        '  meta: {a: [§"C:\\bots"]}\n  stages:',
        ("U+0008",),
        "remove it: templates",
    ),
    Case(
        "a control character as a key of meta",
        "F114",
        "  stages:",
        '  meta: {§"\\x9F": 1}\n  stages:',
        ("U+009F",),
        "remove it: templates",
    ),
    Case(
        "a function in meta", "F108", "  stages:", "  meta: {§'Fn::Sub': x}\n  stages:", ("`Fn::Sub`",), "another key"
    ),
    Case(
        "a function as a tag",
        "F108",
        "  stages:",
        "  tags: {§'Fn::If': x}\n  stages:",
        ("the tag `Fn::If`",),
        "another key",
    ),
    # secrets
    Case(
        "a secret's value",
        "F109",
        "  stages:",
        "  secrets: {§TOKEN: hunter2}\n  stages:",
        ("the secret `TOKEN`",),
        "env",
    ),
    Case(
        "a secret's value as a number",
        "F109",
        "  stages:",
        "  secrets: {§PIN: 1234}\n  stages:",
        ("`PIN`",),
        "never contains secret values",
    ),
    Case(
        "a secret's value on a bot",
        "F109",
        "processes: 2",
        "secrets: {§TOKEN: hunter2}",
        ("`TOKEN`",),
        "never contains secret values",
    ),
    Case(
        "a secret's value under a key",
        "F109",
        "  stages:",
        "  secrets: {TOKEN: {§value: hunter2}}\n  stages:",
        ("`TOKEN`", "`value`"),
        "never contains secret values",
    ),
    Case(
        "a secret's value in a list",
        "F109",
        "  stages:",
        "  secrets: [TOKEN, §hunter 2]\n  stages:",
        ("element 2",),
        "never their values",
    ),
    Case(
        "a secret's value for all secrets",
        "F109",
        "  stages:",
        "  §secrets: hunter2\n  stages:",
        ("`secrets`",),
        "[TOKEN]",
    ),
    Case(
        "a value as a variable",
        "F109",
        "  stages:",
        "  secrets: {TOKEN: {env: §hunter-2}}\n  stages:",
        ("`env` of the secret `TOKEN`",),
        "never the value",
    ),
    Case(
        "a secret that no ARN names",
        "F109",
        "  stages:",
        "  secrets: {TOKEN: {secret: §'a b'}}\n  stages:",
        ("`secret` of `TOKEN`",),
        "512",
    ),
    Case(
        "a secret of another factory's sector",
        "F115",
        "  stages:",
        "  secrets: {TOKEN: {secret: §factory-cdk/other/prod/box/reader}}\n  stages:",
        ("`secret` of `TOKEN`", "for one sector"),
        "of your own",
    ),
    Case(
        "a secret of another factory's sector by its ARN",
        "F115",
        "  stages:",
        "  secrets: {TOKEN: {secret: §'arn:aws:secretsmanager:eu-west-2:123456789012:secret:factory-cdk/a/b/c/d'}}"
        "\n  stages:",
        ("`secret` of `TOKEN`",),
        "of your own",
    ),
    Case(
        "a misspelled key of a secret",
        "F102",
        "  stages:",
        "  secrets: {TOKEN: {§profil: x}}\n  stages:",
        ("`profil` of `TOKEN`",),
        "did you mean `profile`?",
    ),
    Case(
        "a secret from two places",
        "F104",
        "  stages:",
        "  secrets: {TOKEN: {env: A, §profile: b}}\n  stages:",
        ("`env` and `profile`",),
        "keep one",
    ),
    Case(
        "a key of a variable",
        "F104",
        "  stages:",
        "  secrets: {TOKEN: {env: A, §key: b}}\n  stages:",
        ("`key`", "`env`"),
        "remove",
    ),
    # variables
    Case(
        "a config name with a dash",
        "F110",
        "  stages:",
        "  config: {§LOG-LEVEL: info}\n  stages:",
        ("`LOG-LEVEL` in `config`",),
        "letters, digits",
    ),
    Case(
        "a secret's name with a dot",
        "F110",
        "processes: 2",
        "secrets: {§a.b: }",
        ("`a.b` in `secrets`",),
        "letters, digits",
    ),
    Case(
        "a name of the runner",
        "F110",
        "  stages:",
        "  config: {§FACTORY_HOME: x}\n  stages:",
        ("`FACTORY_HOME`",),
        "FACTORY_",
    ),
    Case(
        "one name twice over",
        "F110",
        "  stages:",
        "  secrets: [TOKEN]\n  config: {§TOKEN: x}\n  stages:",
        ("`TOKEN`", "`secrets`"),
        "keep one",
    ),
    # what runs
    Case(
        "bot_path and command",
        "F111",
        "bot_path: works:first",
        "bot_path: works:first\n      §command: ./run",
        ("`first`", "both"),
        "keep one of them",
    ),
    Case("a command of an open quote", "F111", "bot_path: works:first", "command: §run 'it", ("split",), "list"),
    # bounds
    Case("no process", "F112", "processes: 2", "processes: §0", ("`processes` of `second` is 0", "at least 1")),
    Case("a negative number of processes", "F112", "processes: 2", "-p: §-3", ("`-p` of `second` is -3", "at least 1")),
    Case("too many processes", "F112", "processes: 2", "processes: §10001", ("10001", "at most 10,000")),
    Case("no attempt", "F112", "processes: 2", "max-attempts: §0", ("`max-attempts`", "at least 1")),
    Case("too long a timeout", "F112", "processes: 2", "timeout: §2592001", ("`timeout`", "at most 2,592,000")),
    Case(
        "too short a lease", "F112", "processes: 2", "visibility-timeout: §9", ("`visibility-timeout`", "at least 10")
    ),
    Case("too large a batch", "F112", "processes: 2", "batch: §11", ("`batch`", "at most 10")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


LOCAL_MISSPELLED = [
    ("factory:", "§factroy:", "F102", "factory"),
    ("  name: demo", "  §nmae: demo", "F102", "name"),
    ("source: {path: .}", "§sorce: {path: .}", "F102", "source"),
    ("source: {path: .}", "source: {§pth: .}", "F102", "path"),
    ("source: {path: .}", "source: {§pipy: demo}", "F102", "pypi"),
    ("bot_path: works:first", "§botpath: works:first", "F102", "bot_path"),
    ("bot_path: works:first", "§comand: run", "F102", "command"),
    ("type: local", "§typ: local", "F102", "type"),
    ("        bots:", "        §bot:", "F102", "bots"),
    ("  workflow: flow", "  §workfow: flow", "F103", "workflow"),
    ("  workflows:", "  §workflow:", "F102", "workflows"),
]
AWS_MISSPELLED = [
    ("parameters:", "§parameter:", "F102", "parameters"),
    ("ImageId:", "§ImageID:", "F502", "ImageId"),
    ("MetricName:", "§metricName:", "F507", "MetricName"),
    ("Threshold:", "§Treshold:", "F507", "Threshold"),
    ("alarm: idle", "§alrm: idle", "F102", "alarm"),
    ("  alarms:", "  §alarm:", "F102", "alarms"),
]


@pytest.mark.parametrize(
    ("plan", "before", "after", "code", "meant"),
    [(LOCAL, *case) for case in LOCAL_MISSPELLED] + [(AWS, *case) for case in AWS_MISSPELLED],
    ids=lambda value: None if "\n" in value else str(value),
)
def test_a_misspelled_key_is_told_once(
    plan: str, before: str, after: str, code: str, meant: str, tmp_path: Path
) -> None:
    marked = plan.replace(before, after, 1)
    file = tmp_path / "plan.yml"
    file.write_text(marked.replace("§", ""))
    (found,) = load_plan(file).diagnostics
    assert (found.code, found.hint) == (code, f"did you mean `{meant}`?")
    assert found.line == marked[: marked.index("§")].count("\n") + 1


def test_a_key_that_no_misspelled_one_means_is_told_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(LOCAL.replace("type: local", "typ: local").replace("bot_path: works:second", "colour: red"))
    assert [(found.code, found.line) for found in load_plan(file).diagnostics] == [
        ("F111", 7),
        ("F102", 9),
        ("F102", 14),
    ]
