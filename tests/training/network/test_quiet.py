from __future__ import annotations

import os
import subprocess
import sys

import pytest

TENSORFLOWS = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795955796.830916   23053 port.cc:153] oneDNN custom operations are on.",
    "E0000 00:00:1795955887.167405   23053 cuda_platform.cc:52] failed call to cuInit: 303",
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
    "2024-05-01 10:00:00.123456: I tensorflow/core/util/port.cc:113] oneDNN",
)
OTHERS = ("error: no such folder", "F0000 00:00:1795955887.1   23 check.cc:5] check failed", "E1")


def write(lines: tuple[str, ...], **environment: str) -> str:
    """What of `lines`, written as C++ does, and of a line of Python's comes to the terminal."""
    code = (
        "import os, sys\n"
        "from training.network.quiet import without_tensorflows_lines\n"
        "with without_tensorflows_lines():\n"
        f"    os.write(2, {chr(10).join(lines) + chr(10)!r}.encode())\n"
        "    print('I0000 of Python', file=sys.stderr)\n"
        "print('after', file=sys.stderr)\n"
    )
    known = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True,
        env=known | environment,
    )  # fmt: skip
    return ran.stderr


@pytest.mark.parametrize("line", TENSORFLOWS)
def test_tensorflows_lines_are_kept_from_the_terminal(line: str) -> None:
    assert sorted(write((line,)).splitlines()) == ["I0000 of Python", "after"]


def test_all_others_come_through() -> None:
    lines = write(OTHERS).splitlines()
    assert set(lines) == {*OTHERS, "I0000 of Python", "after"}
    assert lines[-1] == "after"


def test_whoever_sets_the_level_sees_what_it_gives() -> None:
    assert TENSORFLOWS[0] in write(TENSORFLOWS, TF_CPP_MIN_LOG_LEVEL="0")
