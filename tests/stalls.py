"""What code in C can do to a process, done on purpose; for processes that import nothing else."""

from __future__ import annotations

import os
import signal
import time


def dawdle(*_: object, **__: object) -> None:
    """Come to no end, and hear no signal in the main thread: no Python code runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(60)


def crash(*_: object, **__: object) -> None:
    """End the process at once."""
    os.abort()
