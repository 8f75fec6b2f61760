"""Pack: a bot's source, from git, a folder or a Python index, becomes a bundle with locked requirements.

    source ──▶ Tree ──▶ manifest ──▶ locked lines ──▶ archive in the BundleCache ──▶ Bundle, and its part of plan.lock
    git: clone, objects   manifest,      uv              archive, store           packing
    folder: folder        target (ast)

`pack` makes bundles, `bundles_at_hand` finds them without asking anybody, `stale` and `refuse_stale` hold a
plan against its lock, `locked_anew` makes the next lock. Nothing of a bot is imported to pack it; a project
that computes its dependencies runs its build backend, in a copy.
"""

from factory_cdk.pack.archive import unpack
from factory_cdk.pack.lockfile import Lock, LockedBot, lock_path, read_lock, write_lock
from factory_cdk.pack.packing import bundles_at_hand, pack
from factory_cdk.pack.relock import differences, locked_anew
from factory_cdk.pack.report import PackedBot, PackReport, Progress
from factory_cdk.pack.staleness import Change, refuse_stale, stale

__all__ = [
    "Change",
    "Lock",
    "LockedBot",
    "PackReport",
    "PackedBot",
    "Progress",
    "bundles_at_hand",
    "differences",
    "lock_path",
    "locked_anew",
    "pack",
    "read_lock",
    "refuse_stale",
    "stale",
    "unpack",
    "write_lock",
]
