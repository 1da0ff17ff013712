"""Load on a server: wrk, with forms."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rig.pictures import BOUNDARY

SCRIPT = Path(__file__).with_name("post.lua")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Load:
    """What clients saw in one window."""

    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    requests: int
    errors: int


def require_wrk() -> None:
    """End with a hint where there is no wrk."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt install wrk, or brew install wrk")


def put_load(url: str, body: Path, *, connections: int, seconds: float) -> Load:
    """POST the form in the file `body` again and again, over so many connections at once."""
    printed = subprocess.run(
        [
            "wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds:g}s",
            f"--timeout={TIMEOUT_S}s", "--script", SCRIPT, url, "--", body, BOUNDARY,
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(printed.stdout.splitlines()[-1])
    return Load(requests_per_s=found["requests"] / found.pop("seconds"), **found)
