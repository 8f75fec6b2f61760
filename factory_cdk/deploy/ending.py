"""Stacks that are deleted, and waiting until CloudFormation is at work on a stack no more."""

from __future__ import annotations

from factory_cdk.deploy.account import Account
from factory_cdk.deploy.following import Say
from factory_cdk.deploy.pace import Pace
from factory_cdk.deploy.stacks import StackNow, describe, resources_of


def begin_deletion(account: Account, stack: StackNow) -> None:
    """Have CloudFormation delete a stack, which may be on its way already. RefusedError."""
    account.call(stack.region, "cloudformation", "delete_stack", StackName=stack.id or stack.name)


def delete(account: Account, stack: StackNow, pace: Pace, say: Say | None = None) -> list[str]:
    """Delete a stack, and wait for it; what remains of it, with the reason, in words. RefusedError."""
    begin_deletion(account, stack)
    now = stack
    for _ in pace.looks():
        now = describe(account, stack.id or stack.name, stack.region)
        if not now.is_there:
            if say is not None:
                say(f"{stack.name}: deleted")
            return []
        if now.status == "DELETE_FAILED":
            break
    resources = resources_of(account, stack.region, stack.id or stack.name)
    failed = [
        f"{name} ({one.get('ResourceStatusReason', 'no reason given')})"
        for name, one in resources.items()
        if one["ResourceStatus"] == "DELETE_FAILED"
    ]
    return [f"{stack.name} ({stack.region}): {', '.join(failed) or now.reason or now.status}"]


def await_settled(account: Account, stack: StackNow, pace: Pace) -> StackNow:
    """The stack once CloudFormation is not at work on it any more. RefusedError."""
    now = stack
    for _ in pace.looks():
        now = describe(account, stack.id or stack.name, stack.region)
        if not now.in_progress:
            break
    return now
