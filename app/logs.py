"""Lines for stderr, written beside everything else: who does not read them holds nothing up."""

from __future__ import annotations

import logging
import os
import queue
import threading
from contextlib import suppress
from typing import Final

_STDERR: Final = 2
_CAPACITY: Final = 10_000
_FAREWELL_S: Final = 2.0
_FORMAT: Final = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"


class LogWriter(logging.Handler):
    """Hands each line to a thread that writes it to stderr.

    A pipe that nobody reads is full after 64 kB; whoever writes to it then waits, and if that is
    the event loop, everybody does. Here up to `_CAPACITY` lines wait, further ones are dropped and
    counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._lines: queue.Queue[str | None] = queue.Queue(_CAPACITY)
        self._dropped = 0
        # Not through sys.stderr, whose lock would hold up the end of the process.
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line for `record`; never waits."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1
        except Exception:  # as every handler: a bad record must not break its caller
            self.handleError(record)

    def close(self) -> None:
        """Give what waits `_FAREWELL_S` to be written."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(_FAREWELL_S)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            note = (
                f"{dropped} lines before this were dropped: nobody read them\n" if dropped else ""
            )
            with suppress(OSError):  # there is nobody left to be told
                os.write(_STDERR, f"{note}{line}\n".encode(errors="backslashreplace"))


def set_up_logs(level: str) -> None:
    """Have this process' log written to stderr, ours from `level` on, of others' the warnings."""
    logging.basicConfig(handlers=[LogWriter()])
    for name in ("app", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())
    # What it says holds bytes of an upload: metadata of the picture.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
