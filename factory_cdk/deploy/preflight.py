"""Whether an account has what a stage needs, asked before anything of it is uploaded or made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from factory_cdk.deploy.account import Account, RefusedError
from factory_cdk.deploy.check_rows import CheckRow, State, asked
from factory_cdk.deploy.instance_checks import check_instance, wanted_instances
from factory_cdk.deploy.permissions import grants
from factory_cdk.deploy.quota_checks import check_quotas
from factory_cdk.deploy.refusals import BAD_CREDENTIALS
from factory_cdk.deploy.simulation import check_permissions
from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import assets_bucket
from factory_cdk.diagnostics import FactoryError

PATIENCE = 10.0
"""Seconds for which a call is tried again: what is not known after that is said to be so."""

LEAST_BOOTSTRAP = 6
"""The version of the bootstrap stack from which on assemblies of CDK 2 can be deployed
(https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html)."""

_AT_ONCE = 16
_NOT_THERE = ("404", "NotFound", "NoSuchBucket", "ParameterNotFound")


def preflight(design: StageDesign, account: Account) -> list[CheckRow]:
    """What was found of all that the stage of `design` needs, in the order: credentials, permissions, bootstrap,
    instances, quotas. FactoryError where the stage has no aws sector.
    """
    account = account.with_patience(PATIENCE)
    home = design.home_region or ""
    regions = tuple(dict.fromkeys((home, *(stack.region for stack in design.stacks))))
    grants(design)  # refuses a stage without aws sectors
    try:
        who = account.identity(home)
    except RefusedError as error:
        state = State.MISSING if error.code in BAD_CREDENTIALS else State.UNKNOWN
        return [CheckRow("credentials", "", "", state, error.message, error.remedy or "")]
    wanted = wanted_instances(design)
    with (
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="preflight") as pool,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="permissions") as inner,
    ):
        simulated = pool.submit(check_permissions, account, home, who["Arn"], grants(design, who["Account"]), inner)
        others = [pool.submit(_bootstrap, account, design.qualifier, one, who["Account"]) for one in regions]
        others += [pool.submit(check_instance, account, one) for one in wanted]
        others += [
            pool.submit(check_quotas, account, design, [one for one in wanted if one.region == region])
            for region in regions
        ]
        found = [*simulated.result(), *(row for future in others for row in future.result())]
    signed_in = CheckRow("credentials", "", who["Arn"], State.OK, f"of account {who['Account']}")
    return list(dict.fromkeys((signed_in, *found)))


def _bootstrap(account: Account, qualifier: str, region: str, id_: str) -> list[CheckRow]:
    bucket = assets_bucket(qualifier).replace("${AWS::AccountId}", id_).replace("${AWS::Region}", region)
    remedy = f"cdk bootstrap aws://{id_}/{region}, once for an account and region"
    version = partial(_version, account, f"/cdk-bootstrap/{qualifier}/version", region, remedy)
    found = asked("bootstrap", region, qualifier, version)
    if any(one.state is State.MISSING for one in found):
        return found
    return [*found, *asked("bootstrap", region, bucket, partial(_bucket, account, bucket, region, remedy))]


def _version(account: Account, parameter: str, region: str, remedy: str) -> Iterator[CheckRow]:
    row = partial(CheckRow, "bootstrap", region, parameter)
    try:
        said = str(account.call(region, "ssm", "get_parameter", Name=parameter)["Parameter"]["Value"])
    except RefusedError as error:
        if error.code not in _NOT_THERE:
            raise
        yield row(State.MISSING, f"{region} is not bootstrapped: there is no parameter {parameter}", remedy)
        return
    if said.isdigit() and int(said) >= LEAST_BOOTSTRAP:
        yield row(State.OK, f"version {said}")
    else:
        detail = f"the bootstrap stack of {region} has version {said[:20]}, which is older than {LEAST_BOOTSTRAP}"
        yield row(State.MISSING, detail, remedy)


def _bucket(account: Account, bucket: str, region: str, remedy: str) -> Iterator[CheckRow]:
    row = partial(CheckRow, "bootstrap", region, bucket)
    try:
        account.call(region, "s3", "head_bucket", Bucket=bucket)
    except RefusedError as error:
        if error.code not in _NOT_THERE:
            raise
        yield row(State.MISSING, f"{region} is not bootstrapped: there is no bucket {bucket}", remedy)
    else:
        yield row(State.OK, "there")


def refuse_missing(rows: Iterable[CheckRow], living: Collection[str], say: Callable[[str], None]) -> None:
    """FactoryError that names everything that is missing, with all remedies. `say` is told of what is not known, and of
    what the instances of the sectors `living` would miss: these are there, and go on unless they are replaced.
    """
    rows = list(rows)
    missing = [one for one in rows if one.state is State.MISSING and one.sector not in living]
    if missing:
        remedies = dict.fromkeys(one.remedy for one in missing if one.remedy)
        raise FactoryError("; ".join(dict.fromkeys(one.detail for one in missing)), "; ".join(remedies))
    for one in rows:
        if one.state is State.MISSING:
            say(f"warning: {one.detail}; the instance that is there goes on, but cannot be replaced")
    unknown = dict.fromkeys(_briefly(one) for one in rows if one.state is State.UNKNOWN)
    if unknown:
        say(f"warning: not checked: {'; '.join(unknown)}")


def _briefly(row: CheckRow) -> str:
    """What is not known, where, and why: of what AWS says, its code and not its text."""
    where = f"{row.check} in {row.region}" if row.region else row.check
    return f"{where} ({': '.join(row.detail.split(': ')[:2])})"
