"""factory_cdk: one YAML plan becomes a factory of Python workers, here and on EC2.

Data flows one way, and every arrow hands over one frozen dataclass::

    plan.yml -> Plan   -+
      text      plan/   +-> StageDesign -> CDK app -> cloud assembly (stacks/)
    sources  -> Bundle -+   compile.py `-> RunnerSpec -> runner -> workers
                pack/       design/        install/      runner/   worker/

Nothing reaches back. `diagnostics` is the one way to say what is wrong.

For Python programs: `Factory` builds and uses factories (`api`). `Bot` and `Job` are for the code of bots, and there
in any environment, whether factory_cdk is installed in it or not. Each is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from factory_cdk.version import __version__

if TYPE_CHECKING:
    from factory_cdk.api import Factory
    from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError
    from factory_cdk.jobs.futures import JobFailed, JobFuture
    from factory_cdk.runs.flow import Flow, FlowRun
    from factory_cdk.runs.step_context import current_step
    from factory_cdk.worker.bot import Bot
    from factory_cdk.worker.job import Job

__all__ = [
    "Bot",
    "Diagnostic",
    "Factory",
    "FactoryError",
    "Flow",
    "FlowRun",
    "Job",
    "JobFailed",
    "JobFuture",
    "PlanError",
    "__version__",
    "current_step",
]

_HOMES = {
    "Bot": "factory_cdk.worker.bot",
    "Diagnostic": "factory_cdk.diagnostics",
    "Factory": "factory_cdk.api",
    "FactoryError": "factory_cdk.diagnostics",
    "Flow": "factory_cdk.runs.flow",
    "FlowRun": "factory_cdk.runs.flow",
    "Job": "factory_cdk.worker.job",
    "JobFailed": "factory_cdk.jobs.futures",
    "JobFuture": "factory_cdk.jobs.futures",
    "PlanError": "factory_cdk.diagnostics",
    "current_step": "factory_cdk.runs.step_context",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'factory_cdk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
