"""A runner of an earlier version, as the commands of this one see it: `python earlier_runner.py FOLDER`.

It holds the lock of its stage and has written its pid there. A first signal it takes for a warm end, for which it waits
(a job is in hand); the second ends it. It reads no file of ours.
"""

import fcntl
import os
import signal
import sys
from pathlib import Path

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
lock = os.open(Path(sys.argv[1]) / "runner.lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, str(os.getpid()).encode())
print("ready", flush=True)
for _ in range(2):
    print(signal.Signals(signal.sigwait([signal.SIGTERM, signal.SIGINT])).name, flush=True)
