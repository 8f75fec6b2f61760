"""What must be true after a storm, by what submitters and bots noted themselves and by what the queues say.

*Lost*: an acknowledged job, or one that follows from it along the workflow, that was not done in the end. *Finished
twice*: a job that was begun again although a success of it was acknowledged, that began the same attempt twice, whose
result went on in two versions, or that has not exactly one job for each successor. That a job is begun more often than
once is no fault: delivery is at least once, and every attempt that was lost must be on record (but for those that a
cold end gave back).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from factory_cdk.queues.port import JobRecord, Outcome


@dataclass(frozen=True, slots=True)
class Begin:
    """An attempt that was begun, by which process, with which nonce, when by its two clocks (seconds)."""

    process: int
    job: str
    attempt: int
    nonce: str
    wall: float
    moment: float


@dataclass
class Notes:
    """What submitters and bots noted: `acknowledged` nonces by job, what was `refused`, what was begun in order of
    time, which nonces the ends of an attempt passed on, and which attempts failed.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    begins: list[Begin] = field(default_factory=list)
    ends: dict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    fails: set[tuple[str, int]] = field(default_factory=set)


def read_notes(folder: Path) -> Notes:
    """Everything that was noted in `folder`."""
    notes = Notes()
    for file in folder.glob("*.acknowledged"):
        for line in file.read_text().splitlines():
            said = json.loads(line)
            notes.acknowledged |= zip(said.get("ids", ()), said.get("nonces", ()), strict=True)
            notes.refused += [said["refused"]] if "refused" in said else []
    for file in folder.glob("*.notes"):
        for line in file.read_text().splitlines():
            kind, job, attempt, *more = line.split()
            if kind == "begin":
                process = int(file.name.partition(".")[0])
                notes.begins.append(Begin(process, job, int(attempt), more[0], float(more[1]), float(more[2])))
            elif kind == "end":
                notes.ends[job, int(attempt)] += more
            else:
                notes.fails.add((job, int(attempt)))
    notes.begins.sort(key=lambda begin: begin.moment)
    return notes


def faults(
    notes: Notes, records: Iterable[JobRecord], following: dict[str, list[str]], cold: Sequence[tuple[float, float]]
) -> list[str]:
    """Everything that is not as it must be; `following` names the successors of each bot, `cold` the times from telling
    a runner to end cold until it had ended.
    """
    jobs = {record.job.id: record for record in records}
    children = defaultdict(list)
    for record in jobs.values():
        children[record.job.parent].append(record)
    found = [f"a submission was refused: {why}" for why in notes.refused]
    found += _lost(notes, jobs)
    for record in jobs.values():
        found += _faults_of(record, children[record.job.id], following[record.job.bot])
        if record.job.parent is not None and record.job.parent not in jobs:
            found.append(f"{record.job.id} has no parent {record.job.parent}")
    found += _begun_twice(notes, cold)
    found += _twice(notes, jobs)
    return found


def _lost(notes: Notes, jobs: dict[str, JobRecord]) -> Iterator[str]:
    for job, nonce in notes.acknowledged.items():
        if job not in jobs:
            yield f"{job} was acknowledged and is lost"
        elif jobs[job].job.payload["nonce"] != nonce:  # type: ignore[index, call-overload]
            yield f"{job} has another payload than was submitted"
    done = {job for job, _ in notes.ends}
    yield from (f"{job} was never done by a bot" for job in jobs if job not in done)


def _faults_of(record: JobRecord, children: list[JobRecord], successors: list[str]) -> Iterator[str]:
    name = f"{record.job.bot} job {record.job.id}"
    if record.outcome is not Outcome.SUCCESS:
        yield f"{name} is {record.state} after {record.attempts} attempts: {record.failures[-3:]}"
    if record.attempts != len(record.failures) + 1:
        yield f"{name}: {record.attempts} attempts, {len(record.failures)} failures on record"
    if sorted(child.job.bot for child in children) != sorted(successors):
        yield f"{name} went on to {sorted(child.job.bot for child in children)}"
    if any(child.job.payload != record.result for child in children):
        yield f"{name}: what went on is not its result"


def _begun_twice(notes: Notes, cold: Sequence[tuple[float, float]]) -> Iterator[str]:
    attempts = defaultdict(list)
    for begin in notes.begins:
        attempts[begin.job, begin.attempt].append(begin)
    for (job, attempt), begins in attempts.items():
        for before, after in pairwise(begins):
            if not any(before.moment < ended and told < after.moment for told, ended in cold):
                yield f"attempt {attempt} of {job} was begun again: {before}, {after}"


def _twice(notes: Notes, jobs: dict[str, JobRecord]) -> Iterator[str]:
    for begin in notes.begins:
        record = jobs.get(begin.job)
        if record is None:
            yield f"{begin.job} was begun and is not on record"
            continue
        payload: Any = record.job.payload
        if begin.nonce != payload["nonce"]:
            yield f"{begin.job} was begun with two payloads"
        if begin.attempt > record.attempts:
            yield f"{begin.job} was begun again (attempt {begin.attempt}) after attempt {record.attempts} had succeeded"
    for record in jobs.values():
        result: Any = record.result
        returned = notes.ends.get((record.job.id, record.attempts), ())
        if record.outcome is Outcome.SUCCESS and result["nonce"] not in returned:
            yield f"{record.job.id}: its result is not what attempt {record.attempts} returned"
