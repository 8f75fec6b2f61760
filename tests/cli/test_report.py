"""What messages may do to whoever reads them."""

from __future__ import annotations

import pytest

from factory_cdk.cli.output.report import harmless
from factory_cdk.cli.output.table import print_table
from factory_cdk.plain_text import printable


def test_no_line_of_a_message_starts_as_a_workflow_command_of_github() -> None:
    for text in ("::error::pwn", "git says:\n  ::add-mask::x\n\t::set-env::y", "a\n::stop-commands::z"):
        assert not [line for line in printable(text).splitlines() if line.lstrip().startswith("::")]
    assert printable("module:attr a::b") == "module:attr a::b"


def test_what_a_bot_prints_may_colour_a_terminal_and_no_more() -> None:
    assert harmless("plain \t words") == "plain \t words"
    assert harmless("\x1b[1;31mred\x1b[0m and \x1b[32mgreen") == "\x1b[1;31mred\x1b[0m and \x1b[32mgreen\x1b[0m"
    assert harmless("\x1b[2J\x1b]0;title\x07 10%\r20%") == "\\x1b[2J\\x1b]0;title\\x07 10%\\x0d20%"


def test_columns_of_a_table_stand_below_each_other_whatever_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("what", "n"), [("\u6eb6\u63a5", 1), ("cafe\u0301", 22)])
    head, first, second = capsys.readouterr().out.splitlines()
    assert (head, first, second) == ("what   n", "\u6eb6\u63a5   1", "cafe\u0301  22")
