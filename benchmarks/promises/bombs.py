"""`python -m benchmarks.promises.bombs`: files of a few bytes that promise billions of pixels."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.report import Report, add_common_options
from benchmarks.rig.corpus.drawing import png_declaring
from benchmarks.rig.corpus.hostile import dicom_declaring, jpeg_declaring
from benchmarks.rig.watched_server import serving
from benchmarks.rig.wire import BYTES, post

if TYPE_CHECKING:
    import psutil

SIDE: Final = 60_000
CALLS: Final = 15
LIMIT_MS: Final = 50
LIMIT_MB: Final = 50


def main() -> None:
    """Send each, and hold time and memory of its refusal against the limits."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises.bombs", description=__doc__
    )
    add_common_options(parser)
    options = parser.parse_args()
    note = f"each file declares {SIDE} x {SIDE} pixels; medians of {CALLS} requests."
    report = Report("bombs", note)
    bombs = {
        "PNG": png_declaring(SIDE, SIDE),
        "JPEG": jpeg_declaring(SIDE, SIDE),
        "DICOM": dicom_declaring(SIDE, SIDE),
    }
    rows = []
    with serving(options.model) as server:
        for name, data in bombs.items():
            # The first starts what decodes apart, which takes memory of its own.
            request = post(data, BYTES)
            statuses = {server.ask(request).status}
            before = peak_mb(server.processes())
            times = []
            for _ in range(CALLS):
                start = time.perf_counter()
                statuses.add(server.ask(request).status)
                times.append((time.perf_counter() - start) * 1000)
            taken_ms, taken_mb = statistics.median(times), peak_mb(server.processes()) - before
            rows.append((name, len(data), taken_ms, taken_mb))
            report.promise(f"{name}: refused with 413", statuses, holds=statuses == {413})
            report.promise(
                f"{name}: in less than {LIMIT_MS} ms",
                f"{taken_ms:.1f} ms",
                holds=taken_ms < LIMIT_MS,
            )
            report.promise(
                f"{name}: in less than {LIMIT_MB} MB",
                f"{taken_mb:.1f} MB",
                holds=taken_mb < LIMIT_MB,
            )
    report.add_table(("file", "bytes", "milliseconds", "peak memory grew by, MB"), rows)
    report.conclude(options.out)


def peak_mb(processes: list[psutil.Process]) -> float:
    """The most that each has ever held (VmHWM, proc(5)), added up."""
    total = 0
    for process in processes:
        status = Path(f"/proc/{process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        total += int(line.split()[1])
    return total / 1000


if __name__ == "__main__":
    main()
