"""What code in C can do to a process, done on purpose; for processes that import nothing else."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path


def dawdle(*_: object, **__: object) -> None:
    """Come to no end, and hear no signal in the main thread: no Python code runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(60)


def toil(*_: object, **__: object) -> None:
    """Compute without end in C, and hear no signal in the main thread: no Python code runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)


def be_killed(*_: object, **__: object) -> None:
    """End the process as the kernel does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def be_killed_once(mark: str) -> str:
    """End the process so unless `mark` is there, a file that it makes before; then say so."""
    path = Path(mark)
    if path.exists():
        return "done"
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def rest(seconds: float) -> str:
    """Take time by the clock, and hardly any of the CPU's."""
    time.sleep(seconds)
    return "rested"


def crash(*_: object, **__: object) -> None:
    """End the process at once."""
    os.abort()
