"""Whose deployment of a stage is under way, and what is decided about it: SSM parameters beside the stage's own.

`/factory-cdk/<factory>/<stage>/deployment.<n>`, in the home region. Who deploys makes the next number, which SSM lets
one do alone (`PutParameter` without overwriting); the highest number is the deployment that counts. It is written again
every few seconds while its process lives, so that others know; one that is silent for a minute (LifeSigns) has died,
and the next command takes its place: it makes the next number, and then reads here what was decided. One that was only
asleep sees the higher number once it has written what it decides, and does not act on it: so one of the two knows.
"""

from __future__ import annotations

import contextlib
import email.utils
import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.design.naming import Names
from factory_cdk.diagnostics import FactoryError

_PREFIX = "deployment."

_ALIVE: set[str] = set()
"""The ids of this process's own records that it has not ended."""

Decision = Literal["", "commit", "take back"]


@dataclass(frozen=True, slots=True)
class LifeSigns:
    """How long a deployment may be `silent` until it counts as dead, on the clock of AWS, and the pause between two of
    its signs of life, in seconds.
    """

    silent: float = 60.0
    every: float = 15.0


@dataclass(frozen=True, slots=True)
class StackInRecord:
    """A stack of a deployment: the gate that it waits at, and whether the deployment makes it."""

    name: str
    region: str
    gate: str
    new: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A deployment: what is done (`verb`: build or demolish), by whom (`owner`: user and host, `process` of
    `machine`), the `digest` of what is deployed, its `stacks`, and what is decided about them.
    """

    id: str
    verb: str
    owner: str
    process: int
    machine: str
    began: float
    digest: str = ""
    decision: Decision = ""
    stacks: tuple[StackInRecord, ...] = ()

    @property
    def who(self) -> str:
        """Whose it is, for people."""
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.began))
        return f"{self.owner}, process {self.process}, since {began}"


@dataclass(frozen=True, slots=True)
class Found:
    """The deployment that counts, its number, and for how many seconds it has said nothing; it counts as dead after
    `most` of them.
    """

    number: int
    record: Record
    silent: float
    most: float

    @property
    def lives(self) -> bool:
        """Whether its process seems to be there; one of this machine is looked for, and what this process itself has
        left is known.
        """
        if self.record.machine == _machine():
            if not _is_there(self.record.process):
                return False
            if self.record.process == os.getpid() and self.record.id not in _ALIVE:
                return False
        return self.silent < self.most


class UnderWayError(FactoryError):
    """Somebody else deploys the stage now."""

    def __init__(self, stage: str, found: Found) -> None:
        super().__init__(
            f"{stage} is being deployed already: {found.record.verb} of {found.record.who}",
            f"wait until it ends; if it has died, that is known {found.most:.0f} s after its last sign of life",
        )


def find_record(account: Account, names: Names, region: str, most_silent: float = LifeSigns().silent) -> Found | None:
    """The deployment of a stage that is under way, or was left; None when there is none. RefusedError."""
    found = _parameters(account, names, region)
    if not found:
        return None
    number = max(found)
    text, changed, now = found[number]
    try:
        return Found(number, _record(json.loads(text)), max(0.0, now - changed), most_silent)
    except (ValueError, KeyError, TypeError) as error:
        raise FactoryError(
            f"the parameter {names.path(_PREFIX + str(number))} cannot be understood: {error}",
            "another version of factory-cdk may have written it: use that one, or delete the parameter",
        ) from error


@dataclass
class Claim:
    """The right to deploy a stage, which ends with `release`. For several threads."""

    account: Account
    names: Names
    region: str
    number: int
    record: Record
    signs: LifeSigns = LifeSigns()
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _lost: FactoryError | None = None

    def write(self, **changes: Any) -> None:
        """Change what the record says, before what it says is done. FactoryError, also when the claim was lost: as long
        as this returns, who takes its place reads what was written.
        """
        with self._lock:
            self._refuse_lost()
            self.record = replace(self.record, **changes)
            self._put()

    @property
    def lost(self) -> bool:
        """Whether it is known that somebody else has taken the place of this deployment."""
        return self._lost is not None

    def check(self) -> None:
        """FactoryError when it is known that somebody else has taken the place of this deployment."""
        with self._lock:
            self._refuse_lost()

    def confirm(self) -> None:
        """FactoryError when somebody else has taken its place, as AWS says now: this process may have slept."""
        self.write()

    def release(self) -> None:
        """Nothing is under way any more."""
        self._ended.set()
        with self._lock:
            if self._lost is None:
                _delete(self.account, self.names, self.region, self.number)

    def leave(self) -> None:
        """End here, and leave the record for the command that goes on."""
        self._ended.set()
        _ALIVE.discard(self.record.id)

    def live(self) -> None:
        """Give signs of life until the end; for a thread of its own."""
        while not self._ended.wait(self.signs.every):
            with self._lock:
                if self._ended.is_set():
                    return
                try:
                    self._refuse_taken()
                    self._put()
                except FactoryError:  # the network is away: the next time, and if that is too late, it is known then
                    if self._lost is not None:
                        return

    def _refuse_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _refuse_taken(self) -> None:
        numbers = _parameters(self.account, self.names, self.region)
        if max(numbers, default=0) <= self.number:
            return
        other = _record(json.loads(numbers[max(numbers)][0]))
        raise self._losing(f"{other.verb} of {other.who}")

    def _losing(self, other: str) -> FactoryError:
        self._lost = FactoryError(
            f"{other} has taken the place of this command, which was silent", "see `factory-cdk info`"
        )
        return self._lost

    def _put(self) -> None:
        """Write the record, and see that it still counts: who makes a higher number first reads this one afterwards,
        and deletes it.
        """
        answer = self.account.call(
            self.region, "ssm", "put_parameter",
            Name=self.names.path(f"{_PREFIX}{self.number}"), Value=_text(self.record), Type="String", Overwrite=True,
        )  # fmt: skip
        try:
            self._refuse_taken()
            if answer["Version"] == 1:  # it was deleted meanwhile, and is new
                raise self._losing("another command, which has ended,")
        except FactoryError:
            if self._lost is not None:
                _delete(self.account, self.names, self.region, self.number)
            raise


@contextlib.contextmanager
def claimed(
    account: Account, names: Names, region: str, verb: str, signs: LifeSigns | None = None
) -> Iterator[tuple[Claim, Record | None]]:
    """The right to deploy a stage, and the record of a deployment that died before; FactoryError, UnderWayError.

    The record is kept when an exception leaves the block, until `Claim.release`.
    """
    stage = f"{names.factory}/{names.stage}"
    signs = signs or LifeSigns()
    before = find_record(account, names, region, signs.silent)
    if before is not None and before.lives:
        raise UnderWayError(stage, before)
    number = 1 if before is None else before.number + 1
    record = Record(uuid.uuid4().hex, verb, _owner(), os.getpid(), _machine(), time.time())
    if before is not None:  # until this one decides otherwise, that holds what was decided
        record = replace(
            record, decision=before.record.decision, stacks=before.record.stacks, digest=before.record.digest
        )
    claim = Claim(account, names, region, number, record, signs)
    _ALIVE.add(record.id)
    try:
        _make(claim, stage)
        if before is not None:
            before = _taken_over(claim, before)
        living = threading.Thread(target=claim.live, name="signs of life", daemon=True)
        living.start()
        yield claim, before.record if before else None
    finally:
        claim.leave()


def _taken_over(claim: Claim, before: Found) -> Found:
    """What the record of a deployment says last whose place `claim` has taken; it is deleted."""
    written = _parameters(claim.account, claim.names, claim.region).get(before.number)
    if written is not None:  # it may have woken up, and decided something until it saw that its place is taken
        before = replace(before, record=_record(json.loads(written[0])))
        said = before.record
        claim.write(decision=said.decision, stacks=said.stacks, digest=said.digest)
    _delete(claim.account, claim.names, claim.region, before.number)
    return before


def _make(claim: Claim, stage: str) -> None:
    name = claim.names.path(f"{_PREFIX}{claim.number}")
    try:
        claim.account.call(
            claim.region, "ssm", "put_parameter",
            Name=name, Value=_text(claim.record), Type="String", Overwrite=False,
            Description="A deployment of factory-cdk that is under way",
        )  # fmt: skip
    except RefusedError as error:
        if error.code != "ParameterAlreadyExists":
            raise
        found = find_record(claim.account, claim.names, claim.region)
        if found is None or found.record.id != claim.record.id:  # its own: the answer to the first try was lost
            raise (UnderWayError(stage, found) if found else error) from None


def _delete(account: Account, names: Names, region: str, number: int) -> None:
    try:
        account.call(region, "ssm", "delete_parameter", Name=names.path(f"{_PREFIX}{number}"))
    except RefusedError as error:
        if error.code != "ParameterNotFound":
            raise


def _parameters(account: Account, names: Names, region: str) -> dict[int, tuple[str, float, float]]:
    """The records by number: their text, when they were written, and what the time is, on the clock of AWS."""
    found: dict[int, tuple[str, float, float]] = {}
    token: str | None = None
    while True:
        more = {"NextToken": token} if token else {}
        answer = account.call(region, "ssm", "get_parameters_by_path", Path=names.path(), Recursive=False, **more)
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        now = email.utils.parsedate_to_datetime(date).timestamp() if date else time.time()
        for one in answer["Parameters"]:
            rest = str(one["Name"]).rpartition("/")[2]
            number = rest.removeprefix(_PREFIX)
            if rest.startswith(_PREFIX) and number.isdigit():
                found[int(number)] = (str(one["Value"]), one["LastModifiedDate"].timestamp(), now)
        token = answer.get("NextToken")
        if not token:
            return found


def _text(record: Record) -> str:
    return json.dumps({**asdict(record), "stacks": [asdict(one) for one in record.stacks]})


def _record(said: Mapping[str, Any]) -> Record:
    return Record(**{**said, "stacks": tuple(StackInRecord(**one) for one in said["stacks"])})


def _owner() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user of no name
        user = str(os.getuid())
    return f"{user} on {socket.gethostname()}"


def _machine() -> str:
    """The boot of this machine, and the processes that are seen from here: those of a container are others."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode():x}"


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
