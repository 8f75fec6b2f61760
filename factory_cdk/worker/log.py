"""The logger that jobs write to: lines on stderr, which is the bot's log; the runner adds time, worker and job."""

from __future__ import annotations

import logging
import os
import sys

LEVEL_VARIABLE = "LOGGING_LEVEL"
"""Names the least severe level that is written; set it in the plan's `config`."""


class _LogLines(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever sys.stderr is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.stream = sys.stderr
        super().emit(record)


def job_logger() -> logging.Logger:
    """The logger of this worker's jobs, made at first use; a bot may change it like any other."""
    logger = logging.getLogger("factory_cdk.job")
    if not logger.handlers:
        handler = _LogLines()
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
        named = logging.getLevelName(os.environ.get(LEVEL_VARIABLE, "").upper())
        logger.setLevel(named if isinstance(named, int) else logging.INFO)
    return logger
