"""Reads workflows of steps: what has to have happened before a step starts, what it does, and what it takes.

A mapping with the key `steps` is one (workflows.py reads the others). Every problem is reported; what is refused
is left out, so that one run finds all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.cycles import find_cycles
from factory_cdk.plan.defined import Names
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import StepsWorkflow, StepWork
from factory_cdk.plan.names import NAME_RULE, is_name
from factory_cdk.plan.schema.structure import describe
from factory_cdk.plan.yaml.nodes import Path
from factory_cdk.runs.conditions import KEYWORDS, NAMES, Atom, Condition, ConditionError, atoms, join, parse
from factory_cdk.runs.graph import Amounts, Graph, OnFailure, Recovery, Replay, Step
from factory_cdk.runs.references import references
from factory_cdk.runs.satisfiable import can_hold

WORKFLOW_KEYS = ("steps", "max-concurrent", "on-failure")
STEP_KEYS = (
    "bot",
    "with",
    "needs",
    "for-each",
    "max-parallel",
    "repeat",
    "delay",
    "acquire",
    "release",
    "on-failure",
    "recovery",
    "sector",
    "steps",
)
_CONDITION = "write names of steps beside it, each alone or with `.` and a status, and `and` or `or` between them"

RECOVERY_KEYS = ("ready", "active", "succeeded", "failed")

DURATION = r"[0-9]{1,9}(\.[0-9]{1,3})?[smhd]?"
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

MOST = 1_000_000
"""The largest number of a `repeat`, a limit or an amount."""

MAX_STEPS = 10_000
LONGEST_PATH = 120
"""Characters of a path; it is in the ids of jobs."""

DEEPEST = 20
"""Containers within each other."""


def is_of_steps(value: Any, bots: Names) -> bool:
    """Whether the value of a workflow is one of steps; one whose key `steps` is the name of a bot is not."""
    return isinstance(value, dict) and "steps" in value and "steps" not in bots.known


def looks_like_steps(value: Any) -> bool:
    """Whether the value of a workflow is meant as one of steps, whatever bots there are."""
    steps = value.get("steps") if isinstance(value, dict) else None
    return isinstance(steps, dict) and any(
        isinstance(one, dict) and {"bot", "steps"} & one.keys() for one in steps.values()
    )


def read_steps(value: Mapping[str, Any], path: Path, bots: Names, findings: Findings) -> StepsWorkflow:
    """The workflow of steps in `value` at `path`; `bots` are those that the plan defines."""
    reading = _Reading(bots, findings)
    for key in value:
        if key in bots.known:
            message = f"the workflow `{path[-1]}` has `steps` and, beside it, the bot `{key}`"
            findings.at_key(
                (*path, key), "F316", message, "a workflow is either of steps or of bots: split it into two"
            )
        elif key not in WORKFLOW_KEYS:
            reading.refuse_key((*path, key), f"the workflow `{path[-1]}`", WORKFLOW_KEYS)
    most = reading.number(value, "max-concurrent", path)
    on_failure = reading.policy(value, path) or OnFailure.STOP
    steps = reading.steps(value.get("steps"), (*path, "steps"), "", items=False, depth=0)
    if reading.count > MAX_STEPS:
        message = f"the workflow `{path[-1]}` has {reading.count:,} steps; it can have {MAX_STEPS:,}"
        findings.at_key(path, "F316", message, "use `for-each` for steps that differ in what they are given")
    return StepsWorkflow(Graph(steps, most, on_failure), reading.work, reading.items, reading.places)


class _Reading:
    """One workflow while it is read: what its steps do, their items, and where each is in the plan."""

    def __init__(self, bots: Names, findings: Findings) -> None:
        self.bots, self.findings = bots, findings
        self.work: dict[str, StepWork] = {}
        self.items: dict[str, Any] = {}
        self.places: dict[str, Path] = {}
        self.count = 0

    def steps(self, data: Any, path: Path, inside: str, *, items: bool, depth: int) -> tuple[Step, ...]:
        """The steps of a container, or of the workflow; `items`: there are some around them."""
        if not isinstance(data, dict) or not data:
            what = "is empty" if data in ({}, [], None) else f"must be a mapping of steps, not {describe(data)}"
            self.findings.at_key(
                path, "F316", f"`steps` of `{path[-2]}` {what}", "write `name: {bot: NAME}` for each step"
            )
            return ()
        if depth > DEEPEST:
            message = f"more than {DEEPEST} containers within each other"
            self.findings.at_key(path, "F316", message, "take the inner steps out of their containers")
            return ()
        needs = {name: self._needs(one, (*path, name), data) for name, one in data.items() if isinstance(one, dict)}
        self._check_conditions(needs, path)
        made = []
        for name, one in data.items():
            self.count += 1
            if len(f"{inside}/{name}") > LONGEST_PATH:
                message = f"the path of the step `{inside}/{shortened(name)}` has more than {LONGEST_PATH} characters"
                self.findings.at_key((*path, name), "F316", message, "give it and its containers shorter names")
            elif not is_name(name) or name in KEYWORDS:
                message = f"invalid name `{shortened(name)}` of a step: it must be {NAME_RULE}, and not `and` or `or`"
                self.findings.at_key((*path, name), "F316", message, "give the step another name")
            elif not isinstance(one, dict):
                message = f"the step `{name}` must be a mapping, not {describe(one)}"
                self.findings.at_key((*path, name), "F316", message, "write `{bot: NAME}`")
            else:
                made.append(self._step(name, one, (*path, name), inside, needs.get(name), items=items, depth=depth))
        return tuple(made)

    def refuse_key(self, path: Path, owner: str, known: tuple[str, ...]) -> None:
        """Report an unknown key."""
        message = f"unknown key `{shortened(str(path[-1]))}` of {owner}"
        hint = self.findings.suggest_key(path, known) or "remove it"
        self.findings.at_key(path, "F316", message, hint)

    def number(self, data: Mapping[str, Any], key: str, path: Path) -> int | None:
        """The whole number at a key, from 1; None when there is none."""
        value = data.get(key)
        if key not in data:
            return None
        if type(value) is not int or not 1 <= value <= MOST:
            message = f"`{key}` of `{path[-1]}` must be a whole number from 1 to {MOST:,}, not {describe(value)}"
            self.findings.at_value((*path, key), "F316", message, f"write `{key}: 1`, for example, or remove it")
            return None
        return value

    def policy(self, data: Mapping[str, Any], path: Path) -> OnFailure | None:
        """What `on-failure` says; None when it says nothing."""
        value = data.get("on-failure")
        if "on-failure" not in data:
            return None
        if value not in tuple(OnFailure):
            message = f"`on-failure` of `{path[-1]}` must be `stop` or `continue`, not {describe(value)}"
            hint = "`stop`: after a failure nothing new starts; `continue`: the rest goes on"
            self.findings.at_value((*path, "on-failure"), "F316", message, hint)
            return None
        return OnFailure(value)

    def _step(
        self,
        name: str,
        data: Mapping[str, Any],
        path: Path,
        inside: str,
        needs: Condition | None,
        *,
        items: bool,
        depth: int,
    ) -> Step:
        place = f"{inside}/{name}" if inside else name
        self.places[place] = path
        for key in data:
            if key not in STEP_KEYS:
                self.refuse_key((*path, key), f"the step `{name}`", STEP_KEYS)
        count = self._for_each(data, path, place)
        has_items = items or count is not None
        if "for-each" in data and "repeat" in data:
            message = f"the step `{name}` has both `for-each` and `repeat`"
            self.findings.at_key((*path, "repeat"), "F316", message, "put one into a container with the other")
        if "max-parallel" in data and "for-each" not in data:
            message = f"`max-parallel` of `{name}` has no effect without `for-each`"
            self.findings.at_key((*path, "max-parallel"), "F316", message, "remove it, or use `max-concurrent`")
        inner = self._does(name, data, path, place, items=has_items, depth=depth)
        release = self._amounts(data, "release", path) if "release" in data else None
        acquire = self._amounts(data, "acquire", path)
        for pool, amount in release or ():
            if amount > dict(acquire).get(pool, 0):
                message = f"`{name}` releases {amount} of the pool `{pool}` and acquires {dict(acquire).get(pool, 0)}"
                self.findings.at_value((*path, "release", pool), "F316", message, "release what it acquires at most")
        return Step(
            name,
            needs,
            inner,
            repeat=self.number(data, "repeat", path),
            items=count,
            max_parallel=self.number(data, "max-parallel", path),
            delay=self._delay(data, path),
            acquire=acquire,
            release=release,
            on_failure=self.policy(data, path),
            recovery=self._recovery(data, path),
        )

    def _does(
        self, name: str, data: Mapping[str, Any], path: Path, place: str, *, items: bool, depth: int
    ) -> tuple[Step, ...]:
        """Read what a step does: the steps of a container, or a bot with what it is given."""
        bot, sector = data.get("bot"), data.get("sector")
        if ("bot" in data) is ("steps" in data):
            has = "both `bot` and `steps`" if "bot" in data else "neither `bot` nor `steps`"
            self.findings.at_key(path, "F316", f"the step `{name}` has {has}", "give it one of the two")
        if "steps" in data:
            for key in ("with", "sector"):
                if key in data:
                    message = f"`{key}` of `{name}` has no effect: it is a container"
                    self.findings.at_key((*path, key), "F316", message, "give it to the steps in it")
            return self.steps(data["steps"], (*path, "steps"), place, items=items, depth=depth + 1)
        for key, value in (("bot", bot), ("sector", sector)):
            if key in data and (not isinstance(value, str) or not value):
                message = f"`{key}` of `{name}` must be a name, not {describe(value)}"
                self.findings.at_value((*path, key), "F316", message)
        if isinstance(bot, str) and bot:
            if self.bots.is_undefined(bot):
                message = f"undefined bot `{bot}` of the step `{name}`"
                self.findings.at_value((*path, "bot"), "F201", message, self.findings.suggest(bot, self.bots.known))
            known = ("item", "input") if items else ("input",)
            self._check_references(data.get("with"), (*path, "with"), known)
            self.work[place] = StepWork(bot, sector if isinstance(sector, str) else None, data.get("with"))
        return ()

    def _check_references(self, value: Any, path: Path, known: tuple[str, ...]) -> None:
        for inner, text, reference in references(value):
            if reference not in known:
                names = " or ".join(f"`${one}`" for one in known)
                message = f"`{shortened(text)}` refers to nothing: {names} is known here"
                hint = f"write `$${shortened(text[1:])}` if it is text"
                if reference == "item":
                    hint = "`$item` is an item of `for-each`, of the step or of a container around it"
                self.findings.at_value((*path, *inner), "F316", message, hint)

    def _for_each(self, data: Mapping[str, Any], path: Path, place: str) -> int | None:
        value = data.get("for-each")
        if "for-each" not in data:
            return None
        if isinstance(value, list):
            self.items[place] = value
            return len(value)
        if isinstance(value, str) and [name for _, _, name in references(value)] == ["input"]:
            self.items[place] = value
            return 0
        message = f"`for-each` of `{path[-1]}` must be a list or `$input.key`, not {describe(value)}"
        self.findings.at_value((*path, "for-each"), "F316", message, "write the items in brackets: `[a, b]`")
        return 0

    def _delay(self, data: Mapping[str, Any], path: Path) -> float:
        value = data.get("delay", 0)
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            text = str(value)
            if re.fullmatch(DURATION, text):
                unit = text[-1] if text[-1] in SECONDS else ""
                return float(text.removesuffix(unit)) * SECONDS[unit]
        message = f"`delay` of `{path[-1]}` must be a number of seconds, or text such as `10m`, not {describe(value)}"
        self.findings.at_value((*path, "delay"), "F316", message, "`s`, `m`, `h` and `d` are the units")
        return 0.0

    def _amounts(self, data: Mapping[str, Any], key: str, path: Path) -> Amounts:
        value = data.get(key, {})
        if not isinstance(value, dict):
            message = f"`{key}` of `{path[-1]}` must be a mapping of pools, not {describe(value)}"
            self.findings.at_value((*path, key), "F316", message, "write `{POOL: 1}`")
            return ()
        found = [(pool, self.number(value, pool, (*path, key))) for pool in value]
        return tuple(sorted((pool, amount) for pool, amount in found if amount is not None))

    def _recovery(self, data: Mapping[str, Any], path: Path) -> Recovery:
        value = data.get("recovery", {})
        if not isinstance(value, dict):
            message = f"`recovery` of `{path[-1]}` must be a mapping, not {describe(value)}"
            self.findings.at_value((*path, "recovery"), "F316", message, "write `{succeeded: rerun}`")
            return Recovery()
        said = {}
        for written, replay in value.items():
            status = NAMES.get(written.removeprefix("STEP_").lower(), written)
            if status not in RECOVERY_KEYS:
                self.refuse_key((*path, "recovery", written), "`recovery`", RECOVERY_KEYS)
            elif replay not in tuple(Replay):
                message = f"`{written}` of `recovery` must be `rerun` or `skip`, not {describe(replay)}"
                hint = "`rerun`: a recovery starts the step again; `skip`: it leaves the step as it is"
                self.findings.at_value((*path, "recovery", written), "F316", message, hint)
            else:
                said[str(status)] = Replay(replay)
        return Recovery(**said)

    # Conditions

    def _needs(self, data: Mapping[str, Any], path: Path, beside: Mapping[str, Any]) -> Condition | None:
        value = data.get("needs")
        if "needs" not in data:
            return None
        parts = value if isinstance(value, list) else [value]
        read = []
        for index, part in enumerate(parts):
            spot = (*path, "needs", index) if isinstance(value, list) else (*path, "needs")
            if not isinstance(part, str):
                message = f"`needs` of `{path[-1]}` must be a condition, or a list of them, not {describe(part)}"
                self.findings.at_value(
                    spot, "F317", message, "write the names of steps, with `and` and `or` between them"
                )
            elif (condition := self._condition(part, spot, str(path[-1]), beside)) is not None:
                read.append(condition)
        if not parts:
            self.findings.at_value((*path, "needs"), "F317", f"`needs` of `{path[-1]}` is empty", "remove it")
        return join(read)

    def _condition(self, text: str, spot: Path, name: str, beside: Mapping[str, Any]) -> Condition | None:
        try:
            condition = parse(text)
        except ConditionError as error:
            hint = (self.findings.suggest(error.word, error.known) if error.known else None) or _CONDITION
            self.findings.in_value(spot, error.column, "F317", f"`needs` of `{name}`: {error.message}", hint)
            return None
        known = True
        for atom in atoms(condition):
            if atom.step not in beside:
                known = False
                message = f"`needs` of `{name}` names `{atom.step}`, and there is no such step beside it"
                hint = self.findings.suggest(atom.step, [str(one) for one in beside if one != name]) or _CONDITION
                self.findings.in_value(spot, atom.column, "F317", message, hint)
        return condition if known else None

    def _check_conditions(self, needs: Mapping[str, Condition | None], path: Path) -> None:
        edges = {(atom.step, name): atom for name, condition in needs.items() for atom in atoms(condition)}
        closed = False
        for cycle in find_cycles((), edges):
            closed = True
            before, name = cycle.edge
            message = f"cycle in the steps of the workflow `{path[2]}`: {cycle.shown}"
            self.findings.at_value((*path, name, "needs"), "F302", message, f"let `{name}` not need `{before}`")
        for name, condition in needs.items() if not closed else ():
            if condition is not None and not can_hold(condition, needs):
                message = f"what `{name}` needs can never hold: `{condition}`"
                hint = self._why_never(condition, needs) or "a step has one end alone: use `or`"
                self.findings.at_value((*path, name, "needs"), "F318", message, hint)

    def _why_never(self, condition: Condition, needs: Mapping[str, Condition | None]) -> str | None:
        for atom in _atoms_of_all(condition):
            if not can_hold(atom, needs):
                return f"`{atom}` can never hold"
        return None


def _atoms_of_all(condition: Condition) -> Iterator[Atom]:
    yield from atoms(condition)
