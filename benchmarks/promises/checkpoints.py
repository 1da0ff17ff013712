"""`python -m benchmarks.promises.checkpoints`: mutated checkpoints through the service's reader.

Each is read in a process of its own as `app.inference.loading` has it read, and what can be read is
made a graph of. None of it runs code, none takes longer than the reader's limit, and neither the
reader nor the process that waits for it grows.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from rich.console import Console

from app.inference.reader import READING_LIMIT_S, Reader
from app.xray.errors import CxrError, EngineError
from benchmarks.report import Report, add_common_options
from benchmarks.rig.corpus.checkpoint_mutations import (
    mutated_checkpoints,
    sound_checkpoints,
    write_canary,
)

MOST_MB: Final = 1_500
"""Of the reader: Keras, OpenVINO and the small networks take a third of it."""
MOST_GROWTH_MB: Final = 100
_LONGEST_LINE: Final = 700


class Tally(NamedTuple):
    """What became of the files."""

    outcomes: Counter[str]
    slowest_s: float
    reader_mb: float
    """The most that a reader's process ever held."""
    grown_mb: float
    """By how much this process grew."""
    longest_line: int
    ran_code: bool


def main() -> None:
    """Push them through, report, and end with 1 where a promise does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises.checkpoints", description=__doc__
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--graphs", type=int, default=500, help="of readable ones, at most")
    add_common_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.count, options.graphs = 200, 10
    report = Report(
        "checkpoints",
        f"{options.count:,} files, seed {options.seed}, of four small networks, two as .h5 and two "
        f"as .keras; up to {options.graphs} graphs",
        ("openvino", "keras", "h5py"),
    )
    with tempfile.TemporaryDirectory() as folder:
        found = push(Path(folder), options.count, options.seed, graphs=options.graphs)
    report.add_table(("outcome", "files"), found.outcomes.most_common())
    report.promise("no code in them ran", "none" if not found.ran_code else "it did",
                   holds=not found.ran_code)  # fmt: skip
    report.promise(
        f"none took longer than {READING_LIMIT_S + 5} s to read",
        f"{found.slowest_s:.1f} s",
        holds=found.slowest_s < READING_LIMIT_S + 5,
    )
    report.promise(
        f"the reader never held more than {MOST_MB} MB",
        f"{found.reader_mb:.0f} MB",
        holds=found.reader_mb < MOST_MB,
    )
    report.promise(
        f"who waits for it grew by less than {MOST_GROWTH_MB} MB",
        f"{found.grown_mb:.0f} MB",
        holds=found.grown_mb < MOST_GROWTH_MB,
    )
    report.promise(
        "every refusal fits on a line",
        f"{found.longest_line} characters",
        holds=found.longest_line < _LONGEST_LINE,
    )
    odd = found.outcomes["OperatorError"] + found.outcomes["other"]
    report.promise("every refusal is one of the file's", odd, holds=not odd)
    report.conclude(options.out)


def push(folder: Path, count: int, seed: int, *, graphs: int) -> Tally:
    """Read `count` mutated files one after the other, and make `graphs` graphs of what is sound."""
    trace = folder / "trace"
    write_canary(folder, trace)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(folder), os.environ.get("PYTHONPATH", "")])
    )  # where the reader's process would find it
    path = folder / "model"
    sound = sound_checkpoints(folder)
    outcomes: Counter[str] = Counter()
    slowest = reader_mb = 0.0
    longest = 0
    before = _held_mb(psutil.Process())
    with Reader() as reader:
        for number, data in enumerate(mutated_checkpoints(sound, count, seed, trace)):
            path.write_bytes(data)
            start = time.perf_counter()
            try:
                checkpoint = reader.read(path)
                outcomes["read"] += 1
                slowest = max(slowest, time.perf_counter() - start)
                if graphs > 0:
                    graphs -= 1
                    reader.graph_of(checkpoint, ends=False)
                    outcomes["made a graph of"] += 1
            except CxrError as error:
                outcomes[type(error).__name__] += 1
                if not isinstance(error, EngineError):  # which is of a graph
                    slowest = max(slowest, time.perf_counter() - start)
                if "more than 15 s" in str(error):
                    outcomes["ended when its time was up"] += 1
                if type(error).__name__ == "OperatorError":
                    Console().print(f"file {number}: {error}")
                longest = max(longest, len(str(error)))
            except Exception as error:  # whatever it is, it breaks the last promise
                outcomes["other"] += 1
                Console().print(f"file {number}: {type(error).__name__} {str(error)[:200]}")
            if number % 10 == 0:
                children = psutil.Process().children(recursive=True)
                reader_mb = max([reader_mb, *(_held_mb(child) for child in children)])
            if number % 1000 == 999:
                Console().print(f"[dim]{number + 1:,}: {dict(outcomes)}, {slowest:.1f} s")
    grown = _held_mb(psutil.Process()) - before
    return Tally(outcomes, slowest, reader_mb, grown, longest, trace.exists())


def _held_mb(process: psutil.Process) -> float:
    """The most that a process has ever held (VmHWM, proc(5))."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:  # it has ended
        return 0.0
    lines = [line for line in text.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1000 if lines else 0.0


if __name__ == "__main__":
    main()
