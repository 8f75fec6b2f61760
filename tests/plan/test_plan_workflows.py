"""F3: workflows, queues and successors."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import AWS, LOCAL, Case, errors, load, prove

THREE = LOCAL.replace(
    "  stages:\n", "    third:\n      source: {path: .}\n      bot_path: works:third\n  stages:\n"
).replace("          second:\n", "          third:\n          second:\n")
"""A good plan with three bots on one sector, `third` outside the workflow."""

TWO_SECTORS = LOCAL.replace(
    "  workflows:",
    "      there:\n        type: local\n        bots:\n          second: {queue-name: other}\n  workflows:",
)
FLOW = "      first: second\n"

SECOND = LOCAL[LOCAL.index("  stages:\n") : LOCAL.index("  workflows:\n")]
"""The stage of the good plan, whose last line says how `second` is run."""

CASES = [
    Case(
        "a number in a workflow",
        "F301",
        FLOW,
        "      first: [second, §3]\n",
        ("the number 3",),
        "a list of nodes",
        base=THREE,
    ),
    Case(
        "a truth in a workflow", "F301", FLOW, "      first: [second, §no]\n", ("false",), "a list of nodes", base=THREE
    ),
    Case("nothing in a list", "F301", FLOW, "      first: [second, §~]\n", ("null",), "a list of nodes", base=THREE),
    Case(
        "a workflow that is a text",
        "F103",
        "    flow:\n" + FLOW,
        "    flow: §first\n",
        ("`flow` of `workflows`", "the text `first`"),
        "",
    ),
    Case(
        "a cycle of three",
        "F302",
        FLOW,
        "      first:\n        second:\n          third: §first\n",
        ("cycle in the workflow `flow`: `first` -> `second` -> `third` -> `first`",),
        "remove this reference",
        base=THREE,
    ),
    Case(
        "a cycle of two, closed by a key",
        "F302",
        FLOW,
        "      first:\n        second:\n          §first: third\n",
        ("cycle in the workflow `flow`: `first` -> `second` -> `first`",),
        "remove",
        base=THREE,
    ),
    Case(
        "a bot that feeds itself",
        "F302",
        FLOW,
        "      first: [second, §first]\n",
        ("cycle in the workflow `flow`: `first` -> `first`",),
        "remove",
        base=THREE,
    ),
    Case(
        "a cycle between two roots",
        "F302",
        FLOW,
        "      - first: second\n      - second: §first\n",
        ("cycle in the workflow `flow`: `first` -> `second` -> `first`",),
        "remove",
        base=THREE,
    ),
    Case(
        "one bot fed twice in a list",
        "F303",
        FLOW,
        "      first: [second, §second]\n",
        ("duplicate successor: `first` is followed by `second` twice",),
        "remove one of them",
        base=THREE,
    ),
    Case(
        "one bot fed twice by two mentions",
        "F303",
        FLOW,
        "      - first: second\n      - first: §second\n",
        ("duplicate successor: `first` is followed by `second` twice",),
        "remove one of them",
        base=THREE,
    ),
    Case(
        "no edge left",
        "F304",
        "  workflows:",
        "    lonely:\n      workflow: §flow\n      one: {type: local, bots: {third: }}\n  workflows:",
        ("`flow`", "`lonely`"),
        "two connected bots",
        base=THREE,
    ),
    Case(
        "a bot that is missing on the stage",
        "F305",
        "workflow: flow",
        "workflow: §flow",
        ("`fourth`", "`test`", "jobs end at `second`"),
        "sector",
        base=THREE.replace("first: second\n", "first: {second: fourth}\n").replace(
            "  stages:\n", "    fourth: {source: {path: .}, bot_path: 'w:f'}\n  stages:\n"
        ),
    ),
    Case(
        "a first bot that is missing on the stage",
        "F305",
        "workflow: flow",
        "workflow: §flow",
        ("`fourth`", "the bots after it get no jobs from it"),
        "sector",
        base=THREE.replace("first: second\n", "fourth: {first: second}\n").replace(
            "  stages:\n", "    fourth: {source: {path: .}, bot_path: 'w:f'}\n  stages:\n"
        ),
    ),
    Case(
        "an ambiguous successor",
        "F306",
        "          first:\n",
        "          §first:\n",
        ("`second` runs in 2 sectors", "`first` on `here`", "go to `second` on `here`", "never to `other`"),
        "same `queue-name`",
        base=TWO_SECTORS,
    ),
    Case("a queue name with a dot", "F307", "processes: 2", "queue-name: §jobs.fifo", ("`jobs.fifo`",), "1 to 80"),
    Case("a queue name with a space", "F307", "processes: 2", "-q: §my queue", ("`my queue`",), "1 to 80"),
    Case(
        "a queue name of 81 characters",
        "F307",
        "processes: 2",
        "--queue-name: §" + "q" * 81,
        ("81 characters",),
        "1 to 80",
    ),
    Case(
        "one queue read by two bots",
        "F308",
        "          second:\n",
        "          §second:\n            queue-name: first\n",
        ("`first`", "`second`", "`here`"),
        "another `queue-name`",
    ),
    Case(
        "several bots and no workflow",
        "F309",
        "    test:\n      workflow: flow\n",
        "    §test:\n",
        ("`test`", "2 bots"),
        "set `workflow`",
    ),
    Case("a workflow that no stage uses", "F310", FLOW, FLOW + "    §other: [second]\n", ("`other`",), "stage"),
    Case(
        "a bot that no stage uses",
        "F311",
        "  stages:\n",
        "    §third: {source: {path: .}, bot_path: 'w:t'}\n  stages:\n",
        ("`third`",),
        "sector",
    ),
    Case(
        "an argument of qalx for a bot that we start",
        "F312",
        "processes: 2",
        "§entity-class: 'mine:Page'",
        ("`entity-class`", "launcher: python"),
        "launcher: qalx",
    ),
    Case(
        "an argument of ours for a bot that qalx starts",
        "F312",
        "processes: 2",
        "launcher: qalx\n            §batch: 2",
        ("`batch`", "launcher: qalx"),
        "remove it",
        also=("F314",),
    ),
    Case(
        "a command that qalx does not start",
        "F313",
        "bot_path: works:second\n" + SECOND,
        "command: ./second\n" + SECOND.replace("processes: 2", "--launcher: §qalx"),
        ("`second`", "`launcher: qalx`", "`command`"),
        "`bot_path`",
        also=("F314",),
    ),
    Case(
        "a bot in Python whose launcher runs commands",
        "F313",
        "processes: 2",
        "launcher: §command",
        ("`second`", "`launcher: command`"),
        "take out `launcher`",
    ),
    Case(
        "jobs that would pass from a bot of ours to one of qalx",
        "F314",
        "first:\n          second:\n            processes: 2",
        "§first:\n          second:\n            launcher: qalx",
        ("`first`", "`second`", "`launcher: python`", "`launcher: qalx`"),
        "in the same way",
    ),
    Case(
        "a job that may take longer than SQS lets it",
        "F315",
        "          first:\n  alarms:",
        "          first: {timeout: §43201}\n  alarms:",
        ("`timeout: 43201`", "43200 seconds"),
        "split the work",
        base=AWS,
    ),
    Case(
        "a job of a local sector that may take longer, beside one on AWS",
        "F315",
        "          first:\n  alarms:",
        "          first:\n      desk: {type: local, bots: {first: {--timeout: §90000}}}\n  alarms:",
        ("`timeout: 90000`", "12 hours"),
        "split the work",
        base=AWS,
    ),
    Case(
        "jobs that would pass from a bot of qalx to one of ours by its own workflow",
        "F314",
        "      workflow: flow\n      here:\n        type: local\n        bots:\n          first:\n",
        "      here:\n        type: local\n        bots:\n          §first: {launcher: qalx, workflow: [second]}\n",
        ("`first`", "`second`"),
        "take the edge out",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


def edges(workflow: str, tmp_path: Path) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """The edges and roots of a workflow written as `workflow` (flow style)."""
    plan = load(THREE.replace("    flow:\n" + FLOW, f"    flow: {workflow}\n"), tmp_path).plan
    assert plan is not None
    flow = plan.workflows["flow"]
    return [(edge.parent, edge.child) for edge in flow.edges], flow.roots


@pytest.mark.parametrize(
    ("workflow", "expected", "roots"),
    [
        ("{first: second}", [("first", "second")], ("first",)),
        ("{first: [second, third]}", [("first", "second"), ("first", "third")], ("first",)),
        ("{first: {second: third}}", [("first", "second"), ("second", "third")], ("first",)),
        ("{first: [second, {third: }]}", [("first", "second"), ("first", "third")], ("first",)),
        ("[{first: second}, {third: second}]", [("first", "second"), ("third", "second")], ("first", "third")),
        ("{first: {second: }, third: second}", [("first", "second"), ("third", "second")], ("first", "third")),
        ("{second: third, first: second}", [("second", "third"), ("first", "second")], ("first",)),
        ("[{first: second}, third]", [("first", "second")], ("first", "third")),
        ("{first: [[second], [[third]]]}", [("first", "second"), ("first", "third")], ("first",)),
        (
            "{first: [second, third], second: {third: }}",
            [("first", "second"), ("first", "third"), ("second", "third")],
            ("first",),
        ),
    ],
)
def test_every_form_of_a_workflow_gives_its_edges_and_roots(
    workflow: str, expected: list[tuple[str, str]], roots: tuple[str, ...], tmp_path: Path
) -> None:
    assert edges(workflow, tmp_path) == (expected, roots)


def test_a_bots_own_workflow_closes_a_cycle_where_it_names_the_bot(tmp_path: Path) -> None:
    text = THREE.replace("            processes: 2", "            workflow: [first]")
    (error,) = errors(load(text, tmp_path))
    assert (error.code, error.line, error.column) == ("F302", 22, 24)
    assert (
        "`test`" in error.message
        and "cycle in the stage `test`: `first` -> `second` -> `first`" in error.message
        and error.hint
    )


def test_a_bots_own_workflow_feeds_a_bot_once(tmp_path: Path) -> None:
    text = THREE.replace("            processes: 2", "            workflow: [third, third]")
    (error,) = errors(load(text, tmp_path))
    assert (error.code, error.line, error.column) == ("F303", 22, 31)
    assert "`second`" in error.message and "`third` twice" in error.message


def test_a_bots_own_workflow_may_name_bots_of_the_stage_only(tmp_path: Path) -> None:
    text = THREE.replace("            processes: 2", "            workflow: [third]").replace("          third:\n", "")
    found = [(one.code, one.line) for one in load(text, tmp_path).diagnostics]
    assert ("F305", 21) in found


def test_many_ambiguous_successors_are_shown_in_part(tmp_path: Path) -> None:
    sectors = "".join(f"      s{i}: {{type: local, bots: {{second: {{queue-name: q{i}}}}}}}\n" for i in range(20))
    text = LOCAL.replace("  workflows:", sectors + "  workflows:")
    (warning,) = load(text, tmp_path).diagnostics
    assert warning.code == "F306" and warning.message.endswith("never to `q0`, `q1`, `q2`, `q3`, `q4` and 15 more")


def test_two_sectors_may_share_one_bots_queue(tmp_path: Path) -> None:
    text = LOCAL.replace("  workflows:", "      there: {type: local, bots: {second: }}\n  workflows:")
    assert load(text, tmp_path).diagnostics == ()


def test_a_job_may_take_longer_where_no_sector_is_on_aws_and_twelve_hours_where_one_is(tmp_path: Path) -> None:
    assert errors(load(LOCAL.replace("processes: 2", "timeout: 90000"), tmp_path)) == []
    assert errors(load(AWS.replace("          first:\n", "          first: {timeout: 43200}\n"), tmp_path)) == []
