"""What is wrong with a stage that is built, in words, and the command that helps."""

from __future__ import annotations

from factory_cdk.state.outdated import outdated
from factory_cdk.state.stage_queues import queues_trouble
from factory_cdk.state.stages import Factory


def problem_of(factory: Factory) -> str | None:
    """What is wrong with a stage, and what helps; None when nothing is."""
    name, options = factory.folder.name, factory.folder.options
    if not factory.local:
        return _problem_on_aws(factory)
    if factory.trouble:
        return f"{name}: {factory.trouble}"
    if factory.state in ("killed", "ended"):
        if trouble := queues_trouble(factory.folder):
            return f"{name}: its runner does not run, and {trouble.message}\n  {trouble.remedy}"
        if factory.status and factory.status.trouble:
            return (
                f"{name}: its runner has ended: {factory.status.trouble}\n"
                f"  factory-cdk jobs check {options} checks its queues, factory-cdk resume {options} restarts it"
            )
    match factory.state:
        case "killed":
            return f"{name}: its runner was killed; nothing is lost: factory-cdk resume {options}"
        case "ended":
            return f"{name}: its runner was ended: factory-cdk resume {options}"
        case "unfinished":
            return f"{name}: its build was killed: build it again, or factory-cdk demolish {options}"
        case "damaged":
            return (
                f"{name} is damaged: {factory.folder.spec} cannot be read: factory-cdk demolish {options}, "
                "then build it again"
            )
        case "outdated":
            refusal = outdated(factory.folder)
            return f"{refusal.message}\n  {refusal.remedy}"
    if factory.status and factory.status.trouble:
        return f"{name}: {factory.status.trouble}"
    if factory.state != "building" and (trouble := queues_trouble(factory.folder)):
        return f"{name}: {trouble.message}\n  {trouble.remedy}"
    broken = [pool for pool in factory.status.pools if pool.broken] if factory.status else []
    if broken:
        reasons = "; ".join(f"{pool.sector}/{pool.bot}: {pool.broken}" for pool in broken)
        return f"{reasons}\n  correct it, then factory-cdk resume {options}"
    return None


def _problem_on_aws(factory: Factory) -> str | None:
    """What is wrong with a stage that AWS was asked about."""
    name, options = factory.folder.name, factory.folder.options
    if factory.trouble:
        return f"{name}: {factory.trouble}"
    if factory.state == "silent":
        return f"{name}: no runner of its instances answers\n  since when: factory-cdk info {options}"
    if factory.instances is not None and (trouble := queues_trouble(factory.folder)):
        return f"{name}: {trouble.message}\n  {trouble.remedy}"
    return None
