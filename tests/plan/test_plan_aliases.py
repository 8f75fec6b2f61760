"""Aliases and merge keys: what they give, and where what stands behind them is reported."""

from __future__ import annotations

from pathlib import Path

from plan_texts import AWS, LOCAL, errors, load, unmarked

SECTOR = "      here:\n        type: local\n"


def test_the_references_own_example_of_a_merge_key_works(tmp_path: Path) -> None:
    text = """\
factory:
  name: demo
  bots: {first: {source: {path: .}, bot_path: 'works:first'}}
  stages:
    prod:
      ec2_box: &my_alias_name
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-01234567, InstanceType: t2.micro}
        bots: {first: }
      ec2_box2:
        <<: *my_alias_name
        # Start this sector in eu-west-1 but keep
        # all other settings the same
        region_name: eu-west-1
"""
    loaded = load(text, tmp_path)
    # Literally taken, its image is none in one of the regions.
    assert [(one.code, one.line) for one in loaded.diagnostics] == [("F519", 9)] and loaded.plan
    one, two = loaded.plan.stages["prod"].sectors
    assert (one.region_name, two.region_name) == ("eu-west-2", "eu-west-1")
    assert one.parameters == two.parameters and one.type == two.type


def test_what_stands_behind_an_alias_is_reported_once_at_its_anchor_naming_the_alias(tmp_path: Path) -> None:
    marked = LOCAL.replace("          first:\n", "          first: &many\n            processes: §0\n").replace(
        "          second:\n            processes: 2\n", "          second: *many\n"
    )
    text, line, column = unmarked(marked.replace("&many", "&x").replace("*many", "*x"))
    found = errors(load(text, tmp_path))
    assert [(one.code, one.line, one.column) for one in found] == [("F112", line, column)]
    behind = LOCAL.replace("factory:", "x-many: &many {processes: §0}\nfactory:", 1).replace(
        "          second:\n            processes: 2\n", "          second: *many\n"
    )
    text, line, column = unmarked(behind)
    (one,) = errors(load(text, tmp_path))
    assert (one.code, one.line, one.column) == ("F112", line, column)
    assert one.message.endswith("(reached through the alias *many)")


def test_what_several_aliases_lead_to_names_them_in_order(tmp_path: Path) -> None:
    text, line, column = unmarked(
        LOCAL.replace(
            "factory:", "x-a: &inner {processes: §0}\nx-b: &outer {first: , second: *inner}\nfactory:", 1
        ).replace(
            "        bots:\n          first:\n          second:\n            processes: 2\n", "        bots: *outer\n"
        )
    )
    (one,) = errors(load(text, tmp_path))
    assert (one.code, one.line, one.column) == ("F112", line, column)
    assert one.message.endswith("(reached through the aliases *outer, *inner)")


def test_a_merged_key_that_is_wrong_is_reported_at_the_anchor(tmp_path: Path) -> None:
    text, line, column = unmarked(
        LOCAL.replace("factory:", "x-common: &common {§procesess: 2}\nfactory:", 1).replace(
            "            processes: 2\n", "            <<: *common\n"
        )
    )
    (one,) = errors(load(text, tmp_path))
    assert (one.code, one.line, one.column) == ("F102", line, column)
    assert "`procesess`" in one.message and "*common" in one.message


def test_a_key_that_a_merged_mapping_lacks_is_reported_where_it_is_used(tmp_path: Path) -> None:
    text, line, column = unmarked(
        AWS.replace("        parameters:\n", "        §parameters: *p\n        x:\n")
        .replace("        x:\n", "")
        .replace("          ImageId: ami-0123456789abcdef0\n          InstanceType: t3.micro\n", "")
        .replace("factory:", "x-p: &p {ImageId: ami-01234567}\nfactory:", 1)
    )
    (one,) = errors(load(text, tmp_path))
    assert (one.code, one.line, one.column) == ("F501", line, column)
    assert "`InstanceType`" in one.message and "*p" not in one.message


def test_own_keys_win_over_merged_ones_and_earlier_merges_over_later(tmp_path: Path) -> None:
    text = LOCAL.replace(
        "factory:", "x-a: &a {processes: 1, batch: 2}\nx-b: &b {batch: 3, max-attempts: 4, timeout: 5}\nfactory:", 1
    ).replace("            processes: 2\n", "            timeout: 6\n            <<: [*a, *b]\n")
    loaded = load(text, tmp_path)
    assert loaded.plan is not None
    arguments = loaded.plan.stages["test"].sectors[0].bots[1].arguments
    assert (arguments.processes, arguments.batch, arguments.max_attempts, arguments.timeout) == (1, 2, 4, 6)


def test_a_quoted_merge_key_is_an_ordinary_key(tmp_path: Path) -> None:
    text, line, column = unmarked(LOCAL.replace("            processes: 2\n", "            §'<<': {}\n"))
    (one,) = errors(load(text, tmp_path))
    assert (one.code, one.line, one.column) == ("F102", line, column)


def test_an_alias_as_a_key_is_the_text_of_its_anchor(tmp_path: Path) -> None:
    text = LOCAL.replace("          first:\n", "          *name :\n").replace(
        "    first:\n      s", "    &name first:\n      s"
    )
    loaded = load(text, tmp_path)
    assert loaded.diagnostics == () and loaded.plan
    assert [bot.name for bot in loaded.plan.stages["test"].sectors[0].bots] == ["first", "second"]


def test_an_anchor_that_is_set_again_counts_from_there(tmp_path: Path) -> None:
    text = LOCAL.replace("factory:", "x-a: &n 3\nx-b: &n 4\nfactory:", 1).replace("processes: 2", "processes: *n")
    loaded = load(text, tmp_path)
    assert loaded.plan is not None
    assert loaded.plan.stages["test"].sectors[0].bots[1].arguments.processes == 4


def test_stages_of_one_anchor_are_reported_once_each_problem(tmp_path: Path) -> None:
    text = (
        LOCAL.replace("    test:\n", "    test: &t\n")
        .replace("processes: 2", "processes: 0")
        .replace("  workflows:", "    two: *t\n    three: *t\n  workflows:")
    )
    assert [one.code for one in errors(load(text, tmp_path))] == ["F112"]
