"""What is deployed in an account as a side of a review: the templates of a stage's stacks, and their manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from factory_cdk.deploy.account import Account
from factory_cdk.deploy.finding import DeployedStage, find_deployed
from factory_cdk.deploy.stacks import StackNow, template_of
from factory_cdk.diagnostics import FactoryError
from factory_cdk.review.model import DEPLOYED
from factory_cdk.review.sides.of_assembly import side_of_assembly
from factory_cdk.review.sides.side import PlanSide


@contextmanager
def side_of_deployed(
    factory: str, warn: Callable[[str], None], *, account: Account | None = None
) -> Iterator[PlanSide]:
    """The stages of `factory` that are deployed in the account whose credentials are found, as long as the block
    lasts. FactoryError when AWS does not say.
    """
    account = account or Account()
    stages = find_deployed(None, factory, warn=warn)
    if not stages:
        yield PlanSide(DEPLOYED, factory, (), _none, missing=True)
        return
    with TemporaryDirectory(prefix="factory-cdk-deployed-") as folder:
        _write_assembly(account, stages, Path(folder))
        found = side_of_assembly(Path(folder))
        yield PlanSide(DEPLOYED, found.factory, found.stages, found.stage, whole=False)


def _none(name: str) -> Any:
    raise FactoryError(f"stage {name} is not deployed", "factory-cdk build")


def _write_assembly(account: Account, stages: list[DeployedStage], folder: Path) -> None:
    """Lay out what is deployed as an assembly is."""
    artifacts: dict[str, Any] = {}
    for stage in stages:
        for stack in stage.stacks:
            if stack.status in ("REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS"):
                continue
            template = template_of(account, stack)
            name = f"{stack.region}.{stack.name}"
            (folder / f"{name}.template.json").write_text(json.dumps(template), encoding="utf-8")
            artifacts[name] = {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://unknown-account/{stack.region}",
                "properties": {
                    "templateFile": f"{name}.template.json",
                    "stackName": stack.name,
                    "terminationProtection": stack.protected,
                },
            }
            _write_manifests(account, stack, template, folder)
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}), encoding="utf-8")


def _write_manifests(account: Account, stack: StackNow, template: Mapping[str, Any], folder: Path) -> None:
    """The manifests of the releases that `template` names."""
    for logical_id, resource in template.get("Resources", {}).items():
        if not logical_id.endswith("Release") or resource.get("Type") != "AWS::SSM::Parameter":
            continue
        value = resource["Properties"]["Value"]
        said = json.loads(value["Fn::Sub"] if isinstance(value, Mapping) else value)
        file = folder / f"asset.{said['sha256']}.json"
        if not file.exists():
            id_ = account.identity(stack.region)["Account"]
            bucket = said["bucket"].replace("${AWS::AccountId}", id_).replace("${AWS::Region}", stack.region)
            answer = account.call(stack.region, "s3", "get_object", Bucket=bucket, Key=said["key"])
            file.write_bytes(answer["Body"].read())
