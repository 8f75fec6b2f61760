"""Where a mutation of a plan may be reported: on its line, or where the rules of reporting put it."""

from __future__ import annotations

import re

import yaml
from mutated_plans import Mutation, Plan, words

from factory_cdk.diagnostics import Diagnostic

LACKING = frozenset({"F101", "F105", "F107", "F111", "F210", "F501", "F504", "F507"})
"""What is missing is reported at the key whose mapping lacks it."""

REMOVING = frozenset({"removed", "inserted", "deleted", "cut", "indented"})
"""Mutations after which what held something may be empty."""

OF_NAMES = frozenset({"F012", "F015", "F201", "F202", "F203", "F303", "F308", "F511", "F517"})
"""What is undefined, or duplicate, is reported where it is named: a reference, the second of two."""

OF_PAIRS = frozenset({"F104", "F110", "F111", "F210", "F504", "F507", "F508", "F509", "F513"})
"""What does not go together is reported at one of the two, which stand in one mapping."""

OF_LAUNCHERS = frozenset({"F313", "F314"})
"""What a launcher does not go together with (a bot, the bots that follow) is reported where the bot is on a sector."""

OF_STAGES = frozenset({"F302", "F304", "F506"})
"""What is wrong between the parts of a stage or workflow is reported at one of them."""


OF_REGIONS = frozenset({"F516"})
"""What belongs to one region is reported where it is written, in parameters or an alarm, whatever gives the region."""


def misplaced(plan: Plan, mutation: Mutation, found: Diagnostic) -> bool:
    """Whether `found`, an error in the mutated plan, stands where nobody would look for its cause."""
    if found.line in mutation.lines:
        return False
    if not mutation.aimed:
        # What follows may be read otherwise, an alias's anchor included, and the parser notices it when it can go on
        # no longer.
        behind = "\n".join(re.split(r"\r\n|\r|\n", mutation.text)[mutation.lines[0] - 1 :])
        aliases = re.search(r"\(reached through the alias(?:es)? (.*)\)$", found.message)
        if found.line >= mutation.lines[0] or (aliases and any(name in behind for name in aliases[1].split(", "))):
            return False
    expected = _expected(plan, mutation, found.code)
    return found.line not in {
        line + mutation.shift if plan.starts[line - 1] >= mutation.end else line for line in expected
    }


def _expected(plan: Plan, mutation: Mutation, code: str) -> set[int]:
    lines: set[int] = set()
    paths = set(mutation.paths)
    names = mutation.names
    if not mutation.aimed:
        around = plan.around(mutation.start, mutation.end)
        paths |= {path for place in around for path in plan.of(place.node)}
        lines |= {plan.line(place.node.start_mark.index) for place in around if isinstance(place.node, yaml.ScalarNode)}
        names |= words(plan.text[plan.starts[mutation.lines[0] - 1] :])
    for path in paths:
        lines |= plan.lines_at(path)  # its key, when the value stands on a line of its own
        if code in LACKING or mutation.what in REMOVING:
            lines |= {1}.union(*(plan.lines_at(path[:length]) for length in range(1, len(path))))
        if mutation.what in REMOVING or mutation.what == "key":
            lines |= plan.lines_merged(path[:-1])  # what the key has overridden is found at its anchor
        if code in OF_PAIRS:
            lines |= plan.lines_under(path[:-1])
        if code in OF_STAGES:
            lines |= plan.lines_under(path[:3])
            lines |= {line for place in plan.places if place.path[3:] == ("workflow",) for line in plan.lines_of(place)}
        if code in OF_REGIONS:
            lines |= plan.lines_under(("factory", "alarms")) | plan.lines_under(path[:4])
        if mutation.what == "key":  # what is under it is something else now
            lines |= plan.lines_under(path)
            names |= plan.names_under(path)
        if mutation.what == "added":  # a key that stands already is the second one now, which does not count
            for place in plan.places:
                if place.path[:-1] == path[:-1] and place.path[-1] in names:
                    names |= plan.names_under(place.path)
    if code in OF_LAUNCHERS:
        on_sectors = (place for place in plan.places if place.path[1:2] == ("stages",) and "bots" in place.path[4:5])
        lines |= {line for place in on_sectors if len(place.path) == 6 for line in plan.lines_of(place)}
        lines |= plan.mentions(frozenset({"launcher"}))
    if code in OF_NAMES:
        lines |= plan.mentions(names)
        lines |= {
            number
            for number, line in enumerate(re.split(r"\r\n|\r|\n", plan.text), start=1)
            if any(name in names for name in re.findall(r"\*([^\s,\]}]+)", line))
        }
    return lines
