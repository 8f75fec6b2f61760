"""Resuming a stage on AWS: its gate is opened in every region, and its local sectors go on."""

from __future__ import annotations

from collections.abc import Mapping

from factory_cdk.lifecycle.aws.answers import Answers
from factory_cdk.lifecycle.aws.gate import gate_of
from factory_cdk.lifecycle.aws.preconditions import need_instances
from factory_cdk.lifecycle.local import resume as local
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Resumed
from factory_cdk.state.stages import Factory

PATIENCE = 300.0
"""Seconds in which every runner should take jobs again: 20 until it reads the gate, the rest for what has to start."""


def resume(factory: Factory, say: Say, environ: Mapping[str, str]) -> Resumed:
    """Open the gate of a stage with instances, bots with `stop: true` included; returns when every runner that answers
    takes jobs. FactoryError, with exit code 3 when one does not after PATIENCE seconds.
    """
    instances = need_instances(factory)
    gate = gate_of(factory, writes=True)
    request = gate.write("run", keep_stopped=False)
    say(f"the gate is open in {', '.join(gate.regions)}; instances read it within 20 s")
    started = local.resume(factory, say, environ).started if factory.local else False
    if instances.table is not None:
        Answers(factory, request, "open", say, PATIENCE).wait()
    return Resumed(factory.folder.name, started)
