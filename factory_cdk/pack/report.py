"""What a pack tells while it runs, and what it made in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from factory_cdk.bundle import Bundle, Layout
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.left_out import LeftOut, summary
from factory_cdk.pack.lockfile import LockedBot
from factory_cdk.pack.requirements.outside import path_in_source
from factory_cdk.pack.wheels.of_runner import ReleaseFile
from factory_cdk.wheels import BotWheels

Step = Literal["waiting", "asking", "fetching", "reading", "locking", "checking", "storing", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One bot came a step further. `detail` says what of it, `share` how far it is from 0 to 1, where known."""

    bot: str
    step: Step
    detail: str = ""
    share: float | None = None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class BotSummary:
    """What a bundle holds and where that comes from, for people: `size` in bytes, the count of its `files` and of its
    locked `requirements`, the files that were `read` for these, the `projects` that are installed with them, both as
    paths in the source (`.` is the source itself), the `version` that git gives these, what ignore files `left_out`
    (see `left_out.summary`), its `wheels` for offline sectors, a line for each target, whether anything was `fetched`,
    and how many `seconds` it took.
    """

    digest: str
    kind: str
    origin: str
    size: int
    files: int
    requirements: int
    read: tuple[str, ...]
    projects: tuple[str, ...]
    version: str | None
    left_out: str
    wheels: tuple[str, ...]
    fetched: bool
    seconds: float

    def __str__(self) -> str:
        """All of it in one line."""
        parts = [f"{self.size:,} bytes in {self.files:,} {'file' if self.files == 1 else 'files'}"]
        count = f"{self.requirements:,} locked {'requirement' if self.requirements == 1 else 'requirements'}"
        if self.kind == "pypi":
            parts.append(f"{count} of {', '.join(['the package', *self.read])}")
        elif self.read:
            parts.append(f"{count if self.requirements else 'no requirements'} from {', '.join(self.read)}")
        else:
            parts.append("nothing that lists requirements")
        if self.projects:
            version = "" if self.version is None else f" as version {self.version}"
            parts.append(f"installs {', '.join('itself' if one == '.' else one for one in self.projects)}{version}")
        if self.left_out:
            parts.append(f"ignore files left out {self.left_out}")
        parts += self.wheels
        parts.append(f"packed in {self.seconds:.1f} s" if self.fetched else f"{self.seconds:.1f} s, nothing to fetch")
        return f"{self.digest[:12]}  {self.kind} {self.origin}: {'; '.join(parts)}"


@dataclass(frozen=True, slots=True)
class PackedBot:
    """What became of one bot: `bundle`, or `error`.

    `locked` is what plan.lock should hold of it. `fetched` says whether anything came from its source or from
    an index (False: the cache had it all). `notes` are warnings for people; `seconds` is how long it took.
    `read` are the files of the source that were read for what it requires, `left_out` what ignore files kept out,
    `version` what git says that the version of its project is.
    """

    bot: str
    bundle: Bundle | None = None
    error: FactoryError | None = None
    locked: LockedBot | None = None
    fetched: bool = False
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    read: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    version: str | None = None

    @property
    def summary(self) -> BotSummary | None:
        """What was packed, in short; None for a bot that could not be."""
        bundle = self.bundle
        if bundle is None:
            return None
        return BotSummary(
            digest=bundle.digest,
            kind=bundle.kind,
            origin=bundle.origin,
            size=bundle.size,
            files=bundle.files,
            requirements=len(bundle.requirements),
            read=tuple(path_in_source(path, bundle.layout.subdirectory) for path in self.read),
            projects=_installed(bundle.layout),
            version=self.version,
            left_out=summary(self.left_out),
            wheels=tuple(_wheels(target, wheels) for target, wheels in bundle.wheels.items() if wheels.archives),
            fetched=self.fetched,
            seconds=self.seconds,
        )


def _wheels(target: str, wheels: BotWheels) -> str:
    count = sum(len(archive.wheels) for archive in wheels.archives)
    size = sum(archive.size for archive in wheels.archives)
    return f"{size:,} bytes in {count} {'wheel' if count == 1 else 'wheels'} for {target}"


def _installed(layout: Layout) -> tuple[str, ...]:
    """The projects that are installed with a bundle, its own first, as paths in its source."""
    own = () if layout.project is None else (path_in_source(layout.project, layout.subdirectory),)
    return (*own, *(project.partition(" ;")[0] for project in layout.projects))


@dataclass(frozen=True, slots=True)
class PackReport:
    """What became of every bot, in the order in which they were asked for, and the `files` of offline sectors."""

    bots: tuple[PackedBot, ...]
    files: tuple[ReleaseFile, ...] = ()

    @property
    def bundles(self) -> dict[str, Bundle]:
        """The bundles by the names of their bots, of those that were packed."""
        return {packed.bot: packed.bundle for packed in self.bots if packed.bundle is not None}

    @property
    def failures(self) -> tuple[tuple[str, FactoryError], ...]:
        """The bots that could not be packed, with the reasons."""
        return tuple((packed.bot, packed.error) for packed in self.bots if packed.error is not None)

    def refuse_failures(self) -> None:
        """FactoryError that shows every failure, if there is one."""
        if self.failures:
            said = [
                f"{bot}: {error.message}" + (f"\n  help: {error.remedy}" if error.remedy else "")
                for bot, error in self.failures
            ]
            raise FactoryError("\n".join([f"{len(said)} of {len(self.bots)} bots could not be packed", *said]))
