"""A release: what one sector runs, whole, as plain data that a design gives and the manifest on an instance gives back.

A runner starts from it and from the values of config, which are not in it: on AWS they are in SSM parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from factory_cdk.bundle import Layout, layout_as_json, layout_from_json
from factory_cdk.plan.model import BotArguments, Json, SecretReference, Settings, Successor
from factory_cdk.wheels import BotWheels, wheels_as_json, wheels_from_json

_DEFAULTS = BotArguments()


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The SSM parameters whose values, joined, are a bot's config as JSON, and the SHA-256 of that in hex."""

    parameters: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class BotRelease:
    """A bot as a release runs it.

    `digest` names its bundle (or, for an unpacked bot, its source), `archive_sha256` is the SHA-256 of the archive
    (None: unpacked), and `requirements` that of its locked requirements (None: it has none). `bot_path` or `command`
    is set, never both. `arguments` are whole but for what is settled here: `queue`, `python`, and the settings, of
    which `config` says where the values of config are (None: it has none, or this machine knows them), `secrets` where
    those of secrets are. With `wheels` nothing but these is installed (None: its requirements come from indexes);
    `python_build` is the SHA-256 of the build of Python that the release holds (None: that of the image is used).
    """

    name: str
    queue: str
    digest: str
    archive_sha256: str | None = None
    bot_path: str | None = None
    command: tuple[str, ...] | None = None
    layout: Layout = field(default_factory=Layout)
    requirements: str | None = None
    python: str | None = None
    successors: tuple[Successor, ...] = ()
    arguments: BotArguments = field(default_factory=BotArguments)
    config: ConfigSource | None = None
    secrets: Mapping[str, SecretReference] = field(default_factory=dict)
    wheels: BotWheels | None = None
    python_build: str | None = None


@dataclass(frozen=True, slots=True)
class SectorRelease:
    """What a sector runs, in the order of the plan."""

    factory: str
    stage: str
    sector: str
    bots: tuple[BotRelease, ...]


def archive_key(archive_sha256: str) -> str:
    """The key of a bundle's archive in the bucket of assets."""
    return f"{archive_sha256}.zip"


def requirements_key(digest: str) -> str:
    """The key of locked requirements in the bucket of assets, by their SHA-256: lines, each ended by a newline."""
    return f"{digest}.txt"


def release_as_json(release: SectorRelease) -> dict[str, Json]:
    """The plain mapping that `release_from_json` reads."""
    return {
        "factory": release.factory,
        "stage": release.stage,
        "sector": release.sector,
        "bots": {bot.name: _bot_as_json(bot) for bot in release.bots},
        "order": [bot.name for bot in release.bots],  # the keys of JSON are sorted
    }


def release_from_json(content: Mapping[str, Json]) -> SectorRelease:
    """The release in what `release_as_json` gave; keys beside it are read over. KeyError, TypeError or ValueError for
    anything else.
    """
    bots = content["bots"]
    return SectorRelease(
        factory=content["factory"],
        stage=content["stage"],
        sector=content["sector"],
        bots=tuple(_bot_from_json(name, bots[name]) for name in content["order"]),
    )


def arguments_from_json(content: Mapping[str, Json]) -> BotArguments:
    """Arguments of a bot from plain JSON by their field names; those that are not there have their defaults."""
    workflow, settings = content.get("workflow"), content.get("settings") or {}
    return BotArguments(
        **{
            **content,
            "workflow": tuple(workflow) if workflow is not None else None,
            "settings": Settings(settings.get("config", {}), secrets_from_json(settings.get("secrets", {}))),
        }
    )


def secrets_from_json(content: Mapping[str, Mapping[str, str | None]]) -> dict[str, SecretReference]:
    """Where the values of secrets come from, by their names."""
    return {name: SecretReference(**reference) for name, reference in content.items()}


def _bot_as_json(bot: BotRelease) -> Json:
    bundle = None
    if bot.archive_sha256 is not None:
        sha256 = bot.archive_sha256
        bundle = {"key": archive_key(sha256), "sha256": sha256, "digest": bot.digest}
    said = {
        "bot_path": bot.bot_path,
        "command": list(bot.command) if bot.command else None,
        "layout": layout_as_json(bot.layout) if bot.layout != Layout() else None,
        "requirements": bot.requirements,
        "python": bot.python,
        "successors": [asdict(successor) for successor in bot.successors] or None,
        "arguments": _given(bot.arguments) or None,
        "config": asdict(bot.config) if bot.config else None,
        "wheels": wheels_as_json(bot.wheels) if bot.wheels is not None else None,
        "python_build": bot.python_build,
        "secrets": {name: _plain(reference) for name, reference in bot.secrets.items()} or None,
    }
    return {
        "bundle": bundle,
        "source": bot.digest,
        "queue": bot.queue,
        **{key: value for key, value in said.items() if value is not None},
    }


def _bot_from_json(name: str, said: Mapping[str, Json]) -> BotRelease:
    command, config, layout = said.get("command"), said.get("config"), said.get("layout")
    arguments = {key.replace("-", "_"): value for key, value in said.get("arguments", {}).items()}
    return BotRelease(
        name=name,
        queue=said["queue"],
        digest=said["source"],
        archive_sha256=said["bundle"]["sha256"] if said["bundle"] else None,
        bot_path=said.get("bot_path"),
        command=tuple(command) if command else None,
        layout=layout_from_json(layout) if layout else Layout(),
        requirements=said.get("requirements"),
        python=said.get("python"),
        successors=tuple(Successor(**successor) for successor in said.get("successors", ())),
        arguments=arguments_from_json(arguments),
        config=ConfigSource(tuple(config["parameters"]), config["sha256"]) if config else None,
        secrets=secrets_from_json(said.get("secrets", {})),
        wheels=wheels_from_json(said["wheels"]) if "wheels" in said else None,
        python_build=said.get("python_build"),
    )


def _given(arguments: BotArguments) -> dict[str, Json]:
    """The arguments that differ from their defaults, by their names in the plan."""
    given = {part.name: getattr(arguments, part.name) for part in fields(arguments) if part.name != "settings"}
    return {
        name.replace("_", "-"): dict(value) if isinstance(value, Mapping) else value
        for name, value in given.items()
        if value != getattr(_DEFAULTS, name)
    }


def _plain(reference: SecretReference) -> dict[str, str | None]:
    if reference.secret is not None:
        return {"secret": reference.secret, "key": reference.key}
    return {key: value for key, value in asdict(reference).items() if value is not None}
