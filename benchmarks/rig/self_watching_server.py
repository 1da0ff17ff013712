"""Our service, which says every second on its standard output how much of what it holds.

Run as `python -m benchmarks.rig.self_watching_server ARGUMENTS`, which are those of
`python -m app`. Each line is a JSON object: `pid`, `at` (of `time.monotonic`), `threads`, `tasks`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time

from app.__main__ import main

INTERVAL_S = 1.0


def watch() -> None:
    """Write a line a second, from a thread that this process does not wait for."""
    loop = None
    while True:
        loop = loop or _running_loop()
        line = {
            "pid": os.getpid(),
            "at": time.monotonic(),
            "threads": threading.active_count() - 1,  # but for this one
            "tasks": len(asyncio.all_tasks(loop)) if loop else 0,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        time.sleep(INTERVAL_S)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """That of the server, in whichever thread: asyncio tells only the thread that runs it."""
    # By type(), since asking some objects for their class runs code.
    loops = [o for o in gc.get_objects() if issubclass(type(o), asyncio.AbstractEventLoop)]
    return next((loop for loop in loops if loop.is_running()), None)


if __name__ == "__main__":
    threading.Thread(target=watch, name="watch", daemon=True).start()
    sys.exit(main())
