"""A runner in the foreground: its log while it lives, and the signals that end it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from factory_cdk.runner.launch import Launch
from factory_cdk.state.log_folder import follow_stream
from factory_cdk.state.stage_folder import StageFolder


def attend(launch: Launch, folder: StageFolder) -> Iterator[str]:
    """The lines of the stream while a runner in the foreground lives; SIGTERM is passed on to it.

    Ctrl-C reaches the runner by itself: both are of the terminal's foreground group. Use it in the main thread.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: launch.process.terminate()),
    }
    try:
        for line in follow_stream(folder.logs):
            if line is not None:
                yield line
            elif launch.process.poll() is not None:
                return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        launch.hang_up()
        launch.process.wait()
