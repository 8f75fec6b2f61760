"""factory_cdk: one YAML plan becomes a factory of Python workers, here and on EC2.

Data flows one way, and every arrow hands over one frozen dataclass::

    plan.yml -> Plan -> StagePlan -> StageDesign -> CDK app -> cloud assembly
      text      plan/    plan/        design/       stacks/      cdk.out
    sources -> Bundle -----------------^   `-----> local runner -> workers
      pack/    bundle                              local/          worker/

Nothing reaches back. `diagnostics` is the one way to say what is wrong.
"""

from factory_cdk.version import __version__

__all__ = ["__version__"]
