"""The submitter of the storm: submits until SIGTERM, and notes what was acknowledged once it was.

python storm_submitter.py HOME NOTES SEED
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.queues.sqlite.bodies import FILE_BYTES, INLINE_BYTES

ENOUGH = 150
"""Jobs in the queues at which it waits: what the storm leaves undone has to be done after it."""


def main() -> None:
    home, notes, dice = Path(sys.argv[1]), Path(sys.argv[2]), random.Random(sys.argv[3])  # noqa: S311
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ending.append(number))
    file = os.open(notes / f"{os.getpid()}.{time.monotonic_ns()}.acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while not ending:
        fillers = [dice.choice(["", "", "x" * INLINE_BYTES]) for _ in range(dice.randint(1, 3))]
        if dice.random() < 0.01:
            fillers[0] = "x" * FILE_BYTES
        payloads = [{"nonce": os.urandom(8).hex(), "filler": filler} for filler in fillers]
        try:
            submission = factory.submit(home, "storm", None, "split", payloads)
            line = {"ids": submission.ids, "nonces": [payload["nonce"] for payload in payloads]}
        except FactoryError as error:
            line = {"refused": error.message}
        os.write(file, json.dumps(line).encode() + b"\n")
        time.sleep(dice.random() * 0.05)
        while not ending and factory.left(home, "storm").jobs > ENOUGH:
            time.sleep(0.05)


if __name__ == "__main__":
    main()
