"""The stage's table in DynamoDB: jobs written on condition, read consistently, and listed.

Writes go in batches of 25 statements (PartiQL), each on a condition of its own: DynamoDB has no other batch of
conditional writes, and a call for every job would cost a runner most of a processor at a few hundred jobs a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from factory_cdk.queues.port import Outcome
from factory_cdk.queues.sqs.calls import PassingError, refused
from factory_cdk.queues.sqs.chunks import chunks
from factory_cdk.queues.sqs.clients import Clients
from factory_cdk.queues.sqs.items import BY_DEAD, BY_FAILED, BY_SENT, FAILED, Item, from_item, to_item
from factory_cdk.queues.sqs.jobs import PARTS, JobState

_STATEMENTS, _KEYS = 25, 100
"""How many statements, and keys to read, a call may have."""

LIVE_DAYS = 15
"""After so many days a job that never ended is forgotten too: SQS has lost its message by then."""


class Key(NamedTuple):
    """Where a job is in the table."""

    run: str
    id: str


class Write(NamedTuple):
    """Put `new` in the place of `old`, a version of the same job; where there is none, if `old` is None."""

    old: JobState | None
    new: JobState


class Written(NamedTuple):
    """Whether a write was done, and, if not, what is in its place; None when there is nothing."""

    done: bool
    found: JobState | None = None


class JobTable:
    """The jobs in the table `name`, of which each that is final is forgotten `keep` seconds later."""

    def __init__(self, clients: Clients, name: str, keep: float, clock: Callable[[], float]) -> None:
        self._clients, self._name, self._keep, self._clock = clients, name, keep, clock
        self._what = f"table {name}"

    def write(self, writes: Sequence[Write]) -> list[Written]:
        """Whether each was written: not where the job has another version, or is there already. FactoryError."""
        done: list[Written] = []
        for chunk in chunks(writes, _STATEMENTS):
            done += self._write(chunk)
        return done

    def read(self, keys: Sequence[Key]) -> dict[Key, JobState]:
        """The jobs of `keys` that there are, as they are now. FactoryError."""
        found: dict[Key, JobState] = {}
        for chunk in chunks(list(dict.fromkeys(keys)), _KEYS):
            left: Any = [{"run": {"S": key.run}, "id": {"S": key.id}} for key in chunk]
            while left:
                answer = self._read(left)
                for state in self._states(answer["Responses"].get(self._name, ())):
                    found[Key(state.job.run, state.job.id)] = state
                left = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", ())
        return found

    def of_run(self, run: str) -> list[JobState]:
        """Every job of `run`, read consistently, page by page. FactoryError."""
        condition = "#run = :run"
        return list(self._states(self._query(condition, {"#run": "run"}, {":run": {"S": run}}, ConsistentRead=True)))

    def has_run(self, run: str) -> bool:
        """Whether there is a job of `run`. FactoryError."""
        condition, values = "#run = :run", {":run": {"S": run}}
        return any(True for _ in self._query(condition, {"#run": "run"}, values, ConsistentRead=True, Limit=1))

    def sent(self, part: str, since: float | None, until: float | None) -> Iterator[tuple[int, Key]]:
        """The places and keys of the jobs in a part of the index, the last to be sent first."""
        low, high = int((since or 0.0) * 1e6), int(until * 1e6) if until is not None else 10**17
        values = {":part": {"S": part}, ":low": {"N": str(low)}, ":high": {"N": str(high)}}
        condition = "#part = :part AND #sent BETWEEN :low AND :high"
        names = {"#part": "part", "#sent": "sent"}
        for item in self._query(condition, names, values, IndexName=BY_SENT, ScanIndexForward=False):
            yield int(item["sent"]["N"]), _key(item)

    def dead(self, queue: str) -> Iterator[Key]:
        """The dead letters of `queue`, the first to die first."""
        yield from map(
            _key, self._query("#dead = :dead", {"#dead": "dead"}, {":dead": {"S": queue}}, IndexName=BY_DEAD)
        )

    def failed(self) -> Iterator[Key]:
        """The jobs with failed attempts, that of the last failure first."""
        names, values = {"#failed": "failed"}, {":failed": {"S": FAILED}}
        found = self._query("#failed = :failed", names, values, IndexName=BY_FAILED, ScanIndexForward=False)
        yield from map(_key, found)

    @property
    def parts(self) -> list[str]:
        """The parts of the index of all jobs."""
        return [str(number) for number in range(PARTS)]

    def _write(self, writes: Sequence[Write]) -> list[Written]:
        statements = [self._statement(write) for write in writes]
        done = [False] * len(writes)
        left = list(range(len(writes)))

        def attempt(client: Any) -> None:
            nonlocal left
            answers = client.batch_execute_statement(Statements=[statements[number] for number in left])["Responses"]
            again, refusal = [], None
            for number, answer in zip(left, answers, strict=True):
                error = answer.get("Error")
                if error is None:
                    done[number] = True
                elif error["Code"] not in ("ConditionalCheckFailed", "DuplicateItem"):
                    again.append(number)
                    refusal = refused(self._what, error["Code"], 0, error.get("Message", ""))
            left = again
            if refusal is not None:
                raise refusal

        self._clients.call("dynamodb", self._what, attempt)
        return self._told(writes, done)

    def _told(self, writes: Sequence[Write], done: list[bool]) -> list[Written]:
        """What became of `writes`. One whose answer was lost, so that it was tried twice, counts as done."""
        keys = {
            Key(write.new.job.run, write.new.job.id) for write, is_done in zip(writes, done, strict=True) if not is_done
        }
        now = self.read(list(keys)) if keys else {}
        written = []
        for write, is_done in zip(writes, done, strict=True):
            found = None if is_done else now.get(Key(write.new.job.run, write.new.job.id))
            is_ours = found is not None and _mark(found) == _mark(write.new)
            written.append(Written(is_done or is_ours, None if is_ours else found))
        return written

    def _statement(self, write: Write) -> dict[str, Any]:
        new = self._item(write.new)
        if write.old is None:
            names = ", ".join(f"'{name}': ?" for name in new)
            return {"Statement": f'INSERT INTO "{self._name}" VALUE {{{names}}}', "Parameters": list(new.values())}
        old = self._item(write.old)
        changed = {name: value for name, value in new.items() if old.get(name) != value}
        clauses = [f'SET "{name}"=?' for name in changed] + [f'REMOVE "{name}"' for name in old if name not in new]
        where = 'WHERE "run"=? AND "id"=? AND "version"=?'
        return {
            "Statement": f'UPDATE "{self._name}" {" ".join(clauses)} {where}',
            "Parameters": [*changed.values(), old["run"], old["id"], old["version"]],
        }

    def _item(self, state: JobState) -> dict[str, Any]:
        """The item of `state`. Dead letters are kept until somebody retries them, or for ever."""
        if state.outcome is Outcome.DEAD:
            return to_item(state, None)
        if state.finished is not None:
            return to_item(state, state.finished + self._keep)
        return to_item(state, max(state.enqueued, state.due) + LIVE_DAYS * 86_400 + self._keep)

    def _read(self, keys: Any) -> Any:
        request = {self._name: {"Keys": keys, "ConsistentRead": True}}

        def attempt(client: Any) -> Any:
            answer = client.batch_get_item(RequestItems=request)
            if answer.get("UnprocessedKeys") and not any(answer["Responses"].values()):
                raise PassingError(f"{self._what} is throttled", "too many calls a second; it is tried again")
            return answer

        return self._clients.call("dynamodb", self._what, attempt)

    def _query(
        self, condition: str, names: Mapping[str, str], values: Mapping[str, Any], **more: Any
    ) -> Iterator[Item]:
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": dict(names),
            "ExpressionAttributeValues": dict(values),
            **more,
        }
        while True:
            answer = self._clients.call("dynamodb", self._what, lambda client: client.query(**request))
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _states(self, items: Sequence[Item] | Iterator[Item]) -> Iterator[JobState]:
        """The jobs of `items` that are not forgotten: DynamoDB takes up to two days to remove what has expired."""
        now = self._clock()
        for item in items:
            if "expires" not in item or float(item["expires"]["N"]) > now:
                yield from_item(item)


def _mark(state: JobState) -> tuple[object, ...]:
    """What no two writers of one version have in common."""
    return state.version, state.sent, state.token, state.settled, state.outcome, state.due, state.finished


def _key(item: Item) -> Key:
    return Key(item["run"]["S"], item["id"]["S"])


def table_request(name: str) -> dict[str, Any]:
    """What CreateTable is given for the table, for tests and for who makes it without our templates."""

    def index(key: str, sort: str, name: str) -> dict[str, Any]:
        schema = [{"AttributeName": key, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
        return {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}}

    types = {
        "run": "S",
        "id": "S",
        "part": "S",
        "sent": "N",
        "dead": "S",
        "cursor": "N",
        "failed": "S",
        "failed_at": "N",
    }
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": one, "AttributeType": type_} for one, type_ in types.items()],
        "KeySchema": [{"AttributeName": "run", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            index("part", "sent", BY_SENT),
            index("dead", "cursor", BY_DEAD),
            index("failed", "failed_at", BY_FAILED),
        ],
    }
