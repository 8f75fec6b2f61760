"""CloudFormation stacks as `build` and `demolish` handle them: what they are, change sets, events, and signals."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from factory_cdk.agent.wait_handle import WaitHandleError, put
from factory_cdk.canonical_json import canonical_json
from factory_cdk.deploy.account import PATIENCE, Account, RefusedError
from factory_cdk.deploy.pace import Pace
from factory_cdk.design.commit import GATES, PARAMETER, handle_id
from factory_cdk.diagnostics import FactoryError

GONE = "GONE"
"""The status of a stack that is not there."""

_NOT_UPDATED = ("No updates are to be performed", "didn't contain changes")

_CHANGE_SET = "factory-cdk"

MOST_IN_BODY = 51_200
"""Bytes of a template that a request takes itself; a larger one is read from the bucket of assets
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html)."""

_STACK, _BEGINS = "AWS::CloudFormation::Stack", ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")

HANDLE = "AWS::CloudFormation::WaitConditionHandle"

WAITING = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
"""The status of a wait condition that waits; the second is an emulator's word for one that an update makes."""

Signal = Literal["SUCCESS", "FAILURE"]


@dataclass(frozen=True, slots=True)
class StackNow:
    """A stack as an account has it: its ARN (`id`), CloudFormation's status (GONE without one), tags, parameters and
    outputs, whether termination protection is on (`protected`), and the reason of its status.
    """

    name: str
    region: str
    status: str
    id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False
    reason: str = ""

    @property
    def is_there(self) -> bool:
        """Whether there is a stack with resources."""
        return self.status not in (GONE, "REVIEW_IN_PROGRESS", "DELETE_COMPLETE")

    @property
    def in_progress(self) -> bool:
        """Whether CloudFormation is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def is_settled(self) -> bool:
        """Whether it is as its template says, and can be updated."""
        return self.status in (
            "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE",
            "IMPORT_ROLLBACK_COMPLETE",
        )  # fmt: skip

    @property
    def gate(self) -> str | None:
        """The commit gate that it has, one of `design.commit.GATES`."""
        said = self.parameters.get(PARAMETER)
        return said if said in GATES else None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a stack: `resource` is a logical id (the stack's name for the stack itself),
    `physical` what the resource is called.
    """

    id: str
    resource: str
    physical: str
    type: str
    status: str
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether it is a failure of its own, not one that follows from another."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason


def describe(account: Account, name: str, region: str) -> StackNow:
    """The stack `name` (or id). RefusedError."""
    try:
        found = account.call(region, "cloudformation", "describe_stacks", StackName=name)["Stacks"][0]
    except RefusedError as error:
        if error.code == "ValidationError" and "does not exist" in error.detail:
            return StackNow(name, region, GONE)
        raise
    return stack_from(found, region)


def stack_from(said: Mapping[str, Any], region: str) -> StackNow:
    """The stack that DescribeStacks describes by `said`."""
    return StackNow(
        name=str(said["StackName"]),
        region=region,
        status=str(said["StackStatus"]),
        id=str(said["StackId"]),
        tags={one["Key"]: one["Value"] for one in said.get("Tags", ())},
        parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in said.get("Parameters", ())},
        outputs={one["OutputKey"]: one["OutputValue"] for one in said.get("Outputs", ())},
        protected=bool(said.get("EnableTerminationProtection")),
        reason=str(said.get("StackStatusReason", "")),
    )


def template_of(account: Account, stack: StackNow) -> Mapping[str, Any]:
    """The template that `stack` was deployed with last."""
    body = account.call(
        stack.region, "cloudformation", "get_template", StackName=stack.id or stack.name, TemplateStage="Original"
    )["TemplateBody"]
    found = json.loads(body) if isinstance(body, str) else body
    if not isinstance(found, Mapping):
        raise FactoryError(f"the template of {stack.name} is none of ours", "deploy the stage under another name")
    return found


def same_template(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two templates make the same of a stack: what is said about it (Metadata, Description) does not count."""
    said = ("Metadata", "Description")
    old_one, new_one = ({key: one[key] for key in one if key not in said} for one in (old, new))
    return canonical_json(old_one) == canonical_json(new_one)


@dataclass(frozen=True, slots=True)
class Template:
    """A template to deploy: its file in the assembly, and the bucket and key under which it is published."""

    path: Path
    bucket: str
    key: str
    domain: str = "amazonaws.com"

    def given(self, region: str) -> dict[str, str]:
        """How a request names it."""
        text = self.path.read_text(encoding="utf-8")
        if len(text.encode()) <= MOST_IN_BODY:
            return {"TemplateBody": text}
        return {"TemplateURL": f"https://{self.bucket}.s3.{region}.{self.domain}/{self.key}"}


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that is ready: its id, and that of its stack."""

    id: str
    stack_id: str


def make_change_set(
    account: Account,
    stack: StackNow,
    template: Template,
    *,
    gate: str,
    tags: Mapping[str, str],
    take_back: bool = True,
    pace: Pace,
) -> ChangeSet | None:
    """Prepare to create or update `stack`, which waits at `gate` then; None when there is nothing to change. With
    `take_back` False, what fails is left as it is. RefusedError, FactoryError.
    """
    region, new = stack.region, not stack.is_there
    name = f"{_CHANGE_SET}-{uuid.uuid4().hex[:12]}"
    try:
        made = account.call(
            region, "cloudformation", "create_change_set",
            StackName=stack.name, ChangeSetName=name, ClientToken=name,
            ChangeSetType="CREATE" if new else "UPDATE",
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": PARAMETER, "ParameterValue": gate}],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            OnStackFailure="ROLLBACK" if take_back else "DO_NOTHING",
            **template.given(region),
        )  # fmt: skip
    except RefusedError as error:
        if error.code != "AlreadyExistsException":
            raise
        # Its name is new: it was made, and the answer to the first try was lost.
        found = account.call(region, "cloudformation", "describe_change_set", ChangeSetName=name, StackName=stack.name)
        made = {"Id": found["ChangeSetId"], "StackId": found["StackId"]}
    for _ in pace.looks():
        found = account.call(
            region, "cloudformation", "describe_change_set", ChangeSetName=made["Id"], StackName=made["StackId"]
        )
        status, reason = str(found["Status"]), str(found.get("StatusReason", ""))
        if status == "CREATE_COMPLETE":
            break
        if status == "FAILED":
            account.call(
                region, "cloudformation", "delete_change_set", ChangeSetName=made["Id"], StackName=made["StackId"]
            )
            if any(text in reason for text in _NOT_UPDATED):
                return None
            if new:  # the empty stack that a change set makes
                account.call(region, "cloudformation", "delete_stack", StackName=made["StackId"])
            raise FactoryError(f"{stack.name} ({region}) is refused by CloudFormation: {reason}", _CORRECT)
    return ChangeSet(str(made["Id"]), str(made["StackId"]))


_CORRECT = "correct the plan, then run the same command again"


def execute(account: Account, region: str, change_set: ChangeSet) -> None:
    """Have CloudFormation do what `change_set` says. RefusedError."""
    try:
        account.call(
            region, "cloudformation", "execute_change_set",
            ChangeSetName=change_set.id, StackName=change_set.stack_id,
            ClientRequestToken=f"execute-{change_set.id.rpartition('/')[2]}",
        )  # fmt: skip
    except RefusedError as error:
        if error.code != "InvalidChangeSetStatus" or not _is_executed(account, region, change_set):
            raise


def _is_executed(account: Account, region: str, change_set: ChangeSet) -> bool:
    """Whether it was executed: the answer to the first try was lost."""
    found = account.call(
        region, "cloudformation", "describe_change_set", ChangeSetName=change_set.id, StackName=change_set.stack_id
    )
    return str(found.get("ExecutionStatus", "")).startswith("EXECUTE_")


def drop_change_set(account: Account, stack: StackNow, change_set: ChangeSet) -> None:
    """Delete a change set that is not executed, and the empty stack that it has made."""
    account.call(
        stack.region, "cloudformation", "delete_change_set",
        ChangeSetName=change_set.id, StackName=change_set.stack_id,
    )  # fmt: skip
    if describe(account, change_set.stack_id, stack.region).status == "REVIEW_IN_PROGRESS":
        account.call(stack.region, "cloudformation", "delete_stack", StackName=change_set.stack_id)


class Events:
    """The events of a stack, each once, the oldest first: those from the beginning of what CloudFormation does with it
    now, or did last.
    """

    def __init__(self, account: Account, region: str, stack_id: str) -> None:
        self._account, self._region, self._stack = account, region, stack_id
        self._last: str | None = None
        self._begun = False

    def skip(self) -> None:
        """Leave out what has happened so far: what CloudFormation does begins later."""
        self._begun = True
        for event in self._newest_first():
            self._last = event.id
            return

    def new(self) -> list[Event]:
        """Those since the last call."""
        found: list[Event] = []
        for event in self._newest_first():
            if event.id == self._last:
                break
            found.append(event)
            if not self._begun and event.type == _STACK and event.status in _BEGINS and event.physical == self._stack:
                break
        self._begun = True
        if found:
            self._last = found[0].id
        return found[::-1]

    def _newest_first(self) -> Iterator[Event]:
        token: str | None = None
        while True:
            more = {"NextToken": token} if token else {}
            try:
                answer = self._account.call(
                    self._region, "cloudformation", "describe_stack_events", StackName=self._stack, **more
                )
            except RefusedError as error:
                if error.code == "ValidationError" and "does not exist" in error.detail:
                    return
                raise
            for one in answer["StackEvents"]:
                yield Event(
                    str(one["EventId"]),
                    str(one["LogicalResourceId"]),
                    str(one.get("PhysicalResourceId", "")),
                    str(one["ResourceType"]),
                    str(one["ResourceStatus"]),
                    str(one.get("ResourceStatusReason", "")),
                )
            token = answer.get("NextToken")
            if not token:
                return


def refused_names(account: Account, region: str, stack_id: str) -> list[str]:
    """What CloudFormation refuses of a stack before it makes anything: names that are taken. RefusedError."""
    found = account.pages(region, "cloudformation", "describe_events", "OperationEvents", StackName=stack_id)
    return [
        f"{one.get('LogicalResourceId')}: {one.get('ValidationStatusReason')}"
        for one in found
        if one.get("EventType") == "VALIDATION_ERROR"
    ]


def resources_of(account: Account, region: str, stack_id: str) -> dict[str, Mapping[str, Any]]:
    """The resources of a stack by logical id, as CloudFormation describes them. RefusedError."""
    found = account.pages(
        region, "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack_id
    )
    return {str(one["LogicalResourceId"]): one for one in found}


def signal_gate(resources: Mapping[str, Mapping[str, Any]], gate: str, signal: Signal, reason: str) -> bool:
    """Send `signal` to the gate of a stack with these resources; False when it takes none any more. FactoryError when
    it cannot be reached.
    """
    url = str(resources.get(handle_id(gate), {}).get("PhysicalResourceId", ""))
    return bool(url) and put_signal(url, signal, reason)


def signal_failure(resources: Mapping[str, Mapping[str, Any]], handles: Sequence[str], reason: str) -> None:
    """Have every wait condition of `handles` fail, so that CloudFormation takes the stack back."""
    for logical_id in handles:
        url = str(resources.get(logical_id, {}).get("PhysicalResourceId", ""))
        if url.startswith("http"):
            put_signal(url, "FAILURE", reason)


def put_signal(url: str, signal: Signal, reason: str, patience: float = PATIENCE) -> bool:
    """PUT a signal to the presigned `url` of a wait handle, again for `patience` seconds while that may help; False
    when it takes none any more. FactoryError.
    """
    body = json.dumps({"Status": signal, "UniqueId": "factory-cdk", "Data": signal, "Reason": reason[:1000]}).encode()
    end, pace = time.monotonic() + patience, Pace()
    for _ in pace.looks():
        try:
            status = put(url, body)
        except WaitHandleError:
            status = 0
        passing = not status or status == 429 or status >= 500
        if not passing or time.monotonic() > end:
            break
    if status in (200, 204):
        return True
    if status in (403, 404, 410):
        return False
    raise FactoryError("a wait handle of CloudFormation cannot be reached", "run the same command again: it goes on")
