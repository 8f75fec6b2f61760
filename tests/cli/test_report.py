"""What messages may do to whoever reads them."""

from __future__ import annotations

from factory_cdk.cli.report import printable


def test_no_line_of_a_message_starts_as_a_workflow_command_of_github() -> None:
    for text in ("::error::pwn", "git says:\n  ::add-mask::x\n\t::set-env::y", "a\n::stop-commands::z"):
        assert not [line for line in printable(text).splitlines() if line.lstrip().startswith("::")]
    assert printable("module:attr a::b") == "module:attr a::b"
