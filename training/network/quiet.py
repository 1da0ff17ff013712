"""TensorFlow's own lines, kept from the terminal: they say nothing of a run."""

from __future__ import annotations

import os
import re
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

_LINES: Final = re.compile(
    rb"[IWE]\d{4} [\d:. ]+\S+:\d+\] |WARNING: All log messages before absl::InitializeLog\(\)|"
    rb"INFO: Created TensorFlow Lite|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
)
"""How lines of its logs begin: glog's, absl's, LiteRT's and those of older versions."""
SETTING: Final = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def without_tensorflows_lines() -> Iterator[None]:
    """Leave out what TensorFlow writes to the error stream on its own, from C++ and past Python.

    Its setting for that does not reach what it writes before its logs are set up. Fatal lines
    come through, and so does all that Python writes. Where the environment has the setting,
    nothing is left out.
    """
    if SETTING in os.environ:
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    before = sys.stderr
    sys.stderr = open(  # noqa: SIM115, PTH123
        os.dup(terminal), "w", buffering=1, encoding=before.encoding, errors="backslashreplace"
    )
    thread = threading.Thread(
        target=_pass_on, args=(open(reading, "rb"), terminal), daemon=True  # noqa: SIM115, PTH123
    )  # fmt: skip
    thread.start()
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = before
        os.dup2(terminal, 2)  # the pipe's last end for writing is closed by that
        thread.join(timeout=1)  # a child that lives on may hold one still


def _pass_on(lines: BufferedReader, terminal: int) -> None:
    with lines:
        for line in lines:
            if not _LINES.match(line):
                os.write(terminal, line)
