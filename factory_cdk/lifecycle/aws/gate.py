"""The gate of a stage on AWS: the SSM parameter that the agents of its instances follow, one in each region."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from factory_cdk.agent.aws import ATTEMPTS, PATIENT_ATTEMPTS, Aws, AwsError, asking
from factory_cdk.agent.gate import gate_request
from factory_cdk.deploy.refusals import BAD_CREDENTIALS, GIVE_CREDENTIALS, REFUSED
from factory_cdk.design.naming import Names
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.aws.preconditions import need_instances
from factory_cdk.lifecycle.instances import NotAllowedError
from factory_cdk.state.requests import RunnerRequest
from factory_cdk.state.stages import Factory

_NOT_THERE = "ParameterNotFound"


@dataclass(frozen=True, slots=True)
class StageGate:
    """The gate of the stage `name` in its `regions`, whose services `aws` has."""

    name: str
    parameter: str
    regions: tuple[str, ...]
    aws: Aws

    def write(self, gate: Literal["run", "stop"], **more: bool | str) -> str:
        """Ask for `gate` in every region, with the keys `more` (agent/gate.py); the id of the request. FactoryError,
        which says where it was asked for already.
        """
        request = os.urandom(16).hex()
        text = json.dumps(
            {"gate": gate, "request": request, **{key.replace("_", "-"): one for key, one in more.items()}}
        )
        done: list[str] = []
        for region in self.regions:
            try:
                with asking(f"the gate of {self.name} in {region}"):
                    self.aws.client("ssm", region).put_parameter(
                        Name=self.parameter, Value=text, Type="String", Overwrite=True
                    )
            except AwsError as error:
                raise self._in_words(error, done, "ssm:PutParameter") from None
            done.append(region)
        return request

    def asked(self, region: str) -> RunnerRequest:
        """What the gate asks for in `region`. FactoryError."""
        try:
            with asking(f"the gate of {self.name} in {region}"):
                found = self.aws.client("ssm", region).get_parameter(Name=self.parameter)["Parameter"]
        except AwsError as error:
            if error.code == _NOT_THERE:
                return gate_request(None, 0).runner
            raise self._in_words(error, (), "ssm:GetParameter") from None
        try:
            return gate_request(found["Value"], int(found["Version"])).runner
        except ValueError as error:
            raise FactoryError(
                f"the gate of {self.name} in {region} cannot be understood: {error}", "stop or resume the stage"
            ) from error

    def _in_words(self, error: AwsError, done: Sequence[str], action: str) -> FactoryError:
        already = f"; it was written in {', '.join(done)} already" if done else ""
        if error.code in BAD_CREDENTIALS:
            remedy = GIVE_CREDENTIALS
        elif error.code in REFUSED:
            remedy = f"these credentials need {action} on parameter{self.parameter}, then run it again"
        else:
            remedy = "check the network, then run it again"
        kind = NotAllowedError if error.code in REFUSED else FactoryError
        return kind(f"{error.message}{already}", remedy)


def gate_of(factory: Factory, *, writes: bool = False) -> StageGate:
    """The gate of the instances of `factory`, which has some. Who `writes` it asks AWS for longer."""
    instances = need_instances(factory)
    parameter = Names(factory.name, factory.stage).path("gate")
    aws = Aws(instances.region, attempts=PATIENT_ATTEMPTS if writes else ATTEMPTS)
    return StageGate(factory.folder.name, parameter, instances.regions, aws)


def closed_in(gate: StageGate) -> Mapping[str, bool]:
    """Whether the gate is closed, by region. FactoryError."""
    return {region: gate.asked(region).gate == "closed" for region in gate.regions}
