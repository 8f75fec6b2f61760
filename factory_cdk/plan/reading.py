"""Reads the plain data of a plan into a Plan, collecting everything that is wrong on the way.

The structure has been checked before (`structure`); a part of the wrong type is passed over here, since it has
been reported already, so that one run finds every problem.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from factory_cdk.plan.arguments import read_arguments, read_python
from factory_cdk.plan.checks import aws_checks
from factory_cdk.plan.checks.alarms import check_alarm
from factory_cdk.plan.checks.instance_options import read_options
from factory_cdk.plan.checks.job_store import read_jobs
from factory_cdk.plan.checks.tags import read_tags
from factory_cdk.plan.commands import read_command
from factory_cdk.plan.defined import Names
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import (
    Alarm,
    Bot,
    InstanceOptions,
    PathSource,
    Plan,
    Platform,
    Sector,
    SectorBot,
    SectorType,
    Stage,
    Workflow,
)
from factory_cdk.plan.schema.plan_schema import STAGE_KEYS
from factory_cdk.plan.settings import read_settings
from factory_cdk.plan.sources import is_target, read_inner_path, read_source
from factory_cdk.plan.workflows import read_workflow
from factory_cdk.plan.yaml.nodes import Path

MAX_SHOWN = 60
"""The longest bot_path that a hint repeats, in characters."""


def read_factory(data: Any, defined: Names, findings: Findings) -> Plan:
    """The Plan in `data`, the value of the key `factory`, which defines the bots `defined`; only to be used when
    `findings` holds no error.
    """
    factory = _mapping(data)
    path: Path = ("factory",)
    folder = FilePath(findings.file).absolute().parent
    bots: dict[str, Bot] = {}
    for name, value in _mapping(factory.get("bots")).items():
        bot = _bot(name, _mapping(value), (*path, "bots", name), folder, findings)
        if bot is not None:
            bots[name] = bot
    workflows: dict[str, Workflow] = {}
    for name, value in _mapping(factory.get("workflows")).items():
        if isinstance(value, list | dict):
            workflows[name] = read_workflow(name, value, (*path, "workflows", name), defined, findings)
    alarms: dict[str, Alarm] = {}
    for name, value in _mapping(factory.get("alarms")).items():
        spot = (*path, "alarms", name)
        if isinstance(value, dict) and value:
            check_alarm(value, spot, findings)
            alarms[name] = Alarm(name, value, findings.key_position(spot))
    stages = {
        name: _stage(name, value, (*path, "stages", name), findings)
        for name, value in _mapping(factory.get("stages")).items()
        if isinstance(value, dict)
    }
    return Plan(
        file=findings.file,
        name=str(factory.get("name")),
        bots=bots,
        stages=stages,
        workflows=workflows,
        alarms=alarms,
        meta=aws_checks.check_meta(factory.get("meta"), (*path, "meta"), findings),
        tags=read_tags(factory.get("tags"), (*path, "tags"), findings),
        settings=read_settings(factory, path, findings),
        demolish_on_failure=_mapping(factory.get("debug")).get("demolish_on_failure", True) is not False,
        position=findings.key_position((*path, "stages")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_there(folder: FilePath, inner: str = "") -> bool:
    # os.path: what cannot be looked at (no permission, a name that is too long) is not there for us either.
    return os.path.isdir(folder / inner)  # noqa: PTH112


def _bot(name: str, data: Mapping[str, Any], path: Path, folder: FilePath, findings: Findings) -> Bot | None:
    source = None
    if isinstance(data.get("source"), dict):
        source = read_source(data["source"], (*path, "source"), folder, findings)
        if isinstance(source, PathSource) and not _is_there(source.folder):
            message = f"source folder of `{name}` not found: {shortened(source.path, 200)}"
            hint = "relative paths are relative to the plan's folder; packing and building this bot will fail"
            findings.at_value((*path, "source", "path"), "F403", message, hint)
        elif isinstance(source, PathSource) and not _is_there(source.folder, inner := source.subdirectory or ""):
            message = f"subdirectory of the source of `{name}` not found: {shortened(inner, 200)}"
            hint = "`subdirectory` is relative to `path`; packing and building this bot will fail"
            findings.at_value((*path, "source", "subdirectory"), "F403", message, hint)
    bot_path = data.get("bot_path")
    if "bot_path" in data and "command" in data:
        message = f"`{name}` has both `bot_path` and `command`"
        second = [key for key in data if key in ("bot_path", "command")][1]
        findings.at_key((*path, second), "F111", message, "keep one of them")
    elif data and "bot_path" not in data and "command" not in data:
        hint = "write `bot_path: module.path:attribute`, or `command:` for a program"
        keys = ("bot_path", "command")
        findings.missing(path, keys, "F111", f"`{name}` has neither `bot_path` nor `command`", hint)
    if isinstance(bot_path, str) and bot_path and not is_target(bot_path):
        message = f"invalid bot_path `{shortened(bot_path)}` of `{name}`: it must be `module.path:attribute`"
        dotted = ":".join(bot_path.rsplit(".", 1))
        hint = "write the import path of the module, a colon and the name of the callable"
        hint = f"did you mean `{dotted}`?" if len(dotted) <= MAX_SHOWN and is_target(dotted) else hint
        findings.at_value((*path, "bot_path"), "F215", message, hint)
    requirements = read_inner_path(data.get("requirements_path"), (*path, "requirements_path"), findings)
    settings = read_settings(data, path, findings)
    command = read_command(data.get("command"), (*path, "command"), source, findings)
    if source is None:
        return None
    return Bot(
        name=name,
        source=source,
        bot_path=bot_path if isinstance(bot_path, str) else None,
        command=command,
        requirements_path=requirements,
        settings=settings,
        position=findings.key_position(path),
    )


def _stage(name: str, data: Mapping[str, Any], path: Path, findings: Findings) -> Stage:
    aws_checks.check_region(data.get("home_region"), (*path, "home_region"), findings)
    sectors = tuple(
        _sector(key, value, (*path, key), findings)
        for key, value in data.items()
        if key not in STAGE_KEYS and isinstance(value, dict)
    )
    if not any(key not in STAGE_KEYS for key in data):
        hint = "add a sector: a name with `type:` and `bots:` under it"
        findings.missing(path, (), "F107", f"the stage `{name}` has no sector", hint)
    return Stage(
        name=name,
        sectors=sectors,
        workflow=data["workflow"] if isinstance(data.get("workflow"), str) else None,
        pools={pool: size for pool, size in _mapping(data.get("pools")).items() if type(size) is int and size > 0},
        home_region=data["home_region"] if isinstance(data.get("home_region"), str) else None,
        protect=data.get("protect") is True,
        jobs=read_jobs(data, path, findings),
        settings=read_settings(data, path, findings),
        position=findings.key_position(path),
    )


def _sector(name: str, data: Mapping[str, Any], path: Path, findings: Findings) -> Sector:
    kind = SectorType.AWS if data.get("type") == "aws" else SectorType.LOCAL
    if kind is SectorType.AWS:
        aws_checks.check_region(data.get("region_name"), (*path, "region_name"), findings)
        aws_checks.check_instance(data, path, findings)
    elif data.get("type") == "local":
        aws_checks.check_local(data, path, findings)
    bots = []
    for bot, arguments in _mapping(data.get("bots")).items():
        spot = (*path, "bots", bot)
        read = read_arguments(_mapping(arguments), spot, findings)
        bots.append(SectorBot(bot, read, findings.key_position(spot)))
    python = data.get("python")
    return Sector(
        name=name,
        type=kind,
        bots=tuple(bots),
        platform=Platform.WINDOWS if data.get("platform") == "windows" else Platform.LINUX,
        python=read_python(python, (*path, "python"), findings) if python is not None else None,
        region_name=data["region_name"] if isinstance(data.get("region_name"), str) else None,
        alarm=data["alarm"] if isinstance(data.get("alarm"), str) else None,
        parameters=_mapping(data.get("parameters")),
        options=read_options(data, path, findings) if kind is SectorType.AWS else InstanceOptions(),
        settings=read_settings(data, path, findings),
        position=findings.key_position(path),
    )
