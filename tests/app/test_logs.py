from __future__ import annotations

import subprocess
import sys

from tests.live import ROOT

LINES = 30_000
CODE = f"""
import logging, sys, time
from app.logs import set_up_logs
set_up_logs("info")
log = logging.getLogger("app")
for number in range({LINES}):
    log.info("line %d of many", number)
print("done", flush=True)
sys.stdin.read()
log.info("the last one")
"""


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE],
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
