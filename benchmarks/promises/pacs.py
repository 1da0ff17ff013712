"""`python -m benchmarks.promises.pacs`: films through a node whose archive comes and goes.

Real processes of the service and the node; the archive is an application entity in this one. The
sender repeats what was not accepted, as a modality does. Then the node is killed under load.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.report import Report, add_common_options
from benchmarks.rig.dicom_peers import Archive, draw_film, file_of, send, sending
from benchmarks.rig.watched_server import serving
from benchmarks.rig.wire import BYTES, post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

FILMS: Final = 500
SENDERS: Final = 4
COMPARED: Final = 40
ATTEMPTS_S: Final = 900
STOPPED_S: Final = 5
WAYS: Final = (
    "POST /predict",
    "C-STORE to success, films on one association",
    "C-STORE to success, association and all",
)
LISTENING: Final = r"AE CXR on 127\.0\.0\.1:(\d+)"


def main() -> None:
    """Send, stop, start and kill; hold what stands in the archive against what was accepted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promises.pacs", description=__doc__)
    add_common_options(parser)
    options = parser.parse_args()
    count = 60 if options.quick else FILMS
    films = [draw_film(index) for index in range(count)]
    archive = Archive()
    archive.start()
    load, _, _ = os.getloadavg()
    note = (
        f"load average {load:.0f} at the start; {count} drawn films from {SENDERS} senders at "
        f"once; the archive is stopped meanwhile for {STOPPED_S} s."
    )
    report = Report("pacs", note, ("openvino", "pynetdicom"))
    with serving(options.model) as server, node(archive.port, server.port) as (process, port):
        data = [file_of(film) for film in films[:COMPARED]]
        posted = [timed(lambda d=d: server.ask(post(d, BYTES)).status) for d in data]
        stored = [timed(lambda f=f: send(port, f)) for f in films[:COMPARED]]
        with sending(port, films[0]) as store:
            followed = [timed(lambda f=f: store(f)) for f in films[:COMPARED]]
        medians = [1000 * statistics.median(each) for each in (posted, followed, stored)]
        report.add_table(
            ("one film at a time", "median, ms", "of POST /predict"),
            [(name, ms, ms / medians[0]) for name, ms in zip(WAYS, medians, strict=True)],
        )
        archive.received.clear()

        repeats = send_all(port, films, archive)
        studies = [str(report.StudyInstanceUID) for report in archive.received]
        instances = {str(report.SOPInstanceUID) for report in archive.received}
        report.promise(
            f"each of {count} films has exactly one report",
            f"{len(instances)} reports of {len(set(studies))} films, {repeats} sent again",
            holds=len(instances) == len(set(studies)) == count and repeats > 0,
        )

        archive.received.clear()
        acknowledged = kill_under_load(process, port, films)
        reported = {str(report.StudyInstanceUID) for report in archive.received}
        lost = [study for study in acknowledged if study not in reported]
        report.promise(
            "kill -9 under load: what was acknowledged has its report",
            f"{len(acknowledged)} acknowledged, {len(lost)} without report",
            holds=bool(acknowledged) and not lost,
        )
    archive.stop()
    report.conclude(options.out)


@contextmanager
def node(archive_port: int, service_port: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A node of its own process, and the port that it listens on."""
    settings = {
        "CXR_PACS_PORT": "0",
        "CXR_PACS_HEALTH_PORT": "0",
        "CXR_PACS_DESTINATION": f"ARCHIVE@127.0.0.1:{archive_port}",
        "CXR_SERVICE_URL": f"http://127.0.0.1:{service_port}",
    }
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.pacs"],
                env={**os.environ, **settings},
                stderr=file,
                text=True,
            )
        until = time.monotonic() + ATTEMPTS_S
        while not (found := re.search(LISTENING, log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"the node does not start: {log.read_text()}")
            time.sleep(0.05)
        try:
            yield process, int(found[1])
        finally:
            process.kill()
            process.wait()


def timed(work: Any) -> float:
    """Seconds that `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def send_all(port: int, films: list[Dataset], archive: Archive) -> int:
    """Send all, again and again until each is accepted; how often one had to be sent again.

    The archive is stopped when a third has been sent, and started a little later.
    """
    waiting, repeats, lock = list(films), 0, threading.Lock()
    stopping_at = len(films) * 2 // 3

    def work() -> None:
        nonlocal repeats
        until = time.monotonic() + ATTEMPTS_S
        while time.monotonic() < until:
            with lock:
                if not waiting:
                    return
                film = waiting.pop()
            if not send(port, film):
                with lock:
                    waiting.insert(0, film)
                    repeats += 1

    threads = [threading.Thread(target=work) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    while len(waiting) > stopping_at:
        time.sleep(0.01)
    archive.stop()
    time.sleep(STOPPED_S)
    archive.start()
    for thread in threads:
        thread.join()
    return repeats


def kill_under_load(process: subprocess.Popen[str], port: int, films: list[Dataset]) -> list[str]:
    """The studies that were acknowledged by a node that is killed in the middle of them."""
    acknowledged: list[str] = []

    def work(some: list[Dataset]) -> None:
        for film in some:
            if send(port, film):
                acknowledged.append(str(film.StudyInstanceUID))  # noqa: PERF401  # told while it goes on

    some = films[: len(films) // 2]
    threads = [threading.Thread(target=work, args=(some[i::SENDERS],)) for i in range(SENDERS)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < len(some) // 4:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    return acknowledged


if __name__ == "__main__":
    main()
