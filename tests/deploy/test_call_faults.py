"""One fault at each call of AWS that build, update and demolish make: each verb is run once and its calls recorded,
then again with one of them throttled, unanswered, or denied. A call that is new in the product is among them by itself.

A run tries a sample, the same one each time; `FACTORY_CDK_SOAK=24 ./dev e2e -k call_fault` tries all.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import re
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from answering import FAILURE, SUCCESS, answering
from aws_proxy import Call, Fault, Proxy, proxied
from emulator import Emulator
from repeatable import SOAK
from test_build_on_aws import AWAY, HOME, SECRET, Works

from factory_cdk import cli

SAMPLE = 40
"""Faults of the normal run, of all verbs together."""

SHARES = 2
"""In so many tests, which several cores can run."""

BURST = 4
"""So often in a row a call meets a fault that passes: once more than boto3 sends it by itself."""

BUILD, UPDATE, FAILING, DEMOLISH = "build", "update", "update that fails", "demolish"
VERBS = (BUILD, UPDATE, FAILING, DEMOLISH)
FAULTS = (Fault.THROTTLED, Fault.UNAVAILABLE, Fault.CUT, Fault.ANSWER_LOST, Fault.DENIED)
ACTIONS = {
    "s3.HEAD": "s3:GetObject|s3:ListBucket",
    "s3.GET": "s3:GetObject|s3:ListBucket",
    "s3.PUT": "s3:PutObject",
    "s3.POST": "s3:DeleteObject",
    "s3.DELETE": "s3:DeleteBucket",
}
"""What IAM calls an operation that HTTP names otherwise."""

NOT_NEEDED = ((DEMOLISH, "ssm.GetParameter"),)
"""The state of the gate, which is shown and no more: a verb may end well without it, and say nothing."""

NEVER_DENIED = ("sts.GetCallerIdentity", "handle.PUT")
"""IAM decides about neither (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html)."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Case:
    """A fault at the call number `number` of `operation` in a run of `verb`."""

    verb: str
    operation: str
    number: int
    fault: Fault

    def __str__(self) -> str:
        return f"{self.verb}: {self.operation} {self.number}: {self.fault.value}"


WENT_WRONG = (
    Case(BUILD, "cloudformation.ListStackResources", 2, Fault.DENIED),  # the commit, and the gates stayed closed
    Case(BUILD, "cloudformation.CreateChangeSet", 1, Fault.ANSWER_LOST),
    Case(UPDATE, "cloudformation.ExecuteChangeSet", 1, Fault.ANSWER_LOST),
    Case(DEMOLISH, "ssm.DeleteParameter", 2, Fault.DENIED),  # in a region without stacks, which was not looked at again
    Case(DEMOLISH, "ec2.DescribeRegions", 1, Fault.DENIED),
)
"""Tried in every run."""


@dataclass
class Faulty:
    """What calls meet in a run with `case`: its call and the repetitions of it, or all of its operation from then on
    when it is denied.
    """

    case: Case
    seen: int = 0
    met: int = 0
    _chosen: tuple[str, str, bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def choose(self, call: Call) -> Fault | None:
        if call.operation != self.case.operation:
            return None
        key = call.region, call.path, call.body
        with self._lock:
            self.seen += 1
            if self.case.fault is Fault.DENIED:
                met = self.seen >= self.case.number
            else:
                if self.seen == self.case.number:
                    self._chosen = key
                times = 1 if self.case.fault is Fault.ANSWER_LOST else BURST
                met = key == self._chosen and self.met < times
            self.met += met
        return self.case.fault if met else None


@dataclass
class Stage:
    """A stage whose verbs run in this process, through `proxy`."""

    works: Works
    proxy: Proxy
    monkeypatch: pytest.MonkeyPatch
    codes: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def prepare(self, verb: str) -> None:
        """Have the plan, and what instances answer, be what `verb` wants."""
        self.works.instances.says["south"] = FAILURE if verb == FAILING else SUCCESS
        if verb != DEMOLISH:
            self.works.write(str(next(self.codes)))

    def run(self, verb: str) -> tuple[int, str]:
        """The exit code of `verb`, and what it says."""
        said = io.StringIO()
        line = self.works.BUILD if verb != DEMOLISH else ("demolish", "--name", self.works.factory, "--yes")
        self.monkeypatch.setattr("sys.argv", ["factory-cdk", *line])
        code = 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                cli.main()
            except SystemExit as error:
                code = int(error.code or 0)
            except Exception:
                said.write(traceback.format_exc())
                code = -1
        return code, said.getvalue()

    def state(self) -> tuple[object, ...]:
        """What there is of the stage, as far as a verb that fails must not change it."""
        works = self.works
        statuses = [re.sub("UPDATE_ROLLBACK|UPDATE|CREATE", "", one) for one in works.statuses()]
        return statuses, works.releases(), works.gates(), [one for one in works.parameters() if "deployment" in one]

    def is_right(self, verb: str, code: int, before: tuple[object, ...]) -> list[str]:
        """What is not as `verb` leaves it when it ends well."""
        works, wrong = self.works, []
        if code != (1 if verb == FAILING else 0):
            wrong.append(f"exit code {code}")
        if verb == DEMOLISH:
            return wrong + [f"remains: {one}" for one in works.remains()]
        statuses, releases, gates, records = self.state()
        if statuses != ["_COMPLETE"] * 3 or gates or records:
            wrong.append(f"it is {statuses}, {gates}, {records}")
        if verb == FAILING and self.state() != before:
            wrong.append(f"it was {before}, and is {self.state()}")
        if verb in (BUILD, UPDATE) and (len(releases) != 2 or set(releases) & set(before[1])):
            wrong.append(f"the releases were {before[1]}, and are {releases}")
        return wrong


@pytest.fixture
def stage(aws: Emulator, tmp_path: Path, worker_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for region in (HOME, AWAY):
        aws.bootstrap(region)
    factory = f"faulty{worker_id.removeprefix('gw')}x{next(_numbers)}"
    with (
        proxied(aws.url) as proxy,
        answering(aws, f"/factory-cdk/{factory}/prod", {"north": HOME, "south": AWAY}) as instances,
    ):
        environ = {**aws.environment, "AWS_ENDPOINT_URL": proxy.url, "AWS_REGION": HOME, "TOKEN": SECRET}
        for name, value in {**environ, "FACTORY_CDK_HOME": str(tmp_path / "home")}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield Stage(Works(aws, tmp_path, factory, instances), proxy, monkeypatch)


def recorded(stage: Stage) -> dict[str, list[str]]:
    """The operations that each verb calls, in their order, when nothing goes wrong."""
    found = {}
    for verb in VERBS:
        stage.prepare(verb)
        before = stage.state()
        stage.proxy.calls.clear()
        code, said = stage.run(verb)
        assert stage.is_right(verb, code, before) == [], said
        found[verb] = [call.operation for call in stage.proxy.calls]
    return found


def cases_of(calls: dict[str, list[str]], rng: random.Random) -> list[Case]:
    """A fault of each kind at the first call of each operation, and at a later one."""
    found = []
    for verb, operations in calls.items():
        for operation in sorted(set(operations)):
            count = operations.count(operation)
            numbers = [1] if count == 1 else [1, rng.randint(2, count)]
            faults = [one for one in FAULTS if one is not Fault.DENIED or operation not in NEVER_DENIED]
            found += [Case(verb, operation, number, fault) for number in numbers for fault in faults]
    return found


def chosen_of(cases: Sequence[Case], verb: str) -> list[Case]:
    """Those of `cases` that are tried of `verb`: what went wrong once, and others."""
    here = [one for one in cases if one.verb == verb]
    before = [one for one in WENT_WRONG if one.verb == verb]
    return [*before, *(one for one in here if one not in before)][: SOAK * SAMPLE // len(VERBS)]


def tried(stage: Stage, verb: str, case: Case | None) -> list[str]:
    """Run `verb` with the fault of `case`; what is wrong then."""
    stage.prepare(verb)
    before = stage.state()
    faulty = Faulty(case) if case else None
    stage.proxy.choose = faulty.choose if faulty else lambda _: None
    code, said = stage.run(verb)
    stage.proxy.choose = lambda _: None
    wrong = ["traceback"] if "Traceback" in said else []
    wrong += ["it shows a secret"] if SECRET in said else []
    denied = case is not None and case.fault is Fault.DENIED and faulty is not None and faulty.met > 0
    if case and denied:
        wrong += said_of_denial(case, code, said)
        if code != 0 and (verb != FAILING or stage.state() != before):
            if stage.state() != before and not re.search("again|remain", said):
                wrong.append(f"it was {before}, and is {stage.state()}, and it does not say what to do")
            code, more = stage.run(verb)
            said += f"\n--- again\n{more}"
    wrong += stage.is_right(verb, code, before)
    return [f"WRONG: {case or verb}: {'; '.join(wrong)}\n{said}"] if wrong else []


def said_of_denial(case: Case, code: int, said: str) -> list[str]:
    """What is missing in what a verb says of a call that it may not make: it fails, or ends well without it, and names
    the permission.
    """
    if code == 0 and (case.verb, case.operation) in NOT_NEEDED:
        return []
    service, _, operation = case.operation.partition(".")
    action = ACTIONS.get(case.operation, f"{service}:{operation}")
    wrong = [] if re.search(action, said) else [f"{action} is not named"]
    if code not in (0, 1):
        wrong.append(f"exit code {code}")
    return wrong


@pytest.mark.e2e
@pytest.mark.parametrize("share", range(SHARES))
def test_a_call_fault_is_waited_for_or_told_and_nothing_is_lost(stage: Stage, share: int) -> None:
    rng = random.Random(7)  # noqa: S311 - no secret
    calls = recorded(stage)
    cases = cases_of(calls, rng)
    sites = len({(one.verb, one.operation, one.number) for one in cases})
    rng.shuffle(cases)
    chosen: dict[str, Sequence[Case]] = {}
    for verb in VERBS:
        chosen[verb] = chosen_of(cases, verb)[share::SHARES]
    print(f"{sites} sites of calls, {len(cases)} faults")
    wrong = []
    for row in itertools.zip_longest(*chosen.values()):
        for verb, case in zip(VERBS, row, strict=True):
            found = tried(stage, verb, case)
            print(*found or [f"{case or verb}: as it should be"], flush=True)
            wrong += found
    count = sum(map(len, chosen.values()))
    print(f"{count} faults were tried here, {len(wrong)} went wrong")
    assert wrong == [], "\n\n".join(wrong)
