"""A factory in the foreground: its log on stdout, what is reloaded on stderr, and what is left of it in the end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from factory_cdk.bundle import Bundle
from factory_cdk.cli.output.report import print_log_line
from factory_cdk.cli.shared_options import say
from factory_cdk.lifecycle import verbs
from factory_cdk.lifecycle.local.foreground import attend
from factory_cdk.runner.launch import Launch
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.watch.session import Watch


def print_log(launch: Launch, folder: StageFolder) -> None:
    """Print what the bots print until the runner has ended; Ctrl-C reaches it by itself."""
    for line in attend(launch, folder):
        print_log_line(line)


def print_log_and_reload(
    launch: Launch, folder: StageFolder, watch: Watch, bundles: Mapping[str, Bundle], stop: threading.Event
) -> None:
    """Print the log here, where signals are heard, and reload in a thread, until `stop`, which ends `watch`; each ends
    with the other. FactoryError when files cannot be watched.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="watch") as pool:
        try:
            reloading = pool.submit(watch.run, bundles)
            reloading.add_done_callback(lambda _: launch.process.terminate())
            print_log(launch, folder)
        finally:
            stop.set()
    reloading.result()


def how_it_ended(launch: Launch, folder: StageFolder) -> int:
    """Say what is left of a factory whose runner was ours and is gone; the exit code."""
    code = launch.process.returncode
    home = folder.path.parents[2]
    if not verbs.matches(home, folder.factory, folder.stage):
        say(f"{folder.name} is not built here any more: it was demolished, or its folder was removed")
        return 0 if code == 0 else 1
    how, stage = "has ended" if code == 0 else "was killed", folder.options
    left = verbs.left(home, folder.factory, folder.stage)
    say(f"the runner {how}, {left} are kept: factory-cdk resume {stage}, or factory-cdk demolish {stage}")
    return 0 if code == 0 else 1
