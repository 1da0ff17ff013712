"""Lines for stderr, written beside everything else: who does not read them holds nothing up."""

from __future__ import annotations

import logging
import os
import select
import threading
import warnings
from collections import deque
from contextlib import suppress
from typing import Final

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

_STDERR: Final = 2
_CAPACITY: Final = 10_000
_INTERVAL_S: Final = 0.1
_FAREWELL_S: Final = 2.0
_JSON_FIELDS: Final = {"timestamp": "time", "levelname": "level", "name": "logger"}
_FORMAT: Final = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"


class LogWriter(logging.Handler):
    """Leaves each line to a thread that writes all there are to stderr, ten times a second.

    A pipe that nobody reads is full after 64 kB; whoever writes to it then waits, and if that is
    the event loop, everybody does. Here up to `_CAPACITY` lines wait, further ones are dropped and
    counted. Nobody is woken up for a line, which under load would cost as much as the line.
    """

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._is_closed = threading.Event()
        # Not through sys.stderr, whose lock would hold up the end of the process.
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line for `record`; never waits."""
        if len(self._lines) >= _CAPACITY:
            self._dropped += 1
            return
        try:
            self._lines.append(self.format(record))
        except Exception:  # as every handler: a bad record must not break its caller
            self.handleError(record)

    def close(self) -> None:
        """Give what waits `_FAREWELL_S` to be written."""
        self._is_closed.set()
        self._thread.join(_FAREWELL_S)
        super().close()

    def _write_all(self) -> None:
        while not self._is_closed.wait(_INTERVAL_S):
            self._write()
        self._write()

    def _write(self) -> None:
        dropped, self._dropped = self._dropped, 0
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if dropped:
            lines.append(self.format(_say_dropped(dropped)))
        if not lines:
            return
        write_out("".join(f"{line}\n" for line in lines))


def write_out(text: str) -> None:
    """Write all of it to stderr, also to a pipe that whoever started us made one that never waits.

    Where nobody can read it any more it is dropped.
    """
    rest = memoryview(text.encode(errors="backslashreplace"))
    with suppress(OSError):  # there is nobody left to be told
        while rest:
            try:
                rest = rest[os.write(_STDERR, rest) :]
            except BlockingIOError:
                select.select([], [_STDERR], [])


def _say_dropped(count: int) -> logging.LogRecord:
    words = "%d lines after this were dropped: nobody read them"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, words, (count,), None)


def set_up_logs(level: str, *, as_json: bool = False) -> None:
    """Have this process' log written to stderr, ours from `level` on, of others' the warnings.

    As JSON, a line is an object of time (ISO 8601, UTC), level, logger and message; a request's
    has request_id, method, route, status and duration_ms besides, an error's exc_info.
    """
    formatter = _json_formatter() if as_json else logging.Formatter(_FORMAT)
    logging.basicConfig(handlers=[LogWriter(formatter)])
    for name in ("app", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())
    hush_pillow()


def hush_pillow() -> None:
    """Have Pillow say nothing: what it says holds bytes of an upload, metadata of the picture."""
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="PIL")


def _json_formatter() -> logging.Formatter:
    return JsonFormatter(
        ["levelname", "name", "message"],
        timestamp=True,
        rename_fields=_JSON_FIELDS,
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's message once more
    )
