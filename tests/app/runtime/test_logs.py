from __future__ import annotations

import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios

import pytest

from app.__main__ import EXIT_OPERATOR
from tests.live import ROOT, run_app
from tests.waiting import wait_until

LINES = 30_000
CODE = f"""
import logging, sys, time
from app.runtime.logs import set_up_logs
set_up_logs("info")
log = logging.getLogger("app")
for number in range({LINES}):
    log.info("line %d of many", number)
print("done", flush=True)
sys.stdin.read()
log.info("the last one")
"""


def start(code: str = CODE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_log_that_nobody_reads_holds_nothing_up_and_says_what_it_lost() -> None:
    process = start()
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n", "it waited for a reader"
    _, log = process.communicate(timeout=30)
    lines = log.splitlines()
    assert process.returncode == 0
    assert len(lines) < LINES
    assert any("lines after this were dropped: nobody read them" in line for line in lines)
    assert " INFO     app: line 0 of many" in lines[0]


def test_it_does_not_hold_up_the_end_either() -> None:
    process = start()
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    assert process.stderr is not None
    process.stderr.close()
    assert process.stdout is not None
    process.stdout.close()


def bytes_in(pipe: int) -> int:
    """What was written to it and not yet read."""
    found: int = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]
    return found


@pytest.mark.parametrize("read_end", ["slow", "closed"])
def test_a_pipe_that_takes_what_it_can_gets_every_line_whole(read_end: str) -> None:
    """As some parents make it; a write to it may end early, or fail because the pipe is full."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    size = fcntl.fcntl(write, fcntl.F_GETPIPE_SZ)
    code = (
        "import logging; from app.runtime.logs import set_up_logs; set_up_logs('info')\n"
        "for number in range(5000): logging.getLogger('app').info('line %d %s', number, 'x' * 100)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=write)
    os.close(write)
    lines = []
    with os.fdopen(read, encoding="utf-8") as log:
        if read_end == "slow":
            wait_until(lambda: bytes_in(read) > size - select.PIPE_BUF)  # full, but for a line
            lines = log.read().splitlines()
    assert process.wait(30) == 0
    assert read_end == "closed" or len(lines) == 5000
    assert all(re.search(rf"app: line {at} x{{100}}$", line) for at, line in enumerate(lines))


AS_JSON = """
import logging
from app.runtime.logs import set_up_logs
set_up_logs("info", as_json=True)
log = logging.getLogger("app.test")
log.info("said %d times", 2, extra={"request_id": "id-1", "duration_ms": 1.5})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("two\\nlines")
logging.getLogger("PIL").error("what a picture holds")
logging.getLogger("uvicorn.error").info("up", extra={"color_message": "\\x1b[1mup"})
"""


def test_as_json_each_line_is_an_object_a_trace_within_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_JSON], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said, failed, up = map(json.loads, done.stderr.splitlines())
    assert said.pop("time")[:2] == "20"
    assert said == {
        "level": "INFO",
        "logger": "app.test",
        "message": "said 2 times",
        "request_id": "id-1",
        "duration_ms": 1.5,
    }
    assert failed["message"] == "two\nlines"
    assert "ZeroDivisionError" in failed["exc_info"]
    assert set(up) == {"time", "level", "logger", "message"}


def test_as_json_what_was_dropped_is_said_in_an_object_too() -> None:
    code = CODE.replace('set_up_logs("info")', 'set_up_logs("info", as_json=True)')
    process = start(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    _, log = process.communicate(timeout=30)
    messages = [json.loads(line)["message"] for line in log.splitlines()]
    assert any("were dropped" in message for message in messages)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"model_path": "models/none.h5"}, "python -m training fit", id="no-model"),
        pytest.param({"host": "192.0.2.1"}, "cannot listen there", id="no-address"),
    ],
)
def test_as_json_the_last_word_is_an_object_too(settings: dict[str, str], words: str) -> None:
    process = run_app(port="0", log_json="true", **settings)
    _, log = process.communicate(timeout=60)
    last = [json.loads(line) for line in log.splitlines()][-1]
    assert process.returncode == EXIT_OPERATOR
    assert last["level"] == "CRITICAL"
    assert words in last["message"]


@pytest.mark.parametrize("as_json", ["false", "true"], ids=["text", "json"])
@pytest.mark.parametrize("is_blocking", [True, False], ids=["waits", "takes-what-it-can"])
def test_an_operators_error_is_told_by_the_exit_where_nobody_reads_the_words(
    is_blocking: bool, as_json: str
) -> None:
    read, write = os.pipe()
    os.close(read)
    os.set_blocking(write, is_blocking)
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "compile"],
        cwd=ROOT,
        env={**os.environ, "CXR_MODEL_PATH": "models/none.h5", "CXR_LOG_JSON": as_json},
        stderr=write,
    )
    os.close(write)
    assert process.wait(60) == EXIT_OPERATOR
